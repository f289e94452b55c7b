from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lm.data.sources import SPLITS, make_source
from lm.data.sources.text import NUMBER, TextSource

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Write a folder of text; splits that are not given hold `a b`."""

    def write(**texts: str | bytes) -> Path:
        for split in SPLITS:
            text = texts.get(split, "a b\n")
            (tmp_path / f"{split}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def words(source: TextSource, split: str = "train") -> list[list[str]]:
    return list(source.sentences(split))


def test_a_line_is_a_sentence_and_white_space_parts_words(folder: Folder) -> None:
    source = TextSource(folder(train=" the cat \nsat\ton  the mat\r\nno newline"))
    assert words(source) == [["the", "cat"], ["sat", "on", "the", "mat"], ["no", "newline"]]


def test_words_of_neighbouring_lines_are_never_fused(folder: Folder) -> None:
    assert words(TextSource(folder(train="a b\nc d\n"))) == [["a", "b"], ["c", "d"]]


def test_a_line_without_words_is_skipped_unless_it_is_to_be_kept(folder: Folder) -> None:
    text = folder(train="a b\n\n \nc\n")
    assert words(TextSource(text)) == [["a", "b"], ["c"]]
    assert words(TextSource(text, keep_blank_lines=True)) == [["a", "b"], [], [], ["c"]]


def test_nothing_is_changed_unless_asked(folder: Folder) -> None:
    assert words(TextSource(folder(train="The 3 Cats, N\n"))) == [["The", "3", "Cats,", "N"]]


def test_lowercase_writes_words_in_lower_case(folder: Folder) -> None:
    assert words(TextSource(folder(train="The ÉTUDE <UNK>\n"), lowercase=True)) == [["the", "étude", "<unk>"]]


def test_fold_numbers_writes_numbers_as_a_capital_n_in_lower_case_too(folder: Folder) -> None:
    source = TextSource(folder(train="In 1990 , 1,000.50 or v2\n"), lowercase=True, fold_numbers=True)
    assert words(source) == [["in", "N", ",", "N", "or", "v2"]]


@pytest.mark.parametrize("number", ["7", "1,000,000", "3.14", ".5", "-3", "+2", "1/2", "12:30", "1990"])
def test_a_number(number: str) -> None:
    assert NUMBER.fullmatch(number)


@pytest.mark.parametrize("word", ["N", "-", ".", "3rd", "1990s", "a1", "1,", "e.g."])
def test_not_a_number(word: str) -> None:
    assert not NUMBER.fullmatch(word)


def test_a_byte_order_mark_is_not_part_of_the_first_word(folder: Folder) -> None:
    assert words(TextSource(folder(train=b"\xef\xbb\xbfthe cat\n"))) == [["the", "cat"]]


def test_text_that_is_not_utf8_is_refused_with_file_line_and_byte(folder: Folder) -> None:
    source = TextSource(folder(valid=b"abc\nna\xefve\n"))
    with pytest.raises(ValueError, match=r"valid\.txt must be UTF-8 text, but line 2 is not \(byte 6 .* 0xef\)"):
        words(source, "valid")


def test_the_byte_is_counted_from_the_beginning_of_the_file_also_after_a_mark(folder: Folder) -> None:
    with pytest.raises(ValueError, match=r"line 1 is not \(byte 5 of"):
        words(TextSource(folder(train=b"\xef\xbb\xbfab\xff\n")))


def test_data_text_without_a_folder_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data=text needs the folder .* add data\.dir=FOLDER\."):
        make_source("text")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a folder: give the folder that holds train\.txt"):
        TextSource(tmp_path / "nowhere")


def test_a_missing_file_is_refused(folder: Folder) -> None:
    text = folder()
    (text / "valid.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"must hold train\.txt, valid\.txt, test\.txt, but there is no valid"):
        TextSource(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_count": 0}, r"data\.min_count to be a whole number of at least 1, found 0: type data.min_count=2"),
        ({"min_count": 1.5}, r"data\.min_count .* found 1\.5"),
        ({"max_vocab_size": 2}, r"data\.max_vocab_size to be a whole number of at least 3 or null, found 2"),
        ({"lowercase": "maybe"}, r"data\.lowercase to be true or false, found 'maybe'"),
        ({"fold_numbers": 1}, r"data\.fold_numbers to be true or false, found 1"),
        ({"keep_blank_lines": None}, r"data\.keep_blank_lines to be true or false, found null"),
    ],
)
def test_options_out_of_range_are_refused(folder: Folder, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextSource(folder(), **options)


def test_the_key_changes_with_the_text_and_with_every_option(folder: Folder) -> None:
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


def test_the_key_does_not_change_with_the_place_of_the_folder(folder: Folder, tmp_path: Path) -> None:
    before = TextSource(folder()).fingerprint()
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    assert TextSource(str(moved)).fingerprint() == before
