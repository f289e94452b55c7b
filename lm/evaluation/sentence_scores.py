"""A model and sentences -> the log-probability of every word, without the corpus of the training.

A sentence is read after an `<eos>`, and its own `<eos>` is scored as one of its words:

    read       <eos>  the   company  rose
    scored     the    company  rose  <eos>

Each one starts with a state of zeros, so that its score does not depend on its neighbours; or, with `carried`, the
sentences are one text, and the state goes from each to the next, as in the perplexity of a split.

Shapes: T time, B sentences side by side, V vocabulary.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lm.data.bptt import IGNORE_INDEX
from lm.data.sources.text import read_sentences
from lm.data.vocabulary import EOS, Vocabulary
from lm.evaluation.perplexity import perplexity
from lm.models.language_model import LanguageModel
from lm.models.linear_cross_entropy import MAX_LOGITS

TOKENS_AT_ONCE = 4096


@dataclass(frozen=True)
class ScoredSentence:
    """The words of a sentence as they were given, `<eos>` after them, and the natural logarithm of each probability."""

    words: tuple[str, ...]
    log_probabilities: tuple[float, ...]

    @property
    def log_probability(self) -> float:
        """The sentence's own: the sum."""
        return math.fsum(self.log_probabilities)

    @property
    def ppl(self) -> float:
        """The perplexity of its words and its end."""
        return perplexity(-self.log_probability, len(self.words))


def sentences_of_text(text: str) -> list[list[str]]:
    """Return the sentences of a text, one a line or between `<eos>`; what has no words is none."""
    return list(_between_ends(line.split() for line in text.splitlines()))


def sentences_of_file(path: Path) -> list[list[str]]:
    """Return the sentences of a UTF-8 file, one a line.

    Raises:
        FileNotFoundError: where there is no file.
        ValueError: where it is not UTF-8.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a text, found no file '{path}': type file=FILE with a sentence a line")
    return list(_between_ends(read_sentences(path)))


def _between_ends(lines: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    for line in lines:
        sentence: list[str] = []
        for word in (*line, EOS):
            if word != EOS:
                sentence.append(word)
            elif sentence:
                yield sentence
                sentence = []


def score_sentences(
    model: LanguageModel, vocabulary: Vocabulary, sentences: Sequence[Sequence[str]], carried: bool = False
) -> list[ScoredSentence]:
    """Score sentences with a model in evaluation mode, in the order given.

    Args:
        model: on any device.
        vocabulary: of the model; a word it lacks is scored as `<unk>`.
        sentences: the words of each, without `<eos>`, at least one.
        carried: the state goes from each sentence to the next, instead of starting at zero.
    """
    eos_id = vocabulary.eos_id
    ids = [torch.tensor([*vocabulary.encode(words), eos_id]) for words in sentences]
    scored = _score_as_one(model, ids, eos_id) if carried else _score_each(model, ids, eos_id)
    pairs = zip(sentences, scored, strict=True)
    return [ScoredSentence((*words, EOS), tuple(values_T.tolist())) for words, values_T in pairs]


def _score_as_one(model: LanguageModel, sentences: Sequence[Tensor], eos_id: int) -> list[Tensor]:
    targets_TB = torch.cat(list(sentences))[:, None]
    remaining_TB = torch.cat([remaining(ids) for ids in sentences])[:, None]
    values_TB = log_probabilities(model, shift_right(targets_TB, eos_id), targets_TB, remaining_TB)
    return list(torch.split(values_TB[:, 0], [len(ids) for ids in sentences]))


def _score_each(model: LanguageModel, sentences: Sequence[Tensor], eos_id: int) -> list[Tensor]:
    scored = dict[int, Tensor]()
    for batch in batches_of_similar_length([len(ids) for ids in sentences]):
        targets_TB = pad_sequence([sentences[index] for index in batch], padding_value=IGNORE_INDEX)
        # What is read where nothing is scored comes after all that is, and changes none of it.
        remaining_TB = pad_sequence([remaining(sentences[index]) for index in batch])
        values_TB = log_probabilities(model, shift_right(targets_TB, eos_id).clamp(min=0), targets_TB, remaining_TB)
        scored |= {index: values_TB[: len(sentences[index]), column] for column, index in enumerate(batch)}
    return [scored[index] for index in range(len(sentences))]


def remaining(ids_T: Tensor) -> Tensor:
    """Return how many words come from each one on, its `<eos>` not counted: what length conditioning tells."""
    return torch.arange(len(ids_T) - 1, -1, -1)


def shift_right(targets_TB: Tensor, eos_id: int) -> Tensor:
    """Return what is read where `targets_TB` is to be predicted: `<eos>`, then the targets but the last."""
    return torch.cat([torch.full_like(targets_TB[:1], eos_id), targets_TB[:-1]])


def batches_of_similar_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Shard out the places of `lengths` so that a batch, padded, has at most `TOKENS_AT_ONCE` tokens, or one column."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.inference_mode()
def log_probabilities(model: LanguageModel, inputs_TB: Tensor, targets_TB: Tensor, remaining_TB: Tensor) -> Tensor:
    """Return the natural logarithm of each target's probability, [T, B] in float64 on the CPU; 0 where it is `IGNORE_INDEX`.

    The state starts at zero; only `MAX_LOGITS` logits exist at any time.
    """
    device, states, parts = model.decoder.weight.device, None, []
    rows = max(1, MAX_LOGITS // (model.decoder.out_features * inputs_TB.shape[1]))
    windows = (torch.split(part_TB, rows) for part_TB in (inputs_TB, targets_TB, remaining_TB))
    for inputs, targets, left in zip(*windows, strict=True):
        logits_TBV, states = model.logits(inputs.to(device), states, left.to(device))
        nats_N = F.cross_entropy(logits_TBV.flatten(0, 1), targets.flatten().to(device), reduction="none")
        parts.append(-nats_N.view(targets.shape).double().cpu())
    return torch.cat(parts)
