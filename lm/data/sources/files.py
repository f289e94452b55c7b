"""A corpus in text files, one per split."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pooch

from lm.checks import unexpected
from lm.data.sources.source import SPLITS, Source, TextChanged
from lm.data.text_reader import SentenceSplitter, read_lines


class FileSource(Source):
    """Splits the lines of files into sentences, and compares the SHA-256 of what was read to `hashes`."""

    splitter = SentenceSplitter()
    files: Mapping[str, Path] = {}
    hashes: Mapping[str, str] = {}

    def path(self, split: str) -> Path:
        """Return the split's file."""
        return self.files[split]

    def hash_files(self) -> list[str]:
        """Set `hashes` to those of the files as they are now, and return them."""
        self.hashes = {split: pooch.file_hash(path) for split, path in self.files.items()}
        return list(self.hashes.values())

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one sentence after another; the file is never in memory as a whole."""
        path, sha256 = self.path(split), hashlib.sha256()
        self._reader = replace(self.splitter)
        with path.open("rb") as file:
            yield from self._reader.split(read_lines(file, path, sha256))
        self.literal_eos = {**self.literal_eos, split: self._reader.literal_eos}
        if self.hashes.get(split, sha256.hexdigest()) != sha256.hexdigest():
            raise TextChanged(
                f"expected '{path}' to stay as it is while it is read, found it changed: type the command again when "
                "the file is complete"
            )


STEMS = {"train": ("train",), "valid": ("valid", "val", "validation", "dev"), "test": ("test",)}
"""The names of a split; messages use the first."""


def split_files(dir: object, *patterns: str) -> dict[str, Path]:
    """Return the file of each split in the folder `dir`.

    Args:
        dir: the folder.
        patterns: of the files' names, such as `{}.txt`; `{}` stands for a name in `STEMS`.

    Raises:
        ValueError: if `dir` is no path, or two files have names of the same split.
        FileNotFoundError: if the folder or a file is missing.
    """
    names = {split: patterns[0].format(split) for split in SPLITS}
    wanted = f"a folder with {', '.join(names.values())}"
    if not isinstance(dir, str | Path) or not str(dir).strip():
        raise unexpected("data.dir", wanted, dir, "FOLDER")
    folder = Path(os.path.expanduser(dir))
    files = {
        split: [path for pattern in patterns for stem in stems if (path := folder / pattern.format(stem)).is_file()]
        for split, stems in STEMS.items()
    }
    missing = [names[split] for split, found in files.items() if not found]
    if missing:
        found = f"no {missing[0]} in '{folder}'" if folder.is_dir() else f"no folder '{folder}'"
        raise FileNotFoundError(f"expected data.dir to be {wanted}, found {found}: type data.dir=FOLDER")
    for several in (found for found in files.values() if len(found) > 1):
        named = " and ".join(path.name for path in several)
        raise ValueError(f"expected one file of each split in '{folder}', found {named}: move one of them elsewhere")
    return {split: found[0] for split, found in files.items()}
