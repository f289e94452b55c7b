"""The interface of a corpus before it is encoded: sentences of words in three splits, and a fingerprint."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

from lm.checks import check_whole

SPLITS = ("train", "valid", "test")


class TextChanged(ValueError):
    """The text has changed since its fingerprint was taken."""


class Source(ABC):
    """A text in three splits.

    `min_count` and `max_vocab_size` limit the vocabulary that is built from the training split. `literal_eos` counts
    the `<eos>` in the text of each split that was read to its end.
    """

    name: ClassVar[str]
    min_count: int = 1
    max_vocab_size: int | None = None
    literal_eos: Mapping[str, int] = {}

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256, in hexadecimal, of the text and of every option that changes its ids."""

    @abstractmethod
    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one sentence after another, without `<eos>`.

        Raises:
            TextChanged: at the end, if the text was not the one of the last fingerprint.
        """

    def floor_ppl(self) -> float | None:
        """Return the perplexity of the text that no model can beat on average, or None if it is not known."""
        return None


def digest(*parts: object) -> str:
    """Return the SHA-256, in hexadecimal, of plain values (whatever JSON can write)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_vocabulary_limits(min_count: object, max_vocab_size: object) -> None:
    """Raise a ValueError unless the two limits are numbers that leave room for `<unk>`, `<eos>` and a word."""
    check_whole("data.min_count", min_count, 2)
    check_whole("data.max_vocab_size", max_vocab_size, 10_000, least=3, optional=True)
