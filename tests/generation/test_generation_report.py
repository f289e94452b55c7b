import pytest

from lm.config import typed
from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.generation.decoder import Continuation
from lm.generation.generation_report import describe_lengths, describe_speed, describe_text, print_texts
from lm.generation.text_generation import GeneratedTexts, GenerationOptions
from tests.bad_values import composed

VOCABULARY = Vocabulary([EOS, UNK, "a", "b\x1b[31m", "c"])


@pytest.fixture(scope="module")
def options():
    return typed(GenerationOptions, composed("generate", "run=FOLDER"))


@pytest.fixture(scope="module")
def with_length():
    return typed(GenerationOptions, composed("generate", "run=FOLDER", "length=6"))


def generated(*texts, length=None):
    return GeneratedTexts(["a"], [Continuation((4,) * words, -1.25, ended) for words, ended in texts], length, 1200)


def test_words_are_those_of_the_whole_text_and_the_unit_is_named(options):
    one = generated((23, False))
    assert describe_text(one, one.texts[0], options) == "    24 words, log-probability -1.2500 nats"
    short = generated((0, True))
    assert describe_text(short, short.texts[0], options) == "    1 word and <eos>, log-probability -1.2500 nats"


def test_a_length_that_was_asked_for_stands_beside_the_one_that_was_generated(options, with_length):
    one = generated((23, False), length=12)
    assert describe_text(one, one.texts[0], with_length).startswith("    24 words (12 asked for), ")
    assert describe_text(one, one.texts[0], options).startswith("    24 words (12 predicted), ")


def test_a_score_is_shown_if_it_is_not_the_log_probability():
    beam = typed(GenerationOptions, composed("generate", "run=FOLDER", "beam.width=2", "beam.length_penalty=1"))
    one = generated((6, True))
    assert describe_text(one, one.texts[0], beam).endswith("-1.2500 nats, score -0.6250")


def test_the_lengths_of_several_texts_are_summed_up(options, with_length):
    texts = ((4, True), (6, True), (5, True), (9, False))
    assert describe_lengths(generated(texts[0]), options) == []
    assert describe_lengths(generated(*texts), options) == [
        "4 texts of 7.00 ± 2.16 words (mean ± standard deviation), 3 with <eos>"
    ]
    assert describe_lengths(generated(*texts, length=6), with_length)[1:] == [
        "6 asked for: mean error 1.50 ± 1.73 words, exact in 1 text"
    ]


def test_the_speed_counts_all_tokens_that_were_read():
    texts = generated((2, True), (3, False))
    assert describe_speed(texts, 0.5) == "6 tokens generated in 0.50 s; the model read 1,200: 2,400 tokens/s"


def test_standard_output_has_the_texts_alone(options, capsys):
    texts = GeneratedTexts(["a"], [Continuation((3, 4), -1.0, True), Continuation((4,), -1.0, True)], None, 5)
    print_texts(texts, VOCABULARY, options, 0.5)
    shown = capsys.readouterr()
    assert shown.out == "a b\\x1b[31m c\na c\n"
    assert "nats" in shown.err
    assert "tokens/s" in shown.err
