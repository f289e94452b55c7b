import pytest
import torch
from torch import Tensor, nn

from lm.models.rnn import RNN


def outputs_and_gradients(layer: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """The outputs, and the gradients of an error of all of them in all inputs and parameters."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    output_TBH, last_1BH = layer(*leaves)
    error = (output_TBH * torch.arange(output_TBH.numel()).view_as(output_TBH).cos()).sum() + (last_1BH**2).sum()
    return [output_TBH.detach(), last_1BH.detach(), *torch.autograd.grad(error, [*leaves, *layer.parameters()])]


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_outputs_and_gradients_equal_torchs(nonlinearity: str, with_state: bool):
    torch.manual_seed(1)
    ours, torchs = (cls(6, 5, nonlinearity=nonlinearity) for cls in (RNN, nn.RNN))
    ours.load_state_dict(torchs.state_dict())
    inputs = [torch.randn(4, 3, 6), torch.randn(1, 3, 5)][: 1 + with_state]
    found, expected = (outputs_and_gradients(layer, *inputs) for layer in (ours, torchs))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
