"""How a corpus is cut into batches: as one long stream, or sentence by sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lm.checks import check_choice, check_whole
from lm.data.bptt import BPTTBatches
from lm.data.corpus import Corpus
from lm.data.sentences import Sentences
from lm.data.shard import UNSHARDED, Shard

Batches = BPTTBatches | Sentences

EVALUATION_WINDOW = 4096
"""Words in a window where no gradient is needed: any length gives the same number, and long ones are faster."""

WARMUP_TOKENS = 512
"""Words after which it hardly matters where reading began: perplexities of the Penn Treebank change by a few
millionths."""

MAX_EVAL_BATCH_SIZE = 64
"""More of them side by side are no faster."""

CHOICES = {
    "batching": ("streams", "sentences"),
    "truncation_side": ("right", "left"),
    "padding_side": ("right", "left"),
}
OPTIONS = ("batching", "max_length", "truncation_side", "padding_side", "bucket_width")
"""The keys of the config's `data` that are of batches, whatever the corpus; all others are the source's."""


def source_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is the source's among the options of `data`."""
    return {name: value for name, value in options.items() if name not in OPTIONS}


@dataclass(frozen=True)
class Batching:
    """The options of `conf/train.yaml` by which batches are made.

    Raises:
        ValueError: where one has a value it can't have.
    """

    batching: str
    batch_size: int
    seq_len: int
    max_length: int | None
    truncation_side: str
    padding_side: str
    bucket_width: int
    seed: int

    def __post_init__(self) -> None:
        for option, choices in CHOICES.items():
            check_choice(f"data.{option}", getattr(self, option), choices)
        check_whole("data.bucket_width", self.bucket_width, 2)
        check_whole("data.max_length", self.max_length, 50, optional=True)

    def training(self, corpus: Corpus, share: Shard = UNSHARDED) -> Batches:
        """Return the training split's batches, or a device's share of each.

        Raises:
            ValueError: where the split is too short for that many columns.
        """
        ids, eos_id = corpus.splits["train"], corpus.vocabulary.eos_id
        if self.batching == "streams":
            return BPTTBatches(ids, self.batch_size, self.seq_len, share)
        order = (self.bucket_width, self.seed)
        return Sentences(
            ids, eos_id, self.batch_size, self.max_length, self.truncation_side, self.padding_side, *order, share
        )

    def evaluation(self, corpus: Corpus, split: str, batch_size: int, share: Shard = UNSHARDED) -> Batches:
        """Return a split's batches for scoring, which leave nothing out: a stream in long windows, or whole sentences.

        With a `share`, that of one device: together they leave nothing out.

        Raises:
            ValueError: where the split is too short for that many columns.
        """
        ids = corpus.splits[split]
        if self.batching == "streams":
            return BPTTBatches(ids, batch_size, max(1, EVALUATION_WINDOW // batch_size), share)
        return Sentences(ids, corpus.vocabulary.eos_id, batch_size, padding_side=self.padding_side, share=share)

    def final_evaluation(self, corpus: Corpus, split: str) -> Batches:
        """Return a split's batches for the number to be told of it: whole sentences, or a stream as one unbroken text.

        That is read in columns, about eight times as long as the `WARMUP_TOKENS` words that each reads before its own, or
        longer.
        """
        if self.batching == "sentences":
            return self.evaluation(corpus, split, self.batch_size)
        ids = corpus.splits[split]
        columns = min(max(1, len(ids) // (8 * WARMUP_TOKENS)), MAX_EVAL_BATCH_SIZE)
        return BPTTBatches(
            ids, columns, EVALUATION_WINDOW // columns, warmup_tokens=WARMUP_TOKENS if columns > 1 else 0
        )


def describe(batches: Batches) -> dict[str, str | float]:
    """Return what the results say of training batches: their kind, and of sentences what was added and left out."""
    if isinstance(batches, BPTTBatches):
        return {"batching": "streams"}
    return {"batching": "sentences", "padding": round(batches.padding, 6), "trimmed_tokens": batches.num_truncated}
