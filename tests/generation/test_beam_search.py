import pytest
import torch

from lm.generation import beam_search as beam_module
from lm.generation.beam_search import FORMULAS, Beam, beam_search
from lm.generation.decoder import Decoder
from tests.generation.small_models import CELLS, EOS, PROMPT, UNK, everything, log_probabilities_after, small_model

MAX_WORDS = 4
EVERYTHING = 1 + 3 + 9 + 27 + 81  # texts of three words each, with 0 to 3 words and an end, or cut off after 4
PENALTIES = [-3.0, -0.5, 0.0, 0.6, 1.0, 3.0]


def decoder(model):
    return Decoder(model, [UNK])


def by_brute_force(model, beam, max_new_tokens=MAX_WORDS):
    texts = everything(model, PROMPT, max_new_tokens)
    return sorted(texts, key=lambda text: -beam.score(text.log_probability, text.num_tokens))


def greedily(model, max_new_tokens):
    ids = list(PROMPT)
    for _ in range(max_new_tokens):
        log_p_V = log_probabilities_after(model, ids)
        log_p_V[UNK] = -torch.inf
        ids.append(int(log_p_V.argmax()))
        if ids[-1] == EOS:
            break
    return ids[len(PROMPT) :]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_beam_as_wide_as_the_search_space_equals_brute_force(formula, penalty):
    model, beam = small_model("gru").double(), Beam(EVERYTHING, penalty, formula)
    found, expected = beam_search(decoder(model), PROMPT, EOS, MAX_WORDS, beam), by_brute_force(model, beam)
    assert len(found) == len(expected) == EVERYTHING
    assert (found[0].ids, found[0].ended) == (expected[0].ids, expected[0].ended)
    assert {(text.ids, text.ended) for text in found} == {(text.ids, text.ended) for text in expected}
    for one, other in zip(found, expected, strict=True):
        score, expected_score = (beam.score(text.log_probability, text.num_tokens) for text in (one, other))
        assert score == pytest.approx(expected_score, rel=1e-4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("seed", range(3))
def test_every_cell_finds_the_best_text(cell, seed):
    model, beam = small_model(cell, seed), Beam(EVERYTHING)
    found = beam_search(decoder(model), PROMPT, EOS, MAX_WORDS, beam)
    assert found[0].ids == by_brute_force(model, beam)[0].ids


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(8))
def test_a_width_of_one_is_greedy_whatever_the_penalty(penalty, seed):
    model = small_model("lstm", seed, size=12)
    [found] = beam_search(decoder(model), PROMPT, EOS, 8, Beam(1, penalty))
    assert [*found.ids, *[EOS] * found.ended] == greedily(model, 8)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("seed", range(4))
def test_a_larger_penalty_never_makes_the_best_text_shorter(formula, seed):
    model = small_model("lstm", seed)
    lengths = [
        beam_search(decoder(model), PROMPT, EOS, MAX_WORDS, Beam(EVERYTHING, penalty, formula))[0].num_tokens
        for penalty in PENALTIES
    ]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("formula", FORMULAS)
def test_both_directions_are_possible(formula):
    lengths = {
        penalty: beam_search(decoder(small_model()), PROMPT, EOS, MAX_WORDS, Beam(20, penalty, formula))[0].num_tokens
        for penalty in (-10, 10)
    }
    assert lengths == {-10: 1, 10: MAX_WORDS}


def test_the_formulas_are_those_of_their_sources():
    assert Beam(1, 0.6, "gnmt").score(-12.0, 7) == pytest.approx(-12 / ((5 + 7) ** 0.6 / (5 + 1) ** 0.6))
    assert Beam(1, 1.0, "average").score(-12.0, 8) == -1.5
    assert Beam(1, -0.5, "per_word").score(-12.0, 8) == -16
    assert {Beam(1, 0, formula).score(-12.0, 8) for formula in FORMULAS} == {-12.0}


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(6))
def test_stopping_early_loses_nothing(penalty, seed, monkeypatch):
    decode, beam = decoder(small_model("gru", seed, size=12)), Beam(3, penalty)
    found = beam_search(decode, PROMPT, EOS, 10, beam)
    monkeypatch.setattr(beam_module, "can_improve", lambda active, *_: bool(active))
    assert beam_search(decode, PROMPT, EOS, 10, beam) == found


@pytest.mark.parametrize("cell", CELLS)
def test_texts_side_by_side_have_the_probabilities_of_texts_one_by_one(cell):
    model = small_model(cell, size=12)
    found = beam_search(decoder(model), PROMPT, EOS, 6, Beam(5))
    assert len({(text.ids, text.ended) for text in found}) == 5
    for text in found:
        ids = [*PROMPT, *text.ids, *[EOS] * text.ended]
        values = [float(log_probabilities_after(model, ids[:end])[ids[end]]) for end in range(len(PROMPT), len(ids))]
        assert text.log_probability == pytest.approx(sum(values), rel=1e-5)


def test_the_prompt_is_read_once_and_each_step_is_one_batch():
    decode, shapes = decoder(small_model(size=12)), []

    def recorded(tokens_TB, states):
        shapes.append(tuple(tokens_TB.shape))
        return decode(tokens_TB, states)

    beam_search(recorded, PROMPT, None, 6, Beam(4))
    assert shapes == [(len(PROMPT), 1), *[(1, 4)] * 5]


def test_a_text_continues_after_eos_without_an_eos_id():
    found = beam_search(decoder(small_model()), PROMPT, None, 5, Beam(400))
    assert all(len(text.ids) == 5 and not text.ended for text in found)
    assert any(EOS in text.ids for text in found)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 0}, "expected beam.width to be a whole number of at least 1, found 0"),
        (
            {"length_penalty": "gnmt"},
            "expected beam.length_penalty to be a number of at least -20 and at most 20, found 'gnmt'",
        ),
        (
            {"length_penalty": 1000},
            "expected beam.length_penalty to be a number of at least -20 and at most 20, found 1000",
        ),
        ({"length_formula": "none"}, "expected beam.length_formula to be one of gnmt, average, per_word, found 'none'"),
    ],
)
def test_bad_values_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Beam(**options)
