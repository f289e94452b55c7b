"""The parallel scan against the recurrence step by step."""

import pytest
import torch

from lm.models.scan import linear_recurrence, scan

B, H = 3, 4


def coefficients(steps):
    torch.manual_seed(1)
    a_TBH = torch.rand(steps, B, H, dtype=torch.float64)
    b_TBH, h0_BH = torch.randn(steps, B, H, dtype=torch.float64), torch.randn(B, H, dtype=torch.float64)
    return [tensor.requires_grad_() for tensor in (a_TBH, b_TBH, h0_BH)]


def step_by_step(a_TBH, b_TBH, h_BH):
    states = []
    for a_BH, b_BH in zip(a_TBH, b_TBH, strict=True):
        h_BH = a_BH * h_BH + b_BH
        states.append(h_BH)
    return torch.stack(states)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 35, 64])
def test_states_and_gradients_are_those_of_the_recurrence(steps):
    given = coefficients(steps)
    found, expected = linear_recurrence(*given), step_by_step(*given)
    torch.testing.assert_close(found, expected)
    weights_TBH = torch.randn(steps, B, H, dtype=torch.float64)
    gradients = [torch.autograd.grad((states * weights_TBH).sum(), given) for states in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_the_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(linear_recurrence, coefficients(4))


@pytest.mark.parametrize("a", [0.0, 1.0])
def test_nothing_or_everything_is_kept(a):
    b_TBH = torch.randn(20, B, H)
    torch.testing.assert_close(scan(torch.full_like(b_TBH, a), b_TBH), b_TBH.cumsum(0) if a else b_TBH)


def test_a_long_sequence_keeps_its_accuracy():
    given = [tensor.detach() for tensor in coefficients(4096)]
    found = linear_recurrence(*(tensor.float() for tensor in given))
    torch.testing.assert_close(found.double(), step_by_step(*given), rtol=1e-5, atol=1e-5)


def test_the_arguments_are_left_as_they_were():
    a_TBH, b_TBH = torch.rand(5, B, H), torch.randn(5, B, H)
    before = a_TBH.clone(), b_TBH.clone()
    scan(a_TBH, b_TBH)
    assert torch.equal(a_TBH, before[0])
    assert torch.equal(b_TBH, before[1])
