"""Words and their ids: `<unk>` stands for every word that is not listed, `<eos>` for the end of a sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Self

UNK = "<unk>"
EOS = "<eos>"
SPACE = "_"
"""Stands for the space between two words in a vocabulary of characters."""


class Vocabulary:
    """The words that a model knows; a word's id is its place in the list.

    Raises:
        ValueError: if a word is repeated, or `<unk>` or `<eos>` is missing.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            repeated = Counter(self.words).most_common(1)[0][0]
            raise ValueError(f"expected every word of a vocabulary once, found {repeated!r} twice: remove one")
        for special in (UNK, EOS):
            if special not in self._ids:
                raise ValueError(f"expected a vocabulary with {special}, found none: add it to the words")
        self.unk_id = self._ids[UNK]
        self.eos_id = self._ids[EOS]

    @classmethod
    def build(cls, counts: Counter[str], min_count: int = 1, max_vocab_size: int | None = None) -> Self:
        """Return the vocabulary of the most frequent words, ties in alphabetical order, and of `<unk>` and `<eos>`.

        `max_vocab_size` includes these two, as do the 10,000 words of the Penn Treebank.
        """
        frequent = (word for word, count in counts.items() if count >= min_count and word not in (UNK, EOS))
        by_rank = sorted(frequent, key=lambda word: (-counts[word], word))
        kept = by_rank if max_vocab_size is None else by_rank[: max_vocab_size - 2]
        return cls(sorted([*kept, UNK, EOS], key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    @cached_property
    def is_characters(self) -> bool:
        """Whether the words are characters."""
        return SPACE in self and all(len(word) == 1 for word in self.words if word not in (UNK, EOS))

    def text(self, words: Iterable[str]) -> str:
        """Return words as one text; characters are put together."""
        return "".join(words).replace(SPACE, " ") if self.is_characters else " ".join(words)

    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the id of each word, in order; a word that is not listed becomes `<unk>`."""
        return [self._ids.get(word, self.unk_id) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the word of each id, in order."""
        return [self.words[index] for index in ids]
