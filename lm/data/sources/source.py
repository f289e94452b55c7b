"""What every corpus offers before it is encoded: sentences of words, split in three, and a key that names them."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from lm.checks import check_whole

SPLITS = ("train", "valid", "test")


class Source(ABC):
    """A text in three splits that has not been counted or encoded yet.

    `min_count` and `max_vocab_size` limit the vocabulary that is built from the training split.
    """

    name: ClassVar[str]
    min_count: int = 1
    max_vocab_size: int | None = None

    @abstractmethod
    def fingerprint(self) -> str:
        """Give the SHA-256, in hexadecimal, of the text and of every option that changes its ids."""

    @abstractmethod
    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one sentence after another, without `<eos>`."""

    def location(self, split: str) -> str:
        """Say where the split's text comes from, for messages."""
        return f"the {split} split of {self.name}"

    def floor_ppl(self) -> float | None:
        """Give the true perplexity of the text, which no model can beat on average, where it is known."""
        return None


def digest(*parts: object) -> str:
    """Give the SHA-256, in hexadecimal, of plain values (whatever JSON can write)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_vocabulary_limits(min_count: object, max_vocab_size: object) -> None:
    """Raise a ValueError unless the two limits leave room for `<unk>`, `<eos>` and a word."""
    check_whole("data.min_count", min_count, 2)
    check_whole("data.max_vocab_size", max_vocab_size, 10_000, least=3, optional=True)
