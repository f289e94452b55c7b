from typing import Any

import pytest

from lm.data.corpus import load_corpus
from lm.data.sources import SPLITS, make_source
from lm.data.sources.source import TextChanged
from lm.data.sources.text import TextSource


@pytest.fixture
def folder(tmp_path):
    """Write a folder of text; splits that are not given hold `a b`."""

    def write(**texts):
        for split in SPLITS:
            text = texts.get(split, "a b\n")
            (tmp_path / f"{split}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def test_each_split_is_its_file(folder):
    source = TextSource(folder(train="a b\nc d\n", valid="e\r\rF", test="g <eos> h"), lowercase=True)
    assert [list(source.sentences(split)) for split in SPLITS] == [
        [["a", "b"], ["c", "d"]],
        [["e"], ["f"]],
        [["g"], ["h"]],
    ]


def test_blank_lines_can_be_kept(folder):
    text = folder(train="a b\n\n \nc\n")
    assert list(TextSource(text).sentences("train")) == [["a", "b"], ["c"]]
    assert list(TextSource(text, keep_blank_lines=True).sentences("train")) == [["a", "b"], [], [], ["c"]]


def test_text_that_is_not_utf8_is_refused_with_its_file(folder):
    with pytest.raises(ValueError, match=r"expected UTF-8 text in '.*valid\.txt', found the byte 0xef in line 2"):
        list(TextSource(folder(valid=b"abc\nna\xefve\n")).sentences("valid"))


def test_a_compressed_file_is_no_text(folder):
    with pytest.raises(ValueError, match=r"expected UTF-8 text in '.*train\.txt', found the byte 0x8b in line 1"):
        list(TextSource(folder(train=b"\x1f\x8b\x08")).sentences("train"))


@pytest.mark.parametrize("folder", [None, "", " ", True, 5, 1.5, [], ["a"], {}])
def test_a_folder_that_is_no_path_is_refused(folder):
    sentence = (
        r"^expected data\.dir to be a folder with train\.txt, valid\.txt, test\.txt, found .*: type data\.dir=FOLDER$"
    )
    with pytest.raises(ValueError, match=sentence):
        make_source("text", dir=folder)


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "~nobody-of-this-name/x"])
def test_a_missing_folder_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"found no folder '.*': type data\.dir=FOLDER"):
        TextSource(tmp_path / name)


def test_a_missing_file_is_refused(folder):
    text = folder()
    (text / "valid.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"a folder with train.*, found no valid\.txt in '.*': type data\.dir="):
        TextSource(text)


def test_the_fingerprint_changes_with_the_text_and_with_every_option(folder):
    options: list[dict[str, Any]] = [
        {},
        {"lowercase": True},
        {"fold_numbers": True},
        {"keep_blank_lines": True},
        {"min_count": 2},
        {"max_vocab_size": 9},
    ]
    keys = [TextSource(folder(), **given).fingerprint() for given in options]
    keys += [TextSource(folder(**{split: "b a\n"})).fingerprint() for split in SPLITS]
    assert len(set(keys)) == len(options) + len(SPLITS)


def test_the_fingerprint_does_not_change_with_the_place_of_the_folder(folder, tmp_path):
    before = TextSource(folder()).fingerprint()
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    assert TextSource(str(moved)).fingerprint() == before


def test_a_file_that_was_changed_after_the_fingerprint_is_noticed_at_its_end(folder):
    source = TextSource(folder())
    source.fingerprint()
    folder(valid="a b c\n")
    assert list(source.sentences("train")) == [["a", "b"]]
    with pytest.raises(
        TextChanged, match=r"expected '.*valid\.txt' to stay as it is while it is read, found it changed"
    ):
        list(source.sentences("valid"))


class GrowingText(TextSource):
    """A text to which `times` lines are added, one whenever the training split is opened."""

    times = 1

    def path(self, split):
        if split == "train" and self.times:
            self.times -= 1
            with self.files[split].open("a") as file:
                file.write("c\n")
        return super().path(split)


def test_a_text_that_changes_while_it_is_encoded_is_encoded_again_under_the_hash_of_what_was_read(folder, tmp_path):
    source = GrowingText(folder())
    corpus = load_corpus(source, tmp_path / "cache")
    assert corpus.vocabulary.decode(corpus.splits["train"].tolist()) == ["a", "b", "<eos>", "c", "<eos>"]
    assert corpus.sha256 == TextSource(tmp_path).fingerprint()
    folder()  # the text that was there before
    again = load_corpus(TextSource(tmp_path), tmp_path / "cache")
    assert again.vocabulary.decode(again.splits["train"].tolist()) == ["a", "b", "<eos>"]


def test_a_text_that_keeps_changing_is_refused_and_nothing_is_cached(folder, tmp_path):
    source = GrowingText(folder())
    source.times = 100
    with pytest.raises(ValueError, match="found it changed: type the command again when the file is complete"):
        load_corpus(source, tmp_path / "cache")
    assert source.times > 90
    assert not [path for path in (tmp_path / "cache" / "corpora").iterdir() if path.is_dir()]
