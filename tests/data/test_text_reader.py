import gzip
import io
import os
import sys
import threading
import tracemalloc

import pytest

from lm.data.sources import SPLITS
from lm.data.sources.text import TextSource
from lm.data.text_reader import NUMBER, SentenceSplitter, open_text, read_lines

TEXT = "a b\n\nc <eos> d\n"


def split(text, **options):
    return list(SentenceSplitter(**options).split(io.StringIO(text, newline=None)))


def read(path):
    with open_text(path) as file:
        return list(SentenceSplitter().split(read_lines(file, path)))


def lines_of_bytes(content):
    return list(read_lines(io.BytesIO(content), "text.txt"))


def test_a_line_is_a_sentence_and_white_space_separates_words():
    assert split(" the cat \nsat\ton\u00a0the\u3000mat\nno newline") == [
        ["the", "cat"],
        ["sat", "on", "the", "mat"],
        ["no", "newline"],
    ]


def test_the_words_of_a_text_are_prepared_and_keep_a_literal_eos():
    assert SentenceSplitter().words("A 1,000 <eos>\n b") == ["A", "1,000", "<eos>", "b"]
    assert SentenceSplitter(lowercase=True, fold_numbers=True).words("A 1,000 <eos>") == ["a", "N", "<eos>"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_same_line_ends_count_in_files_and_in_texts(tmp_path, end):
    text = end.join(["a b", "c", "", "d"]) + end
    (tmp_path / "text").write_bytes(text.encode())
    assert split(text) == read(tmp_path / "text") == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize("separator", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_other_separators_of_unicode_separate_words_not_lines(tmp_path, separator):
    (tmp_path / "text").write_text(f"a{separator}b\nc", encoding="utf-8")
    assert split(f"a{separator}b\nc") == read(tmp_path / "text") == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("text", "sentences", "literal"),
    [
        ("a b <eos>\n", [["a", "b"]], 1),
        ("a b <eos> \r\nc\n", [["a", "b"], ["c"]], 1),
        ("a <eos> b", [["a"], ["b"]], 1),
        ("<eos> a <eos> <eos> b <eos>", [["a"], ["b"]], 4),
        ("<eos>", [], 1),
        ("a<eos>b <eos>c", [["a<eos>b", "<eos>c"]], 0),
    ],
)
def test_a_literal_eos_ends_a_sentence_and_is_counted(text, sentences, literal):
    splitter = SentenceSplitter()
    assert list(splitter.split(io.StringIO(text, newline=None))) == sentences
    assert splitter.literal_eos == literal


def test_a_line_without_words_is_a_sentence_only_if_it_is_kept():
    assert split("a\n\n \n<eos>\nb <eos> <eos> c\n") == [["a"], ["b"], ["c"]]
    assert split("a\n\n \n<eos>\nb <eos> <eos> c\n", keep_blank_lines=True) == [["a"], [], [], [], ["b"], [], ["c"]]


def test_nothing_is_changed_by_default():
    assert split("The 3 Cats, N\n") == [["The", "3", "Cats,", "N"]]


def test_lowercase_writes_words_in_lower_case_and_finds_an_eos_there():
    assert split("The ÉTUDE <UNK> <EOS> ΟΔΟΣ\n", lowercase=True) == [["the", "étude", "<unk>"], ["οδος"]]


def test_fold_numbers_writes_numbers_as_a_capital_n_even_with_lowercase():
    found = split("In 1990 , 1,000.50 or v2\n", lowercase=True, fold_numbers=True)
    assert found == [["in", "N", ",", "N", "or", "v2"]]


@pytest.mark.parametrize("number", ["7", "1,000,000", "3.14", ".5", "-3", "+2", "1/2", "12:30", "1990"])
def test_a_number(number):
    assert NUMBER.fullmatch(number)


@pytest.mark.parametrize("word", ["N", "-", ".", "3rd", "1990s", "a1", "1,", "e.g."])
def test_not_a_number(word):
    assert not NUMBER.fullmatch(word)


def test_a_splitter_takes_its_options_from_those_of_the_data():
    options = {"name": "text", "dir": "x", "lowercase": True, "min_count": 3}
    assert SentenceSplitter.from_options(options) == SentenceSplitter(lowercase=True)
    assert SentenceSplitter.from_options({"name": "ptb"}) == SentenceSplitter()


@pytest.mark.parametrize("options", [{}, {"lowercase": True, "keep_blank_lines": True}])
def test_a_corpus_and_a_text_have_the_same_sentences(tmp_path, options):
    text = "A b <EOS>\r\rc <eos> 7\n<eos>\u2028d\n"
    for name in SPLITS:
        (tmp_path / f"{name}.txt").write_bytes(text.encode())
    assert list(TextSource(tmp_path, **options).sentences("train")) == split(text, **options)


@pytest.mark.parametrize(
    ("content", "line", "before"),
    [
        (b"abc\nna\xefve\n", 2, 6),
        (b"\xef\xbb\xbfab\xff\n", 1, 5),
        (b"a\rb\r\nc\n\xff", 4, 7),
        (b"\r" * 8192 + b"\n" * 8192 + b"\xff", 16384, 16384),
        (b"a" * 8191 + "é".encode() + b"\n" + b"b" * 9000 + b"\xc3", 2, 17194),
    ],
)
def test_text_that_is_not_utf8_is_refused_with_line_and_byte(content, line, before):
    with pytest.raises(
        ValueError, match=rf"^expected UTF-8 text in 'text.txt', .* in line {line}, after {before} bytes:"
    ):
        lines_of_bytes(content)


def test_a_byte_order_mark_is_not_part_of_the_first_word():
    assert lines_of_bytes(b"\xef\xbb\xbfthe cat\n\xef\xbb\xbf") == ["the cat\n", "\ufeff"]


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_long_text_is_never_in_memory_as_a_whole(tmp_path, end):
    (tmp_path / "text").write_bytes((b"the cat sat" + end) * 200_000)
    tracemalloc.start()
    try:
        with open_text(tmp_path / "text") as file:
            assert sum(1 for _ in SentenceSplitter().split(read_lines(file, "text"))) == 200_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5e5


def test_a_gzip_file_is_read_by_any_name(tmp_path):
    for name in ("text.gz", "text"):
        (tmp_path / name).write_bytes(gzip.compress(TEXT.encode()))
        assert read(tmp_path / name) == split(TEXT)


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-12], lambda whole: whole[:-8] + bytes(8), lambda whole: whole[:9]]
)
def test_a_damaged_gzip_file_is_refused(tmp_path, damage):
    (tmp_path / "text.gz").write_bytes(damage(gzip.compress(TEXT.encode())))
    with pytest.raises(ValueError, match=r"expected a whole gzip file, found '.*text\.gz' damaged"):
        read(tmp_path / "text.gz")


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_read_and_stays_open(tmp_path, monkeypatch, name):
    (tmp_path / "text").write_text(TEXT)
    with (tmp_path / "text").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert read(name) == split(TEXT)
        assert not file.closed


def test_a_named_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(TEXT,))
    writer.start()
    assert read(tmp_path / "pipe") == split(TEXT)
    writer.join()


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"), open_text(tmp_path / "nowhere"):
        pass
