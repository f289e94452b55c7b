from typing import Any

import pytest

from lm.data.corpus import load_corpus
from lm.data.sources import SPLITS
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


def test_one_file_is_split_by_fractions_in_its_order(tmp_path):
    (tmp_path / "all.txt").write_text("".join(f"line {number}\n\n" for number in range(20)) + "end <eos> end\n")
    source = TextSource(tmp_path / "all.txt", fractions=[0.5, 0.2, 0.3])
    found = {split: [words[-1] for words in source.sentences(split)] for split in SPLITS}
    assert [len(ends) for ends in found.values()] == [11, 4, 7]
    assert [word for ends in found.values() for word in ends] == [*map(str, range(20)), "end", "end"]
    assert source.fingerprint() != TextSource(tmp_path / "all.txt").fingerprint()
    assert source.literal_eos == {"train": 0, "valid": 0, "test": 1}


def test_one_file_that_changes_after_its_lines_were_counted_is_counted_again(tmp_path):
    class Growing(TextSource):
        opened = 0

        def path(self, split):
            self.opened += 1
            if self.opened == 2:  # the first time its lines are counted
                with self.files[split].open("a") as file:
                    file.write("c\n")
            return super().path(split)

    (tmp_path / "all.txt").write_text("a b\n" * 20)
    corpus = load_corpus(Growing(tmp_path / "all.txt"), tmp_path / "cache")
    assert sum(int((ids == corpus.vocabulary.eos_id).sum()) for ids in corpus.splits.values()) == 21
    assert corpus.sha256 == TextSource(tmp_path / "all.txt").fingerprint()


def test_no_sentence_is_lost_if_the_sum_of_the_fractions_is_a_little_less_than_one(tmp_path):
    (tmp_path / "all.txt").write_text("a b\n" * 1000)
    source = TextSource(tmp_path / "all.txt", fractions=[0.4, 0.3, 0.2999995])
    source.fractions[2] -= 0.01  # as the difference is for a very long text
    assert [len(list(source.sentences(split))) for split in SPLITS] == [400, 300, 300]


@pytest.mark.parametrize("fractions", [[0.8, 0.2], [0.8, 0.1, 0.2], [1, 0, 0], 0.8, [0.8, 0.1, "a"]])
def test_fractions_are_three_positive_numbers_whose_sum_is_one(tmp_path, fractions):
    (tmp_path / "all.txt").write_text("a b\n")
    with pytest.raises(ValueError, match=r"expected data\.fractions to be"):
        TextSource(tmp_path / "all.txt", fractions=fractions)
