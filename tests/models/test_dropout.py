import pytest
import torch

from lm.models.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.25, 0.65])
def test_elements_are_dropped_with_their_probability_and_the_others_scaled_up(p: float):
    torch.manual_seed(1)
    found = Dropout(p)(torch.full((100_000,), 3.0))
    kept = found != 0
    # Five standard deviations of a mean of 100,000 coin flips.
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=5 * (p * (1 - p) / 100_000) ** 0.5)
    # The probability is rounded to 16 bits, and the scale fits what it is rounded to.
    torch.testing.assert_close(found[kept], torch.full_like(found[kept], 3 / (1 - p)), rtol=2**-15, atol=0)


def test_gradients_have_the_mask_of_the_outputs():
    torch.manual_seed(1)
    x = torch.randn(1000, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 2.0))


def test_each_call_draws_a_new_mask_and_a_seed_reproduces_it():
    dropout, x = Dropout(0.5), torch.ones(100)
    torch.manual_seed(1)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(1)
    assert not torch.equal(first, second)
    assert torch.equal(first, dropout(x))


@pytest.mark.parametrize("dropout", [Dropout(0.0), Dropout(0.5).eval()])
def test_without_dropout_nothing_changes_and_no_random_number_is_drawn(dropout: Dropout):
    x, before = torch.randn(10), torch.get_rng_state()
    assert torch.equal(dropout(x), x)
    assert torch.equal(torch.get_rng_state(), before)


def test_probabilities_near_zero_and_one_are_exact():
    torch.manual_seed(1)
    x = torch.ones(500_000)
    assert torch.equal(Dropout(1.0)(x), torch.zeros_like(x))
    assert Dropout(1 - 1e-9)(x).unique().tolist() == [0, 2**16]  # about 8 elements are kept
    assert torch.equal(Dropout(1e-9)(x), x)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (5, 1, 7)])
def test_shape_and_dtype_are_kept(shape: tuple[int, ...]):
    found = Dropout(0.25)(torch.ones(shape, dtype=torch.float64))
    assert (found.shape, found.dtype) == (shape, torch.float64)
    torch.testing.assert_close(found[found != 0], torch.full_like(found[found != 0], 4 / 3), rtol=1e-15, atol=0)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(1)
    kept = (Dropout(0.5)(torch.ones(400_000)) != 0).view(-1, 4).double()
    # Four elements share a random number; five standard deviations of a correlation of 100,000 pairs.
    torch.testing.assert_close(torch.corrcoef(kept.t()), torch.eye(4).double(), rtol=0, atol=5 / 100_000**0.5)
