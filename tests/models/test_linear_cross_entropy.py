from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lm.models import linear_cross_entropy as module
from lm.models.linear_cross_entropy import chunk_size, linear_cross_entropy
from lm.models.matmul_precision import full_precision_matmul, reduce_matmul_precision
from tests.waits import Waits

# MAX_LOGITS and BYTES_IN_CACHE; with 13 words in float64: chunks of 1, 2, 3 or all tokens, blocks of 1, 2, 4 or all.
BUDGETS = [(1, 2**20), (30, 104), (40, 208), (2**22, 1), (2**22, 416), (2**22, 2**20)]


def case(
    tokens: int = 11, vocabulary: int = 13, hidden: int = 5, bias: bool = True, dtype: torch.dtype = torch.float64
) -> list[Tensor | None]:
    generator = torch.Generator().manual_seed(tokens * 1000 + vocabulary)
    hidden_NH, weight_VH, bias_V = (
        torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in [(tokens, hidden), (vocabulary, hidden), (vocabulary,)]
    )
    targets_N = torch.randint(vocabulary, (tokens,), generator=generator)
    weights_N = torch.rand(tokens, generator=generator, dtype=dtype)
    return [hidden_NH, weight_VH, bias_V if bias else None, targets_N, weights_N]


def reference(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, targets_N: Tensor, weights_N: Tensor):
    """A loop over tokens by F.cross_entropy."""
    logits_NV = F.linear(hidden_NH, weight_VH, bias_V)
    nats = [F.cross_entropy(logits_V[None], y[None]) for logits_V, y in zip(logits_NV, targets_N, strict=True)]
    return sum((w * n for w, n in zip(weights_N, nats, strict=True)), torch.zeros((), dtype=weight_VH.dtype))


def at_once(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, targets_N: Tensor, weights_N: Tensor):
    """The same by PyTorch's functions on the logits of all tokens at once."""
    return (weights_N * F.cross_entropy(F.linear(hidden_NH, weight_VH, bias_V), targets_N, reduction="none")).sum()


def loss_and_gradients(function, arguments, scale: float = 1.0) -> list[Tensor]:
    leaves = [x for x in arguments[:3] if x is not None]
    loss = function(*arguments)
    return [loss.detach(), *torch.autograd.grad(loss * scale, leaves)]


