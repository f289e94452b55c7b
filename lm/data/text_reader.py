r"""UTF-8 text -> lines -> sentences of words, the same for corpora and for text that a saved model scores.

A line ends with `\n`, `\r\n` or `\r`. White space, as `str.split` defines it, separates words. A line is a sentence,
and a literal `<eos>` ends a sentence within a line:

    the cat sat             the cat sat
    it slept <eos>          it slept
    it woke <eos> it ate    it woke | it ate
                            nothing; with keep_blank_lines, a sentence without words
"""

import gzip
import hashlib
import io
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from lm.checks import check_choice, check_flag
from lm.data.vocabulary import EOS, SPACE

LEVELS = ("word", "char")
GZIP_MAGIC = b"\x1f\x8b"
LINE_END = re.compile(rb"\r\n?|\n")
LITERAL_EOS = re.compile(rf"(?<!\S){EOS}(?!\S)")
# Digits with the marks written inside or before them: 7, 1,000.50, -3, 1/2, 12:30.
NUMBER = re.compile(r"[-+]?[.,]?\d+(?:[.,:/]\d+)*")


@dataclass
class SentenceSplitter:
    """Splits lines into sentences, with the options that `conf/data/text.yaml` explains, off by default.

    The level `char` returns the characters of each sentence instead of its words. `literal_eos` counts the `<eos>` in
    the lines so far.
    """

    lowercase: bool = False
    fold_numbers: bool = False
    keep_blank_lines: bool = False
    level: str = "word"
    literal_eos: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        for option in ("lowercase", "fold_numbers", "keep_blank_lines"):
            check_flag(f"data.{option}", getattr(self, option))
        check_choice("data.level", self.level, LEVELS)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the splitter of a corpus with these options of `data`; a corpus without such options uses defaults."""
        names = {option.name for option in fields(cls) if option.init}
        return cls(**{name: value for name, value in options.items() if name in names})

    def split(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Yield the words of one sentence after another, without `<eos>`."""
        for line in lines:
            *ended, rest = LITERAL_EOS.split(self._lower(line))
            self.literal_eos += len(ended)
            for sentence in [*ended, rest] if not ended or rest.strip() else ended:
                words = sentence.split()
                if words or self.keep_blank_lines:
                    yield self._fold(words)

    def words(self, text: str) -> list[str]:
        """Return the words of a text, in which a literal `<eos>` is a word too."""
        return self._fold(self._lower(text).split())

    def _lower(self, text: str) -> str:
        return text.lower() if self.lowercase else text

    def _fold(self, words: list[str]) -> list[str]:
        words = ["N" if NUMBER.fullmatch(word) else word for word in words] if self.fold_numbers else words
        return to_characters(words) if self.level == "char" else words


def to_characters(words: Sequence[str]) -> list[str]:
    """Return the characters of a sentence, with `SPACE` between its words."""
    return list(SPACE.join(words))


PREPARATION = (*(option.name for option in fields(SentenceSplitter) if option.init), "min_count", "max_vocab_size")
"""The options of a corpus that decide which words a text becomes."""


@contextmanager
def open_text(path: Path | str) -> Iterator[Any]:
    """Open a file, a named pipe or, for `-`, standard input to be read as bytes, uncompressed if it is a gzip file.

    Raises:
        OSError: if it can't be opened or read.
        ValueError: if a gzip file is damaged, or standard input is closed.
    """
    standard_input = str(path) in ("-", "/dev/stdin")
    if standard_input and sys.stdin is None:
        raise ValueError("expected text on standard input, found it closed: type file=FILE")
    with nullcontext(sys.stdin.buffer) if standard_input else open(path, "rb") as file:
        if cast(io.BufferedReader, file).peek(2)[:2] != GZIP_MAGIC:
            yield file
            return
        try:
            with gzip.open(file) as uncompressed:
                yield uncompressed
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"expected a whole gzip file, found '{path}' damaged: compress the text again") from error


def read_lines(file: Any, name: Path | str, sha256: Any = None) -> Iterator[str]:
    """Yield the lines of UTF-8 text, which is never in memory as a whole.

    Args:
        file: opened to read bytes.
        name: of the file, for messages.
        sha256: an object of `hashlib`, updated with the bytes as they are read.

    Raises:
        ValueError: if the text is not UTF-8.
    """
    tap, line_number = _Tap(file, sha256), 1
    try:
        for line in io.TextIOWrapper(cast(BinaryIO, tap), encoding="utf-8-sig"):
            yield line
            line_number += 1
    except UnicodeDecodeError as error:
        byte, before = error.object[error.start], error.object[: error.start]
        raise ValueError(
            f"expected UTF-8 text in '{name}', found the byte 0x{byte:02x} in line "
            f"{line_number + len(LINE_END.findall(before))}, after {tap.size - len(error.object) + len(before)} bytes: "
            "save it as UTF-8"
        ) from None


class _Tap(io.BufferedIOBase):
    """Counts and hashes the bytes that a `TextIOWrapper` reads from a file."""

    def __init__(self, file: Any, sha256: Any) -> None:
        self.file, self.sha256, self.size = file, sha256 or hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1, /) -> bytes:
        chunk: bytes = self.file.read1(size)
        while chunk.endswith(b"\r") and (following := self.file.read(1)):
            chunk += following  # no line end is divided between two chunks, so that lines can be counted
        self.size += len(chunk)
        self.sha256.update(chunk)
        return chunk
