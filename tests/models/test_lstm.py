import pytest
import torch
from torch import Tensor, nn

from lm.models.lstm import LSTM
from lm.models.matmul_precision import full_precision_matmul, reduce_matmul_precision, supports_reduced_matmul

needs_bfloat16 = pytest.mark.skipif(
    not supports_reduced_matmul(torch.device("cpu")), reason="this processor has no bf16 matrix multiplication"
)


@pytest.fixture(autouse=True)
def restored_precision():
    with full_precision_matmul():
        yield


def pair(E: int = 24, H: int = 32) -> tuple[LSTM, nn.LSTM]:
    torch.manual_seed(1)
    ours, torchs = LSTM(E, H), nn.LSTM(E, H)
    ours.load_state_dict(torchs.state_dict())
    return ours, torchs


def outputs_and_gradients(layer: nn.Module, input_TBE: Tensor, state: tuple[Tensor, Tensor] | None) -> list[Tensor]:
    """The outputs, and the gradients of an error of all of them in all inputs and parameters."""
    given = [input_TBE, *(state or ())]
    given = [x.detach().clone().requires_grad_() for x in given]
    output_TBH, (h, c) = layer(given[0], tuple(given[1:]) or None)
    error = (output_TBH * torch.arange(output_TBH.numel()).view_as(output_TBH).cos()).sum() + (h**2).sum() + c.sum()
    return [output_TBH.detach(), h.detach(), c.detach(), *torch.autograd.grad(error, [*given, *layer.parameters()])]


def inputs() -> tuple[Tensor, tuple[Tensor, Tensor]]:
    return torch.randn(20, 5, 24), (torch.randn(1, 5, 32).tanh(), torch.randn(1, 5, 32))


def test_without_bf16_matmul_it_equals_torchs():
    ours, torchs = pair()
    given = inputs()
    torch.testing.assert_close(
        outputs_and_gradients(ours, *given), outputs_and_gradients(torchs, *given), rtol=0, atol=0
    )


@needs_bfloat16
@pytest.mark.parametrize("with_state", [True, False])
def test_bf16_matmul_changes_outputs_and_gradients_by_rounding_alone(with_state: bool):
    ours, torchs = pair()
    input_TBE, state = inputs()
    state = state if with_state else None
    expected = outputs_and_gradients(torchs.double(), input_TBE.double(), state and tuple(x.double() for x in state))
    reduce_matmul_precision(on_cpu=True, on_gpu=False)
    for found, exact in zip(outputs_and_gradients(ours, input_TBE, state), expected, strict=True):
        assert found.dtype == torch.float32
        # bfloat16 rounds to 2^-8 of a value; over twenty time steps that adds up a little.
        assert 1e-4 < (found - exact).norm() / exact.norm() < 0.02


@needs_bfloat16
def test_the_cell_state_is_carried_in_float32():
    ours, _ = pair()
    reduce_matmul_precision(on_cpu=True, on_gpu=False)
    _, (h, c) = ours(*inputs())
    assert torch.equal(h, h.bfloat16().float())
    assert not torch.equal(c, c.bfloat16().float())
    halves = [torch.randn(4, 5, 24), torch.randn(3, 5, 24)]
    at_once, _ = ours(torch.cat(halves))
    first, state = ours(halves[0])
    torch.testing.assert_close(torch.cat([first, ours(halves[1], state)[0]]), at_once, rtol=1e-2, atol=1e-2)
