"""Your own text, in UTF-8, one sentence per line: a folder with a file per split, or one file.

    python -m lm.train data=text data.dir=FOLDER      # train.txt, valid.txt and test.txt, or names such as val.tokens
    python -m lm.train data=text data.dir=corpus.txt  # split by data.fractions

`lm/data/text_reader.py` says what is a line, a word and a sentence.
"""

import math
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from lm.checks import check_numbers, unexpected
from lm.data.sources.files import FileSource, split_files
from lm.data.sources.source import SPLITS, check_vocabulary_limits, digest
from lm.data.text_reader import SentenceSplitter


class TextSource(FileSource):
    """The sentences of three files, or of one; the options are those of `conf/data/text.yaml`.

    Raises:
        ValueError, FileNotFoundError: if an option has a wrong value, or a file is missing.
    """

    name = "text"

    def __init__(
        self,
        dir: str | Path | None = None,
        lowercase: bool = False,
        fold_numbers: bool = False,
        keep_blank_lines: bool = False,
        min_count: int = 1,
        max_vocab_size: int | None = None,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
    ) -> None:
        self.splitter = SentenceSplitter(lowercase, fold_numbers, keep_blank_lines)
        check_vocabulary_limits(min_count, max_vocab_size)
        self.min_count, self.max_vocab_size = min_count, max_vocab_size
        self.options: list[object] = [lowercase, fold_numbers, keep_blank_lines, min_count, max_vocab_size]
        checked = check_fractions(fractions)
        self.fractions: list[float] | None = None
        if isinstance(dir, str | Path) and (file := Path(os.path.expanduser(dir))).is_file():
            self.fractions = checked
            self.options.append(checked)
            self.files = dict.fromkeys(SPLITS, file)
        else:
            self.files = split_files(dir, "{}.txt", "{}.tokens")

    def fingerprint(self) -> str:
        """Hash the bytes of the files, and the options."""
        self.__dict__.pop("_bounds", None)  # of an earlier text
        return digest(self.name, self.hash_files(), self.options)

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one sentence after another."""
        if self.fractions is None:
            yield from super().sentences(split)
            return
        (start, end), before, literal_eos = self._bounds[split], 0, 0
        for number, words in enumerate(super().sentences(split)):  # to the end, since that verifies the file
            if number < start:
                before = self._reader.literal_eos
            elif number < end:
                literal_eos = self._reader.literal_eos - before
                yield words
        self.literal_eos = {**self.literal_eos, split: literal_eos}

    @cached_property
    def _bounds(self) -> dict[str, tuple[int, int]]:
        """The first sentence of each split, and the first after it."""
        count = sum(1 for _ in super().sentences("train"))
        ends = [round(count * total) for total in accumulate(self.fractions or ())]
        ends[-1] = count  # the sum of the fractions may be a little less than 1
        return dict(zip(SPLITS, zip([0, *ends[:-1]], ends, strict=True), strict=True))


def check_fractions(fractions: Any) -> list[float]:
    """Return the fractions of train, valid and test.

    Raises:
        ValueError: if they are not three positive numbers whose sum is one.
    """
    fractions = list(fractions) if isinstance(fractions, tuple) else fractions
    check_numbers("data.fractions", fractions, "[0.8,0.1,0.1]", count=len(SPLITS), above=0, below=1)
    if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise unexpected("data.fractions", "three fractions whose sum is 1", list(fractions), "[0.8,0.1,0.1]")
    return [float(fraction) for fraction in fractions]