@pytest.fixture(params=BUDGETS)
def budget(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    monkeypatch.setattr(module, "MAX_LOGITS", request.param[0])
    monkeypatch.setattr(module, "BYTES_IN_CACHE", request.param[1])
    return request.param


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("function", [linear_cross_entropy, at_once])
def test_equals_cross_entropy_of_each_token_however_it_is_chunked(function, bias: bool, budget: tuple[int, int]):
    arguments = case(bias=bias)
    found, expected = (loss_and_gradients(f, arguments, scale=3.0) for f in (function, reference))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@settings(max_examples=25)
@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 6), st.booleans(), st.integers(1, 40), st.integers(1, 320))
def test_equals_the_reference_for_any_shape(
    tokens: int, vocabulary: int, hidden: int, bias: bool, budget: int, cache: int
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_LOGITS", budget)
        patch.setattr(module, "BYTES_IN_CACHE", cache)
        arguments = case(tokens, vocabulary, hidden, bias)
        found = loss_and_gradients(linear_cross_entropy, arguments)
    expected = loss_and_gradients(at_once, arguments)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_equal_finite_differences(bias: bool, budget: tuple[int, int]):
    *inputs, targets_N, weights_N = case(tokens=5, vocabulary=7, hidden=3, bias=bias)
    leaves = [x for x in inputs if x is not None]

    def loss(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None = None) -> Tensor:
        return linear_cross_entropy(hidden_NH, weight_VH, bias_V, targets_N, weights_N)

    assert torch.autograd.gradcheck(loss, leaves)


def test_float32_agrees_with_float64_within_rounding():
    arguments = case(tokens=64, vocabulary=1000, hidden=32, dtype=torch.float32)
    exact = [x.detach().double().requires_grad_() for x in arguments[:3]] + [arguments[3], arguments[4].double()]
    found = loss_and_gradients(linear_cross_entropy, arguments)
    expected = [x.float() for x in loss_and_gradients(at_once, exact)]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_masked_tokens_change_nothing():
    hidden_NH, weight_VH, bias_V, targets_N, weights_N = case()
    kept = torch.arange(11) % 3 != 0
    masked = loss_and_gradients(linear_cross_entropy, [hidden_NH, weight_VH, bias_V, targets_N, weights_N * kept])
    scrambled_NH = torch.where(kept[:, None], hidden_NH, 1e6).detach().requires_grad_()
    other_N = torch.where(kept, targets_N, 0)
    scrambled = loss_and_gradients(linear_cross_entropy, [scrambled_NH, weight_VH, bias_V, other_N, weights_N * kept])
    alone = [hidden_NH[kept].detach().requires_grad_(), weight_VH, bias_V, targets_N[kept], weights_N[kept]]
    loss, d_hidden, d_weight, d_bias = loss_and_gradients(linear_cross_entropy, alone)

    assert masked[1][~kept].count_nonzero() == 0
    assert scrambled[1][~kept].count_nonzero() == 0
    for found in (masked, scrambled):
        torch.testing.assert_close(
            [found[0], found[1][kept], *found[2:]], [loss, d_hidden, d_weight, d_bias], rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_logits_stay_finite(sign: int):
    hidden_NH = torch.tensor([[1e4]], requires_grad=True)
    weight_VH = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    target, weights_N = torch.tensor([0 if sign == 1 else 1]), torch.ones(1)
    loss, *gradients = loss_and_gradients(linear_cross_entropy, [hidden_NH, weight_VH, None, target, weights_N])
    assert loss == (0 if sign == 1 else 2e4)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_tied_embedding_gets_the_gradients_of_both_its_uses():
    weight_VH = torch.randn(13, 5, dtype=torch.float64).requires_grad_()
    tokens_N, targets_N, weights_N = torch.randint(13, (8,)), torch.randint(13, (8,)), torch.ones(8)

    def gradient(function) -> Tensor:
        hidden_NH = torch.tanh(F.embedding(tokens_N, weight_VH))
        return torch.autograd.grad(function(hidden_NH, weight_VH, None, targets_N, weights_N), weight_VH)[0]

    torch.testing.assert_close(gradient(linear_cross_entropy), gradient(at_once))


@pytest.fixture(params=[False, True], ids=["float32", "bf16"])
def bf16(request: pytest.FixtureRequest) -> Iterator[bool]:
    with full_precision_matmul():  # restores the setting
        reduce_matmul_precision(on_cpu=request.param, on_gpu=False)
        yield request.param


@pytest.mark.parametrize("budget", [2**22, 30])
def test_the_backward_pass_can_run_twice_and_gradients_are_not_shared(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, budget: int
):
    monkeypatch.setattr(module, "MAX_LOGITS", budget)
    hidden_NH, weight_VH, *others = case(dtype=torch.float32)
    loss = linear_cross_entropy(hidden_NH, weight_VH, *others)
    first = torch.autograd.grad(loss, weight_VH, retain_graph=True)[0]
    expected = first.clone()
    first.zero_()  # as an optimiser might that clips in place
    torch.testing.assert_close(torch.autograd.grad(2 * loss, weight_VH)[0], 2 * expected, rtol=0, atol=0)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_frozen_inputs_get_no_gradient(frozen: int):
    arguments = case()
    arguments[frozen].requires_grad_(False)
    linear_cross_entropy(*arguments).backward()
    assert [x.grad is None for x in arguments[:3]] == [i == frozen for i in range(3)]


class LargestTensor(TorchDispatchMode):
    """Records the most elements of any tensor that an operation allocates; views of its inputs do not count."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for x in tree_leaves(result):
            if isinstance(x, Tensor) and x.untyped_storage().data_ptr() not in given:
                self.elements = max(self.elements, x.untyped_storage().nbytes() // x.element_size())
        return result


@pytest.mark.parametrize("bias", [True, False])
def test_without_tokens_nats_and_gradients_are_zero(bf16: bool, bias: bool):
    for found in loss_and_gradients(linear_cross_entropy, case(tokens=0, bias=bias, dtype=torch.float32)):
        assert found.dtype == torch.float32
        assert found.count_nonzero() == 0


def test_a_large_vocabulary_never_has_all_its_logits_at_once(bf16: bool):
    tokens, vocabulary, hidden = 40, 50_000, 8
    arguments = case(tokens, vocabulary, hidden, dtype=torch.float32)
    with pytest.MonkeyPatch.context() as patch, LargestTensor() as largest:
        patch.setattr(module, "MAX_LOGITS", 100_000)
        linear_cross_entropy(*arguments).backward()
    # The weight's gradient, in bf16 with a column for the bias's; all logits would be five times as many.
    assert largest.elements == vocabulary * (hidden + bf16)
    with LargestTensor() as largest:
        at_once(*arguments).backward()
    assert largest.elements == vocabulary * tokens


def test_without_gradients_nothing_of_the_weights_size_is_allocated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_LOGITS", 1)
    arguments = case(tokens=6, vocabulary=100, hidden=8)
    with torch.no_grad(), LargestTensor() as largest:
        loss = linear_cross_entropy(*arguments)
    assert not loss.requires_grad
    assert largest.elements == 100 * chunk_size(100, 8)


def test_nothing_waits_for_the_device():
    with Waits():
        linear_cross_entropy(*case()).backward()


@pytest.mark.parametrize(("vocabulary", "hidden", "tokens"), [(10_000, 200, 419), (250_000, 200, 100), (1, 1, 2**22)])
def test_a_chunk_has_max_logits_or_half_the_weights_memory(vocabulary: int, hidden: int, tokens: int):
    assert chunk_size(vocabulary, hidden) == tokens
    assert chunk_size(vocabulary, hidden, torch.bfloat16) == 2 * tokens


@pytest.mark.parametrize("bias", [True, False])
def test_weights_in_bfloat16_are_computed_in_bfloat16(bias: bool):
    *inputs, targets_N, weights_N = case(bias=bias)
    rounded = [x if x is None else x.detach().bfloat16().requires_grad_() for x in inputs]
    arguments = [*rounded, targets_N, weights_N.bfloat16()]
    found, expected = (loss_and_gradients(f, arguments) for f in (linear_cross_entropy, at_once))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one - other).norm() / other.norm() < 0.02


def test_autocast_does_not_change_the_dtype_of_the_computation():
    hidden_NH, weight_VH, bias_V, targets_N, weights_N = case(dtype=torch.float32)
    rounded_NH = hidden_NH.detach().bfloat16()
    arguments = [rounded_NH.requires_grad_(), weight_VH, bias_V, targets_N, weights_N.double()]
    with torch.autocast("cpu", torch.bfloat16):
        loss, d_hidden_NH, *others = loss_and_gradients(linear_cross_entropy, arguments)
    arguments[0] = rounded_NH.detach().float().requires_grad_()
    exact = loss_and_gradients(linear_cross_entropy, [*arguments[:4], weights_N])
    torch.testing.assert_close([loss, *others], [exact[0], *exact[2:]], rtol=0, atol=0)
    torch.testing.assert_close(d_hidden_NH, exact[1].bfloat16(), rtol=0, atol=0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("budget", [2**22, 2000])
def test_bf16_matmul_changes_loss_and_gradients_by_rounding_alone(
    monkeypatch: pytest.MonkeyPatch, budget: int, bias: bool
):
    monkeypatch.setattr(module, "MAX_LOGITS", budget)
    arguments = case(tokens=64, vocabulary=500, hidden=32, bias=bias, dtype=torch.float32)
    inputs = [x if x is None else x.detach().double().requires_grad_() for x in arguments[:3]]
    exact = [*inputs, arguments[3], arguments[4].double()]
    expected = loss_and_gradients(at_once, exact)
    with full_precision_matmul():  # restores the setting
        reduce_matmul_precision(on_cpu=True, on_gpu=False)
        found = loss_and_gradients(linear_cross_entropy, arguments)
    for rounded, wanted in zip(found, expected, strict=True):
        assert rounded.dtype == torch.float32
        assert 1e-6 < (rounded - wanted).norm() / wanted.norm() < 0.02  # a step of bfloat16 is 2^-8 of a number


@pytest.fixture
def bf16_case() -> Iterator[list[Tensor]]:
    with full_precision_matmul():
        reduce_matmul_precision(on_cpu=True, on_gpu=False)
        yield case(tokens=64, vocabulary=500, hidden=32, dtype=torch.float32)


def with_max_subtracted(monkeypatch: pytest.MonkeyPatch, arguments: list[Tensor]) -> list[Tensor]:
    """Loss and gradients with every token's largest logit subtracted, because no sum counts as in range."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "MAX_SUM", 0.5)
        return loss_and_gradients(linear_cross_entropy, arguments)


def test_subtracting_the_maximum_changes_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch, bf16_case):
    subtracted, exponentiate, calls = with_max_subtracted(monkeypatch, bf16_case), module._exponentiate, []
    monkeypatch.setattr(module, "_exponentiate", lambda *args: calls.append(args[-1]) or exponentiate(*args))
    without = loss_and_gradients(linear_cross_entropy, bf16_case)
    assert calls == [False]  # nothing was computed again
    torch.testing.assert_close(without[0], subtracted[0])  # the sums are not rounded
    for found, expected in zip(without[1:], subtracted[1:], strict=True):
        assert 0 < (found - expected).norm() / expected.norm() < 4e-3


def test_without_gradients_the_bias_is_not_rounded(bf16_case):
    """In training it is rounded with the weight, as one of its columns."""
    hidden_NH, weight_VH, bias_V, *others = (x.detach() for x in bf16_case)
    exact = at_once(torch.zeros_like(hidden_NH), weight_VH, bias_V, *others)
    found = linear_cross_entropy(torch.zeros_like(hidden_NH), weight_VH, bias_V, *others)
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=0)
    trained = linear_cross_entropy(torch.zeros_like(hidden_NH), weight_VH, bias_V.requires_grad_(), *others)
    assert (trained - exact).abs() / exact > 1e-6


@pytest.mark.parametrize("nats", [100, -100])  # out of range of exponentials in float32
def test_a_chunk_with_a_token_out_of_range_is_computed_again(monkeypatch: pytest.MonkeyPatch, bf16_case, nats: int):
    hidden_NH, weight_VH, *others = (x.detach().clone() for x in bf16_case)
    weight_VH[:, 0] += 10
    hidden_NH[5, 0] = nats / 10  # all logits of the sixth token
    arguments = [hidden_NH.requires_grad_(), weight_VH.requires_grad_(), others[0].requires_grad_(), *others[1:]]
    found, expected = loss_and_gradients(linear_cross_entropy, arguments), with_max_subtracted(monkeypatch, arguments)
    assert all(x.isfinite().all() for x in found)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
