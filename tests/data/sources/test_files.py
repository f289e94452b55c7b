import hashlib

import pytest

from lm.data.sources import SPLITS
from lm.data.sources.files import FileSource, split_files
from lm.data.sources.source import TextChanged
from lm.data.text_reader import SentenceSplitter

WANTED = r"^expected data\.dir to be a folder with train\.txt, valid\.txt, test\.txt, found "


class Files(FileSource):
    """A corpus in the files of a folder."""

    name = "files"

    def __init__(self, folder, **options):
        self.folder, self.splitter = folder, SentenceSplitter(**options)

    def path(self, split):
        return self.folder / f"{split}.txt"

    def fingerprint(self):
        self.hashes = {split: hashlib.sha256(self.path(split).read_bytes()).hexdigest() for split in SPLITS}
        return "".join(self.hashes.values())


@pytest.fixture
def folder(tmp_path):
    """A folder with a text for each split."""
    for split in SPLITS:
        (tmp_path / f"{split}.txt").write_text(f"{split} A\n")
    return tmp_path


def test_each_split_is_the_sentences_of_its_file(folder):
    source = Files(folder, lowercase=True)
    assert {split: list(source.sentences(split)) for split in SPLITS} == {split: [[split, "a"]] for split in SPLITS}


def test_literal_ends_are_counted_for_each_split_and_not_twice(folder):
    (folder / "train.txt").write_text("a <eos> b\nc <eos>\n")
    source = Files(folder)
    for split in ("train", "valid", "train"):
        list(source.sentences(split))
    assert source.literal_eos == {"train": 2, "valid": 0}
    assert FileSource.literal_eos == {}


@pytest.mark.parametrize("content", [b"abc\nna\xefve\n", b"abc\n\x1f\x8b\x08"], ids=["latin-1", "gzip"])
def test_text_that_is_not_utf8_is_refused_with_its_file(folder, content):
    (folder / "valid.txt").write_bytes(content)
    byte = "0xef" if b"\xef" in content else "0x8b"
    with pytest.raises(ValueError, match=rf"expected UTF-8 text in '.*valid\.txt', found the byte {byte} in line 2"):
        list(Files(folder).sentences("valid"))


def test_a_file_that_was_changed_after_the_fingerprint_is_refused_at_its_end(folder):
    source = Files(folder)
    source.fingerprint()
    (folder / "valid.txt").write_text("valid B\n")
    assert list(source.sentences("train")) == [["train", "A"]]
    sentences = source.sentences("valid")
    assert next(sentences) == ["valid", "B"]
    with pytest.raises(TextChanged, match=r"expected '.*valid\.txt' to stay as it is .*, found it changed"):
        next(sentences)


def test_the_files_of_a_folder_are_found(folder, monkeypatch):
    expected = {split: folder / f"{split}.txt" for split in SPLITS}
    monkeypatch.setenv("HOME", str(folder.parent))
    for dir in (folder, str(folder), f"~/{folder.name}"):
        assert split_files(dir, "{}.txt") == expected


@pytest.mark.parametrize("dir", [None, "", " ", True, 5, 1.5, [], ["a"], {}])
def test_a_folder_that_is_no_path_is_refused(dir):
    with pytest.raises(ValueError, match=rf"{WANTED}.*: type data\.dir=FOLDER$"):
        split_files(dir, "{}.txt")


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "~nobody-of-this-name/x"])
def test_a_missing_folder_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=rf"{WANTED}no folder '.*': type data\.dir=FOLDER$"):
        split_files(tmp_path / name, "{}.txt")


def test_a_missing_file_is_refused(folder):
    (folder / "valid.txt").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{WANTED}no valid\.txt in '.*': type data\.dir=FOLDER$"):
        split_files(folder, "{}.txt")


@pytest.mark.parametrize(
    "names", ["train.txt val.txt test.txt", "train.tokens valid.tokens test.tokens", "train.txt dev.tokens test.txt"]
)
def test_files_may_have_other_usual_names(tmp_path, names):
    for name in names.split():
        (tmp_path / name).touch()
    found = split_files(tmp_path, "{}.txt", "{}.tokens")
    assert [path.name for path in found.values()] == names.split()


def test_two_files_of_one_split_are_refused(tmp_path):
    for name in ("train.txt", "valid.txt", "val.txt", "test.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"found valid\.txt and val\.txt: move one of them elsewhere"):
        split_files(tmp_path, "{}.txt")
