import pytest
import torch

from lm.generation.decoder import Continuation, Decoder, reorder
from tests.generation.small_models import CELLS, SIZE, UNK, log_probabilities_after, small_model

TEXTS = [[0, 3, 2, 4], [0, 2, 2, 3], [0, 4, 4, 1]]


@pytest.mark.parametrize("cell", CELLS)
def test_reading_word_by_word_equals_reading_the_prefix_again(cell):
    model, states = small_model(cell), None
    decode = Decoder(model)
    for length, word in enumerate(TEXTS[0], start=1):
        found_BV, states = decode(torch.tensor([[word]]), states)
        torch.testing.assert_close(found_BV[0], log_probabilities_after(model, TEXTS[0][:length]))


@pytest.mark.parametrize("cell", CELLS)
def test_texts_side_by_side_equal_texts_one_by_one(cell):
    model = small_model(cell)
    found_BV, _ = Decoder(model)(torch.tensor(TEXTS).t())
    for row_V, text in zip(found_BV, TEXTS, strict=True):
        torch.testing.assert_close(row_V, log_probabilities_after(model, text))


@pytest.mark.parametrize("cell", CELLS)
def test_states_can_be_reordered_repeated_and_dropped(cell):
    model = small_model(cell)
    decode = Decoder(model)
    _, states = decode(torch.tensor(TEXTS).t())
    indices = [2, 0, 2, 2]
    found_BV, _ = decode(torch.tensor([[2, 3, 4, 0]]), reorder(states, torch.tensor(indices)))
    for row_V, index, word in zip(found_BV, indices, [2, 3, 4, 0], strict=True):
        torch.testing.assert_close(row_V, log_probabilities_after(model, [*TEXTS[index], word]))


def test_suppressed_words_are_impossible_and_the_others_as_they_were():
    model = small_model()
    found_BV, _ = Decoder(model, [UNK])(torch.tensor(TEXTS).t())
    expected_BV, _ = Decoder(model)(torch.tensor(TEXTS).t())
    allowed = [word for word in range(SIZE) if word != UNK]
    assert (found_BV[:, UNK] == -torch.inf).all()
    assert torch.equal(found_BV[:, allowed], expected_BV[:, allowed])


def test_the_tokens_read_are_counted():
    decode = Decoder(small_model())
    _, states = decode(torch.tensor(TEXTS).t())
    decode(torch.tensor([[1, 1, 1]]), states)
    assert decode.tokens_read == 12 + 3


def test_a_closing_eos_is_one_of_the_tokens():
    assert Continuation((3, 4), -1.0, ended=True).num_tokens == 3
    assert Continuation((3, 4), -1.0, ended=False).num_tokens == 2
