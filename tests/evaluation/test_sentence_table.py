import csv

import pytest

from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.evaluation.sentence_scores import ScoredSentence
from lm.evaluation.sentence_table import plain_text, sentence_rows, summary, word_rows, write_csv

VOCABULARY = Vocabulary(["a", "1e5", EOS, UNK])
SENTENCES = [
    ScoredSentence(("a", 'b,"', EOS), (-1.0, -2.5, -0.5)),
    ScoredSentence(("1e5", EOS), (-3.25, -0.1234567890123)),
]


def test_a_row_a_word_has_the_value_of_the_word_and_of_its_sentence():
    rows = word_rows(SENTENCES, VOCABULARY)
    assert [row["word"] for row in rows] == ["a", 'b,"', EOS, "1e5", EOS]
    assert [row["read_as"] for row in rows] == ["a", UNK, EOS, "1e5", EOS]
    assert [(row["sentence"], row["position"]) for row in rows] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert [row["sentence_log_probability"] for row in rows[:3]] == [-4.0] * 3


def test_a_row_a_sentence_has_its_sum_and_perplexity():
    rows = sentence_rows(SENTENCES, VOCABULARY)
    assert [row["log_probability"] for row in rows] == [-4.0, -3.3734567890123]
    assert [(row["tokens"], row["unknown"], row["text"]) for row in rows] == [(3, 1, 'a b,"'), (2, 0, "1e5")]
    assert rows[0]["ppl"] == pytest.approx(3.79366789)


def test_the_terminal_shows_words_that_look_like_numbers_as_words():
    lines = plain_text(word_rows(SENTENCES, VOCABULARY)).splitlines()
    assert lines[0].split() == [
        "sentence",
        "position",
        "word",
        "read_as",
        "log_probability",
        "sentence_log_probability",
    ]
    assert lines[5].split() == ["2", "1", "1e5", "1e5", "-3.2500", "-3.3735"]


@pytest.mark.parametrize("rows", [word_rows, sentence_rows])
def test_csv_holds_all_digits_and_any_word(tmp_path, rows):
    table = rows(SENTENCES, VOCABULARY)
    write_csv(tmp_path / "table.csv", table)
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert read == [{name: str(value) for name, value in row.items()} for row in table]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder to write to"):
        write_csv(tmp_path / "nowhere" / "table.csv", word_rows(SENTENCES, VOCABULARY))


def test_the_summary_is_over_all_tokens():
    assert summary(SENTENCES) == ("2 sentences, 5 tokens (<eos> included): log-probability -7.3735, perplexity 4.3697")
