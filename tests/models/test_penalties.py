"""AR and TAR against loops over single numbers."""

import pytest
import torch

from lm.models.penalties import output_penalty, record_calls

T, B, H = 5, 3, 4
LENGTHS = (5, 2, 1)


def outputs():
    generator = torch.Generator().manual_seed(1)
    output_TBH, dropped_TBH = torch.randn(2, T, B, H, generator=generator, dtype=torch.float64)
    return output_TBH.requires_grad_(), dropped_TBH.requires_grad_()


def in_a_loop(output_TBH, dropped_TBH, lengths, activation, temporal):
    total = 0.0
    for column, words in enumerate(lengths):
        squares = [dropped_TBH[t, column, h] ** 2 for t in range(words) for h in range(H)]
        total += words * activation * sum(squares) / len(squares) if words else 0
        changes = [
            (output_TBH[t + 1, column, h] - output_TBH[t, column, h]) ** 2 for t in range(words - 1) for h in range(H)
        ]
        total += words * temporal * sum(changes) / len(changes) if changes else 0
    return total


@pytest.mark.parametrize("lengths", [(T,) * B, LENGTHS, (T, 0, 0)])
@pytest.mark.parametrize("penalties", [(2.0, 0.0), (0.0, 1.0), (2.0, 1.0)])
def test_the_penalties_and_their_gradients_are_those_of_a_loop(lengths, penalties):
    given, same = outputs(), outputs()
    scored_TB = torch.arange(T)[:, None] < torch.tensor(lengths)
    found, expected = output_penalty(*given, scored_TB, *penalties), in_a_loop(*same, lengths, *penalties)
    torch.testing.assert_close(found, expected)
    for leaf, leaf_in_a_loop in zip(given, same, strict=True):
        gradients = [
            torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True, materialize_grads=True)
            for total, leaves in ((found, leaf), (expected, leaf_in_a_loop))
        ]
        torch.testing.assert_close(*gradients)


def test_on_whole_windows_they_are_those_of_awd_lstm_times_the_length():
    output_TBH, dropped_TBH = outputs()
    found = output_penalty(output_TBH, dropped_TBH, torch.ones(T, B, dtype=torch.bool), 2.0, 1.0)
    mean = 2.0 * dropped_TBH.pow(2).mean() + 1.0 * (output_TBH[1:] - output_TBH[:-1]).pow(2).mean()
    torch.testing.assert_close(found, mean * T * B)


def test_windows_of_one_word_have_no_temporal_penalty():
    one_TBH = torch.randn(1, B, H)
    assert output_penalty(one_TBH, one_TBH, torch.ones(1, B, dtype=torch.bool), 0.0, 1.0) == 0


def test_calls_are_recorded_within_the_block_alone():
    module, x = torch.nn.Linear(2, 3), torch.randn(4, 2)
    with record_calls(module) as calls:
        y = module(x)
    module(x)
    [(given, returned)] = calls
    assert given is x
    assert returned is y
