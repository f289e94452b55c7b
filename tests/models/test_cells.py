import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from lm.models.cells import CELLS, get_cell
from lm.models.language_model import LanguageModel
from lm.models.matmul_precision import full_precision_matmul, reduce_matmul_precision, supports_reduced_matmul
from lm.models.parameter_count import matching_hidden_size, model_parameters
from tests.toy_cell import TOY

T, B, E, H = 5, 3, 6, 8
ALL_CELLS = {**CELLS, "toy": TOY}
RECURRENT = sorted(name for name, cell in ALL_CELLS.items() if cell.recurrent)
IN_PYTORCH = sorted(name for name, cell in CELLS.items() if cell.reference_class)


def flat(state: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


def outputs_and_gradients(layer: nn.Module, weights: list[Tensor], leaves: list[Tensor], replace: bool):
    """The layer's outputs, with the weights passed if `replace`, and the gradients of the leaves."""
    input_TBE = torch.randn(T, B, E, generator=torch.Generator().manual_seed(1)).to(weights[0].dtype)
    output_TBH, state = layer(input_TBE, None, weights) if replace else layer(input_TBE)
    results = [output_TBH, *flat(state)]
    error = sum((result.double() ** 2).sum() for result in results)
    return [*(result.detach() for result in results), *torch.autograd.grad(error, leaves)]


@pytest.fixture(params=["float32", "bf16 matmul", "bfloat16", "float64"])
def dtype(request: pytest.FixtureRequest):
    """The path that a layer takes: its own, bf16 matrix multiplication, and PyTorch's for narrow dtypes."""
    if request.param == "bf16 matmul" and not supports_reduced_matmul(torch.device("cpu")):
        pytest.skip("this processor has no bf16 matrix multiplication")
    with full_precision_matmul():  # restores the setting
        reduce_matmul_precision(on_cpu=request.param == "bf16 matmul", on_gpu=False)
        yield {"bfloat16": torch.bfloat16, "float64": torch.float64}.get(request.param, torch.float32)


@pytest.mark.parametrize("name", sorted(ALL_CELLS))
def test_weights_passed_to_a_layer_replace_its_own(name: str, dtype: torch.dtype):
    torch.manual_seed(1)
    layer, other = (ALL_CELLS[name].layer(E, H).to(dtype) for _ in range(2))
    for parameter in [*layer.parameters(), *other.parameters()]:
        nn.init.uniform_(parameter, -1, 1)
    passed = [weight.detach().clone().requires_grad_() for weight in other.all_weights[0]]
    found = outputs_and_gradients(layer, passed, passed, replace=True)
    own = other.all_weights[0]
    torch.testing.assert_close(found, outputs_and_gradients(other, own, own, replace=False), rtol=0, atol=0)
    assert not torch.allclose(found[0], layer(torch.zeros(T, B, E, dtype=dtype))[0])


@pytest.mark.parametrize("name", RECURRENT)
def test_a_masked_recurrent_matrix_gives_the_outputs_and_gradients_of_a_layer_that_has_it(
    name: str, dtype: torch.dtype
):
    torch.manual_seed(1)
    layer, masked_layer = (ALL_CELLS[name].layer(E, H).to(dtype) for _ in range(2))
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -1, 1)
    weight_ih, weight_hh, *biases = layer.all_weights[0]
    mask = (torch.rand(weight_hh.shape) < 0.5).to(dtype)
    with torch.no_grad():
        masked = [weight_ih, weight_hh * mask, *biases]
        for parameter, value in zip(masked_layer.all_weights[0], masked, strict=True):
            parameter.copy_(value)
    found = outputs_and_gradients(layer, [weight_ih, weight_hh * mask, *biases], [weight_hh], replace=True)
    own = masked_layer.all_weights[0]
    *expected, gradient = outputs_and_gradients(masked_layer, own, [own[1]], replace=False)
    torch.testing.assert_close(found, [*expected, gradient * mask], rtol=0, atol=0)


@pytest.mark.parametrize("name", IN_PYTORCH)
def test_the_reference_is_pytorchs_own_class_and_computes_the_same(name: str):
    layer, reference = CELLS[name].layer(E, H), CELLS[name].reference(E, H, num_layers=1, dropout=0.0)
    assert type(reference).__module__ == "torch.nn.modules.rnn"
    reference.load_state_dict(layer.state_dict())  # the names of the parameters are PyTorch's, too
    input_TBE = torch.randn(T, B, E)
    torch.testing.assert_close(layer(input_TBE), reference(input_TBE))


def test_a_cell_that_pytorch_lacks_has_no_reference():
    with pytest.raises(ValueError, match="expected a cell that PyTorch has, found Toy: type cell=lstm"):
        TOY.reference(E, H, num_layers=2, dropout=0.0)


def test_an_unknown_cell_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"expected cell to be one of lstm, gru, .*, found 'lsmt': type cell=lstm"):
        get_cell("lsmt")


def test_a_cell_is_added_by_its_module_and_its_entry(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(CELLS, "toy", TOY)
    torch.manual_seed(1)
    model = LanguageModel(20, "toy", embedding_size=6, hidden_size=8, init_range=0.5)
    counts = model.parameter_counts()
    assert counts == model_parameters("toy", 20, 6, 8, num_layers=2)
    assert counts["recurrent"] == 2 * (2 * 8 + 8 * 6 + 8 * 8) + 2 * (2 * 8 + 8 * 8 + 8 * 8)
    assert matching_hidden_size("gru", 8, "toy", 20, 6, 2) > 8

    tokens_TB, optimizer = torch.arange(6 * 4).view(6, 4) % 20, torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(50):
        loss, _ = model.total_nats(tokens_TB[:-1], tokens_TB[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    whole_TBV, _ = model.logits(tokens_TB)
    _, states = model.logits(tokens_TB[:3])
    torch.testing.assert_close(model.logits(tokens_TB[3:], states)[0], whole_TBV[3:])


def test_the_registry_is_read_without_importing_pytorch():
    code = "import sys, lm.models.cells, lm.models.parameter_count; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
