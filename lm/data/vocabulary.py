"""Words and their ids: `<unk>` stands for every word that is not listed, `<eos>` for the end of a sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

UNK = "<unk>"
EOS = "<eos>"


class Vocabulary:
    """The words a model knows, each with its place in the list as its id.

    `<unk>` and `<eos>` must be among the words; a word given twice is refused with a ValueError.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            repeated = Counter(self.words).most_common(1)[0][0]
            raise ValueError(f"A vocabulary holds every word once, but {repeated!r} is there twice: remove one.")
        for special in (UNK, EOS):
            if special not in self._ids:
                raise ValueError(f"A vocabulary must hold {special}, which is missing: add it to the words.")
        self.unk_id = self._ids[UNK]
        self.eos_id = self._ids[EOS]

    @classmethod
    def build(cls, counts: Counter[str], min_count: int = 1, max_vocab_size: int | None = None) -> Self:
        """Keep the most frequent words, ties in alphabetical order, and always `<unk>` and `<eos>`.

        A word counted less often than `min_count` is left out. `max_vocab_size` limits the whole vocabulary,
        `<unk>` and `<eos>` included, as in the 10,000 words of the Penn Treebank.
        """
        frequent = (word for word, count in counts.items() if count >= min_count and word not in (UNK, EOS))
        by_rank = sorted(frequent, key=lambda word: (-counts[word], word))
        kept = by_rank if max_vocab_size is None else by_rank[: max_vocab_size - 2]
        return cls(sorted([*kept, UNK, EOS], key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def encode(self, words: Iterable[str]) -> list[int]:
        """Give one id a word, in order; a word that is not listed becomes `<unk>` and never vanishes."""
        return [self._ids.get(word, self.unk_id) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Give the word of each id, in order."""
        return [self.words[index] for index in ids]
