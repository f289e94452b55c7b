import csv
import io

import pytest

from lm.data.vocabulary import EOS, SPACE, UNK, Vocabulary
from lm.evaluation.sentence_scores import ScoredSentence
from lm.evaluation.sentence_table import csv_text, plain_text, sentence_rows, total_text, word_rows

VOCABULARY = Vocabulary(["a", "1e5", EOS, UNK])
SENTENCES = [
    ScoredSentence(("a", 'b,"', EOS), (-1.0, -2.5, -0.5)),
    ScoredSentence(("1e5", EOS), (-3.25, -0.1234567890123)),
]


def test_a_row_per_word_has_the_value_of_the_word_and_of_its_sentence():
    rows = word_rows(SENTENCES, VOCABULARY)
    assert [row["word"] for row in rows] == ["a", 'b,"', EOS, "1e5", EOS]
    assert [row["read_as"] for row in rows] == ["a", UNK, EOS, "1e5", EOS]
    assert [(row["sentence"], row["position"]) for row in rows] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert [row["sentence_log_probability"] for row in rows[:3]] == [-4.0] * 3


def test_a_row_per_sentence_has_its_sum_and_perplexity():
    rows = sentence_rows(SENTENCES, VOCABULARY)
    assert [row["log_probability"] for row in rows] == [-4.0, -3.3734567890123]
    assert [(row["tokens"], row["unknown"], row["text"]) for row in rows] == [(3, 1, 'a b,"'), (2, 0, "1e5")]
    assert rows[0]["ppl"] == pytest.approx(3.79366789)


def test_a_sentence_of_characters_is_shown_as_text():
    vocabulary = Vocabulary(["a", SPACE, EOS, UNK])
    [row] = sentence_rows([ScoredSentence(("a", SPACE, "a", EOS), (-1.0,) * 4)], vocabulary)
    assert row["text"] == "a a"


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
def test_csv_holds_all_digits_and_any_word(rows):
    table = rows(SENTENCES, VOCABULARY)
    read = list(csv.DictReader(io.StringIO(csv_text(table))))
    assert read == [{name: str(value) for name, value in row.items()} for row in table]


def test_a_table_is_made_in_linear_time(monkeypatch):
    """The sum over a sentence is computed once, not for every word."""
    sums = []
    monkeypatch.setattr(ScoredSentence, "log_probability", property(lambda one: sums.append(one) or -1.0))
    word_rows(SENTENCES, VOCABULARY)
    assert len(sums) == len(SENTENCES)


def test_the_terminal_shows_control_characters_as_escapes():
    assert "\\x1b[31ma" in plain_text(word_rows([ScoredSentence(("\x1b[31ma", EOS), (-1.0, -2.0))], VOCABULARY))


def test_the_summary_is_over_all_tokens_and_over_those_that_are_known():
    assert total_text(SENTENCES, VOCABULARY) == (
        "2 sentences, 5 tokens (<eos> included): log-probability -7.3735 nats, perplexity 4.3697; "
        "without the 1 <unk>: 3.3817"
    )
    one = [ScoredSentence((EOS,), (-1.0,))]
    assert total_text(one, VOCABULARY) == (
        "1 sentence, 1 token (<eos> included): log-probability -1.0000 nats, perplexity 2.7183"
    )
