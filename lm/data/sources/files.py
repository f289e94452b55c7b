"""A corpus in text files, one per split."""

import hashlib
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lm.checks import unexpected
from lm.data.sources.source import SPLITS, Source, TextChanged
from lm.data.text_reader import SentenceSplitter, read_lines


class FileSource(Source):
    """Splits the lines of files into sentences, and compares the SHA-256 of what was read to `hashes`."""

    splitter = SentenceSplitter()
    hashes: Mapping[str, str] = {}

    @abstractmethod
    def path(self, split: str) -> Path:
        """Return the split's file."""

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one sentence after another; the file is never in memory as a whole."""
        path, sha256, splitter = self.path(split), hashlib.sha256(), replace(self.splitter)
        with path.open("rb") as file:
            yield from splitter.split(read_lines(file, path, sha256))
        self.literal_eos = {**self.literal_eos, split: splitter.literal_eos}
        if self.hashes.get(split, sha256.hexdigest()) != sha256.hexdigest():
            raise TextChanged(
                f"expected '{path}' to stay as it is while it is read, found it changed: type the command again when "
                "the file is complete"
            )


def split_files(dir: object, pattern: str) -> dict[str, Path]:
    """Return the file of each split in the folder `dir`.

    Raises:
        ValueError: if `dir` is no path.
        FileNotFoundError: if the folder or a file is missing.
    """
    names = {split: pattern.format(split) for split in SPLITS}
    wanted = f"a folder with {', '.join(names.values())}"
    if not isinstance(dir, str | Path) or not str(dir).strip():
        raise unexpected("data.dir", wanted, dir, "FOLDER")
    folder = Path(os.path.expanduser(dir))
    missing = [name for name in names.values() if not (folder / name).is_file()]
    if missing:
        found = f"no {missing[0]} in '{folder}'" if folder.is_dir() else f"no folder '{folder}'"
        raise FileNotFoundError(f"expected data.dir to be {wanted}, found {found}: type data.dir=FOLDER")
    return {split: folder / name for split, name in names.items()}
