"""Your own text: a folder with `train.txt`, `valid.txt` and `test.txt`, in UTF-8, one sentence per line.

    python -m lm.train data=text data.dir=FOLDER

`lm/data/text_reader.py` says what is a line, a word and a sentence.
"""

from pathlib import Path

import pooch

from lm.data.sources.files import FileSource, split_files
from lm.data.sources.source import check_vocabulary_limits, digest
from lm.data.text_reader import SentenceSplitter


class TextSource(FileSource):
    """The sentences of three files; the options are those of `conf/data/text.yaml`.

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
    ) -> None:
        self.splitter = SentenceSplitter(lowercase, fold_numbers, keep_blank_lines)
        check_vocabulary_limits(min_count, max_vocab_size)
        self.min_count, self.max_vocab_size = min_count, max_vocab_size
        self.options = [lowercase, fold_numbers, keep_blank_lines, min_count, max_vocab_size]
        self.files = split_files(dir, "{}.txt")

    def fingerprint(self) -> str:
        """Hash the bytes of the three files, and the options."""
        self.hashes = {split: pooch.file_hash(path) for split, path in self.files.items()}
        return digest(self.name, list(self.hashes.values()), self.options)

    def path(self, split: str) -> Path:
        """Return the split's file."""
        return self.files[split]
