import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.generation.decoder import Decoder
from lm.generation.sampling import Sampling, _seeds, keep_top_k, keep_top_p, sample
from tests.generation.small_models import CELLS, EOS, PROMPT, UNK, everything, log_probabilities_after, small_model

LOGITS = st.lists(st.integers(-40, 40), min_size=2, max_size=8, unique=True).map(
    lambda values: [v / 10 for v in values]
)


def decoder(model):
    return Decoder(model, [UNK])


def test_the_temperature_divides_the_log_probabilities():
    log_p_BV = torch.tensor([[0.5, 0.3, 0.2]]).log()
    halves = [0.5**2, 0.3**2, 0.2**2]
    expected = torch.tensor([[value / sum(halves) for value in halves]], dtype=torch.float64)
    torch.testing.assert_close(Sampling(temperature=0.5).warp(log_p_BV), expected)


@given(LOGITS, st.integers(1, 10))
def test_top_k_keeps_the_k_largest(logits, top_k):
    kept = keep_top_k(torch.tensor([logits]), top_k)[0]
    expected = {index for _, index in sorted(((v, i) for i, v in enumerate(logits)), reverse=True)[:top_k]}
    assert set(torch.isfinite(kept).nonzero()[:, 0].tolist()) == expected
    assert all(float(kept[index]) == pytest.approx(logits[index]) for index in expected)


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_smallest_set_of_likeliest_words_that_reaches_p(logits, top_p):
    kept = keep_top_p(torch.tensor([logits], dtype=torch.float64), top_p)[0]
    total = sum(map(math.exp, logits))
    expected, reached = set(), 0.0
    for value, index in sorted(((v, i) for i, v in enumerate(logits)), reverse=True):
        if abs(reached - top_p) < 1e-9:  # either is right where rounding decides
            return
        if reached < top_p:
            expected.add(index)
        reached += math.exp(value) / total
    assert set(torch.isfinite(kept).nonzero()[:, 0].tolist()) == expected


def test_top_k_is_applied_before_top_p_and_to_each_row():
    log_p_BV = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]]).log()
    warped_BV = Sampling(top_k=2, top_p=0.5).warp(log_p_BV)
    torch.testing.assert_close(warped_BV, torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]], dtype=torch.float64))


def test_the_likeliest_word_is_kept_for_any_p():
    assert Sampling(top_p=1e-9).warp(torch.tensor([[0.2, 0.8]]).log()).tolist() == [[0, 1]]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_texts_come_as_often_as_their_probabilities_say(temperature):
    model, count, max_new_tokens = small_model(), 4000, 2
    found = Counter(
        (text.ids, text.ended)
        for text in sample(decoder(model), PROMPT, EOS, max_new_tokens, count, Sampling(temperature), seed=3)
    )
    chi_square = 0.0
    texts = list(everything(model, PROMPT, max_new_tokens))
    for text in texts:
        expected, ids = float(count), list(PROMPT)
        for word in (*text.ids, EOS)[: text.num_tokens]:
            logits_V = log_probabilities_after(model, ids) / temperature
            logits_V[UNK] = -torch.inf
            expected *= float(logits_V.softmax(dim=0)[word])
            ids.append(word)
        chi_square += (found[text.ids, text.ended] - expected) ** 2 / expected
    assert len(texts) == 13
    assert chi_square < 32.9  # 12 degrees of freedom: one seed in a thousand is above


@pytest.mark.parametrize("cell", CELLS)
def test_texts_side_by_side_equal_texts_one_by_one_without_a_state(cell):
    model, sampling = small_model(cell, size=12), Sampling(0.8, top_k=8, top_p=0.95)
    for text, seed in zip(sample(decoder(model), PROMPT, EOS, 9, 6, sampling, seed=5), _seeds(5, 6), strict=True):
        generator, ids, log_probability = torch.Generator().manual_seed(seed), list(PROMPT), 0.0
        for _ in range(9):
            log_p_V = log_probabilities_after(model, ids)
            allowed_V = log_p_V.index_fill(0, torch.tensor([UNK]), -torch.inf)
            ids.append(int(torch.multinomial(sampling.warp(allowed_V[None])[0], 1, generator=generator)))
            log_probability += float(log_p_V[ids[-1]])
            if ids[-1] == EOS:
                break
        assert [*PROMPT, *text.ids, *[EOS] * text.ended] == ids
        assert text.log_probability == pytest.approx(log_probability, rel=1e-5)


def test_the_first_texts_stay_the_same_when_more_are_asked_for():
    decode = decoder(small_model(size=12))
    five = sample(decode, PROMPT, EOS, 9, num_samples=5, seed=7)
    assert [text.ids for text in sample(decode, PROMPT, EOS, 9, num_samples=2, seed=7)] == [
        text.ids for text in five[:2]
    ]
    assert [text.ids for text in sample(decode, PROMPT, EOS, 9, num_samples=5, seed=8)] != [text.ids for text in five]


def test_the_global_random_generators_are_not_used():
    decode, before = decoder(small_model()), torch.get_rng_state()
    sample(decode, PROMPT, EOS, 30)
    assert torch.equal(torch.get_rng_state(), before)


@settings(max_examples=20)
@given(st.integers(0, 10**20))
def test_a_text_has_no_suppressed_word_and_ends_with_eos_or_at_the_maximum(seed):
    for text in sample(decoder(small_model()), PROMPT, EOS, max_new_tokens=4, num_samples=8, seed=seed):
        assert not {UNK, EOS} & set(text.ids)
        assert text.ended != (len(text.ids) == 4)


def test_a_text_continues_after_eos_without_an_eos_id():
    texts = sample(decoder(small_model()), PROMPT, None, max_new_tokens=12, num_samples=8)
    assert all(len(text.ids) == 12 and not text.ended for text in texts)
    assert any(EOS in text.ids for text in texts)


def test_the_prompt_and_each_word_are_read_once():
    decode = decoder(small_model())
    texts = sample(decode, PROMPT, None, max_new_tokens=6, num_samples=3)
    assert decode.tokens_read == len(PROMPT) + 3 * 5
    assert sum(len(text.ids) for text in texts) == 18


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": 0}, "expected temperature to be a number of at least 0.001 and at most 1000, found 0: type"),
        ({"temperature": math.nan}, "expected temperature to be a number .*, found nan"),
        ({"top_k": 0}, "expected top_k to be a whole number of at least 1 or null, found 0"),
        ({"top_p": 0}, "expected top_p to be a number above 0 and at most 1 or null, found 0"),
        ({"top_p": 1.1}, "expected top_p to be a number above 0 and at most 1 or null, found 1.1"),
    ],
)
def test_bad_values_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Sampling(**options)
