"""A folder of one's own text: `train.txt`, `valid.txt` and `test.txt`, in UTF-8, one sentence a line.

Its command:

    python -m lm.train data=text data.dir=FOLDER
"""

import codecs
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from lm.checks import check_flag
from lm.data.sources.source import SPLITS, Source, check_vocabulary_limits, digest

# Digits with the marks written inside or before them: 7, 1,000.50, -3, 1/2, 12:30.
NUMBER = re.compile(r"[-+]?[.,]?\d+(?:[.,:/]\d+)*")


class TextSource(Source):
    """Words separated by white space, a sentence a line; every option is off unless it is given.

    `lowercase` writes every word in lower case, and `fold_numbers` writes every number as `N`. A line without words
    is no sentence and is skipped; with `keep_blank_lines` it counts as a sentence of `<eos>` alone, which is how the
    published token counts of WikiText come about.
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
    ) -> None:
        if dir is None:
            raise ValueError(
                "data=text needs the folder that holds train.txt, valid.txt and test.txt, but none was given: "
                "add data.dir=FOLDER."
            )
        check_flag("data.lowercase", lowercase)
        check_flag("data.fold_numbers", fold_numbers)
        check_flag("data.keep_blank_lines", keep_blank_lines)
        check_vocabulary_limits(min_count, max_vocab_size)
        self.files = split_files(dir, "{}.txt")
        self.lowercase = lowercase
        self.fold_numbers = fold_numbers
        self.keep_blank_lines = keep_blank_lines
        self.min_count = min_count
        self.max_vocab_size = max_vocab_size

    def fingerprint(self) -> str:
        """Hash the bytes of the three files and the options."""
        options = [self.lowercase, self.fold_numbers, self.keep_blank_lines, self.min_count, self.max_vocab_size]
        return digest(self.name, [file_sha256(self.files[split]) for split in SPLITS], options)

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one line after another; the file is never in memory as a whole."""
        for words in read_sentences(self.files[split]):
            if words or self.keep_blank_lines:
                yield [self._clean(word) for word in words]

    def location(self, split: str) -> str:
        """Name the split's file."""
        return str(self.files[split])

    def _clean(self, word: str) -> str:
        if self.fold_numbers and NUMBER.fullmatch(word):
            return "N"
        return word.lower() if self.lowercase else word


def split_files(dir: str | Path, pattern: str) -> dict[str, Path]:
    """Give the file of each split, or raise a FileNotFoundError that says what the folder should hold."""
    folder = Path(str(dir)).expanduser()
    files = {split: folder / pattern.format(split) for split in SPLITS}
    expected = ", ".join(path.name for path in files.values())
    if not folder.is_dir():
        raise FileNotFoundError(f"data.dir={folder} is not a folder: give the folder that holds {expected}.")
    for path in files.values():
        if not path.is_file():
            raise FileNotFoundError(f"data.dir={folder} must hold {expected}, but there is no {path.name} in it.")
    return files


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sentences(path: Path) -> Iterator[list[str]]:
    """Yield the words of every line, also of a line without any.

    Raises a ValueError that names file, line and byte where the text is not UTF-8.
    """
    start = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                words = text.decode("utf-8").split()
            except UnicodeDecodeError as error:
                offset = start + len(line) - len(text) + error.start
                raise ValueError(
                    f"{path} must be UTF-8 text, but line {number} is not (byte {offset} of the file is "
                    f"0x{text[error.start]:02x}): save it as UTF-8."
                ) from None
            start += len(line)
            yield words
