import pytest
import torch

from lm.models.dropout import Dropout, EmbeddingDropout, LockedDropout, WeightDropout


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


T, B, H = 40, 6, 50


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_a_locked_mask_is_constant_over_time_and_differs_between_columns_and_windows(p: float):
    torch.manual_seed(1)
    x_TBH = torch.randn(T, B, H)
    dropout = LockedDropout(p)
    first, second = dropout(x_TBH), dropout(x_TBH)
    masks = []
    for found in (first, second):
        for column in range(B):
            mask_H = found[0, column] / x_TBH[0, column]
            for step in range(T):
                torch.testing.assert_close(found[step, column], x_TBH[step, column] * mask_H)
            masks.append(mask_H)
    values = torch.stack(masks)
    torch.testing.assert_close(values[values > 0.5], torch.full_like(values[values > 0.5], 1 / (1 - p)))
    assert (values != 0).double().mean().item() == pytest.approx(1 - p, abs=5 * (p * (1 - p) / values.numel()) ** 0.5)
    assert len({tuple((mask != 0).tolist()) for mask in masks}) == 2 * B


def test_a_word_is_dropped_everywhere_in_a_window_or_nowhere():
    torch.manual_seed(1)
    words, p = 500, 0.3
    tokens_TB, embedded_TBE = (torch.randperm(4000) % words).view(200, 20), torch.randn(200, 20, 4)
    dropout = EmbeddingDropout(p)
    windows = [dropout(embedded_TBE, tokens_TB, words) / embedded_TBE for _ in range(2)]
    dropped = []
    for scale_TBE in windows:
        scales = [scale_TBE[tokens_TB == word].unique() for word in range(words)]
        assert all((scale - scale[0]).abs().max() < 1e-4 for scale in scales)
        dropped.append([scale[0] == 0 for scale in scales])
        kept = torch.stack([scale[0] for scale in scales if scale[0] != 0])
        torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)), rtol=1e-4, atol=0)
    assert dropped[0] != dropped[1]
    assert sum(dropped[0]) / words == pytest.approx(p, abs=5 * (p * (1 - p) / words) ** 0.5)


def test_a_weights_mask_is_on_the_hidden_hidden_matrix_alone_and_on_its_gradient():
    torch.manual_seed(1)
    weights = [torch.randn(400, size, requires_grad=True) for size in (30, 100)]
    bias = torch.randn(400)
    found = WeightDropout(0.5)([*weights, bias, bias])
    assert found[0] is weights[0]
    assert found[2] is found[3] is bias
    mask = found[1].detach() / weights[1].detach()
    assert (mask == 0).double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / mask.numel() ** 0.5)
    torch.testing.assert_close(mask[mask != 0], torch.full_like(mask[mask != 0], 2))
    [gradient] = torch.autograd.grad(found[1].sum(), weights[1:])
    torch.testing.assert_close(gradient, mask)


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_without_any_mask_no_random_number_is_drawn(p: float, training: bool):
    x_TBH, before = torch.randn(T, B, H), torch.get_rng_state()
    weights = list(x_TBH[:4])
    tokens_TB = torch.zeros(T, B, dtype=torch.long)
    assert LockedDropout(p).train(training)(x_TBH) is x_TBH
    assert EmbeddingDropout(p).train(training)(x_TBH, tokens_TB, 5) is x_TBH
    assert all(one is other for one, other in zip(WeightDropout(p).train(training)(weights), weights, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
