"""WikiText-2 and WikiText-103 (Merity et al., 2016, arXiv:1609.07843): good articles of Wikipedia.

    python -m lm.train data=wikitext2 data.dir=FOLDER     # wiki.{train,valid,test}.tokens, or .raw
    python -m lm.train data=wikitext103 data.dir=FOLDER

Blank lines count as `<eos>`, as in the published counts of tokens, which are checked. In the original files words that
occur fewer than three times are `<unk>` already; of the raw ones they become `<unk>` here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from lm.data.sources.files import FileSource, split_files
from lm.data.sources.source import digest
from lm.data.text_reader import SentenceSplitter

RAW_TOLERANCE = 0.001
"""The relative difference of counts up to which raw files are accepted: rare words of theirs contain white space."""

MIN_COUNT = 3


class WikiText2(FileSource):
    """The files of a folder, whose tokens are counted.

    Raises:
        ValueError, FileNotFoundError: if `dir` is not a folder with the three files.
    """

    name = "wikitext2"
    splitter = SentenceSplitter(keep_blank_lines=True)
    tokens: ClassVar[dict[str, int]] = {"train": 2_088_628, "valid": 217_646, "test": 245_569}
    """The published numbers of tokens, `<eos>` included."""

    def __init__(self, dir: str | Path | None = None) -> None:
        self.files = split_files(dir, "wiki.{}.tokens", "wiki.{}.raw")
        self.raw = any(path.suffix == ".raw" for path in self.files.values())
        self.min_count = MIN_COUNT if self.raw else 1

    def fingerprint(self) -> str:
        """Hash the bytes of the three files, and what they are checked by."""
        return digest(self.name, self.hash_files(), self.raw, self.tokens)

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one line after another.

        Raises:
            ValueError: at the end, if the number of tokens is not the published one.
        """
        found, expected = 0, self.tokens[split]
        for words in super().sentences(split):
            found += len(words) + 1
            yield words
        if abs(found - expected) > (RAW_TOLERANCE * expected if self.raw else 0):
            raise ValueError(
                f"expected {expected:,} tokens in '{self.files[split]}', the published number for data={self.name}, "
                f"found {found:,}: type data.dir=FOLDER with the original files, or data=text for another text"
            )


class WikiText103(WikiText2):
    """As `WikiText2`."""

    name = "wikitext103"
    tokens: ClassVar[dict[str, int]] = {"train": 103_227_021, "valid": 217_646, "test": 245_569}
