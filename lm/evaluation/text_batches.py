"""A split of a corpus -> the batches on which a method scores it."""

from dataclasses import replace

from lm.data.batching import Batches
from lm.data.bptt import BPTTBatches
from lm.data.corpus import Corpus
from lm.evaluation.loading import SavedRun
from lm.evaluation.methods import Method


def text_batches(saved: SavedRun, corpus: Corpus, split: str, method: Method, batch_size: int | None = None) -> Batches:
    """Return the batches of a whole split.

    A method that adapts after some words reads them in one column. All others read as many columns as the final
    evaluation of the training, or `batch_size`.

    Raises:
        ValueError: if the split is too short for the batch size, or the method cannot read several columns.
    """
    batching = saved.config.batches()
    if method.seq_len is not None and batching.batching == "streams":
        if batch_size not in (None, 1):
            raise ValueError(
                f"expected batch_size=1 for a method that learns from the words before, found {batch_size}: "
                "leave batch_size out"
            )
        return BPTTBatches(corpus.splits[split], 1, method.seq_len, name=f"{split} split")
    if batch_size is None:
        return batching.final_evaluation(corpus, split)
    return batching.evaluation(corpus, split, batch_size)


def first_words(corpus: Corpus, split: str, words: int) -> Corpus:
    """Return the corpus with only the first words of one split, in whole sentences."""
    ids = corpus.splits[split]
    ends = (ids[: words + 1] == corpus.vocabulary.eos_id).nonzero()
    stop = int(ends[-1]) + 1 if len(ends) and len(ids) > words else len(ids)
    return replace(corpus, splits={split: ids[: max(2, stop)]})
