import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lm.models.gru import GRU, immediate_gradients
from lm.models.matmul_precision import full_precision_matmul, reduce_matmul_precision

SHAPES = [(1, 1, 1, 1), (4, 3, 2, 5), (7, 1, 6, 3), (20, 5, 8, 8)]  # T, B, E, H


def pair(E: int, H: int) -> tuple[GRU, nn.GRU]:
    torch.manual_seed(E * 100 + H)
    ours, torchs = GRU(E, H).double(), nn.GRU(E, H).double()
    with torch.no_grad():
        for parameter in torchs.parameters():
            parameter.mul_(3)  # so that the gates are far from 0.5
    ours.load_state_dict(torchs.state_dict())
    return ours, torchs


def outputs_and_gradients(layer: nn.Module, input_TBE: Tensor, state_1BH: Tensor) -> list[Tensor]:
    """The outputs, and the gradients of an error of all of them in all inputs and parameters."""
    input_TBE, state_1BH = input_TBE.clone().requires_grad_(), state_1BH.clone().requires_grad_()
    output_TBH, last_1BH = layer(input_TBE, state_1BH)
    error = (output_TBH * torch.arange(output_TBH.numel()).view_as(output_TBH).cos()).sum() + (last_1BH**2).sum()
    leaves = [input_TBE, state_1BH, *layer.parameters()]
    return [output_TBH.detach(), last_1BH.detach(), *torch.autograd.grad(error, leaves)]


def check_equal_to_torch(T: int, B: int, E: int, H: int) -> None:
    ours, torchs = pair(E, H)
    inputs = torch.randn(T, B, E).double(), torch.randn(1, B, H).double()
    torch.testing.assert_close(
        outputs_and_gradients(ours, *inputs), outputs_and_gradients(torchs, *inputs), rtol=1e-10, atol=1e-12
    )


def test_with_weights_in_bfloat16_it_is_torchs():
    ours, torchs = (layer.bfloat16() for layer in pair(6, 5))
    inputs = torch.randn(4, 3, 6).bfloat16(), torch.randn(1, 3, 5).bfloat16()
    torch.testing.assert_close(
        outputs_and_gradients(ours, *inputs), outputs_and_gradients(torchs, *inputs), rtol=0, atol=0
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_all_gradients_equal_torchs(shape: tuple[int, ...]):
    check_equal_to_torch(*shape)


@settings(max_examples=20)
@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 7), st.integers(1, 7))
def test_outputs_and_all_gradients_equal_torchs_for_any_shape(T: int, B: int, E: int, H: int):
    check_equal_to_torch(T, B, E, H)


def test_stacked_layers_with_dropout_equal_torchs():
    torch.manual_seed(1)
    torchs = nn.GRU(4, 4, num_layers=2).double()
    layers = nn.ModuleList([GRU(4, 4), GRU(4, 4)]).double()
    for i, layer in enumerate(layers):
        layer.load_state_dict({f"{name[:-1]}0": p for name, p in torchs.named_parameters() if name.endswith(f"l{i}")})
    input_TBE, mask_TBE = torch.randn(6, 3, 4).double(), (torch.rand(6, 3, 4) < 0.75) / 0.75

    middle_TBH, _ = layers[0](input_TBE)
    torch.testing.assert_close(layers[1](middle_TBH)[0], torchs(input_TBE)[0])
    (layers[1](middle_TBH * mask_TBE)[0] ** 2).sum().backward()
    first, second = nn.GRU(4, 4).double(), nn.GRU(4, 4).double()
    first.load_state_dict(layers[0].state_dict())
    second.load_state_dict(layers[1].state_dict())
    (second(first(input_TBE)[0] * mask_TBE)[0] ** 2).sum().backward()
    for ours, theirs in zip(layers.parameters(), [*first.parameters(), *second.parameters()], strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_gradients_equal_finite_differences():
    layer = GRU(3, 2).double()
    names = [name for name, _ in layer.named_parameters()]

    def run(input_TBE: Tensor, state_1BH: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (input_TBE, state_1BH))

    inputs = [torch.randn(4, 2, 3).double().requires_grad_(), torch.randn(1, 2, 2).double().requires_grad_()]
    assert torch.autograd.gradcheck(run, (*inputs, *layer.parameters()))


def test_float32_agrees_with_torch_within_rounding():
    ours, torchs = (layer.float() for layer in pair(20, 20))
    inputs = torch.randn(10, 4, 20), torch.randn(1, 4, 20)
    torch.testing.assert_close(
        outputs_and_gradients(ours, *inputs), outputs_and_gradients(torchs, *inputs), rtol=1e-4, atol=1e-5
    )


def test_autocast_only_rounds_the_input():
    ours, _ = pair(3, 4)
    ours, input_TBE = ours.float(), torch.randn(5, 2, 3).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(input_TBE)[0]
    found_gradients = torch.autograd.grad(found.sum(), list(ours.parameters()))
    expected = ours(input_TBE.float())[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(
        found_gradients, torch.autograd.grad(expected.sum(), list(ours.parameters())), rtol=0, atol=0
    )


def test_the_initial_state_is_zero_by_default():
    ours, _ = pair(3, 4)
    input_TBE = torch.randn(5, 2, 3).double()
    torch.testing.assert_close(ours(input_TBE)[0], ours(input_TBE, torch.zeros(1, 2, 4).double())[0], rtol=0, atol=0)


@pytest.mark.parametrize(("T", "B"), [(200, 3), (1, 1), (5, 1)])
def test_evaluation_without_gradients_equals_torchs(T: int, B: int):
    ours, torchs = pair(4, 6)
    with torch.no_grad():
        found, expected = (layer(torch.ones(T, B, 4).double()) for layer in (ours, torchs))
    torch.testing.assert_close(found, expected)
    assert found[0].grad_fn is None


def test_inputs_and_output_gradients_need_not_be_contiguous():
    ours, torchs = pair(3, 4)
    input_BTE = torch.randn(2, 5, 3).double()
    found, expected = (
        torch.autograd.grad(layer(input_BTE.transpose(0, 1))[0].transpose(0, 1).sum(), list(layer.parameters()))
        for layer in (ours, torchs)
    )
    torch.testing.assert_close(found, expected)


def test_the_backward_pass_can_run_twice():
    ours, _ = pair(3, 4)
    error = ours(torch.randn(5, 2, 3).double())[0].sum()
    first = torch.autograd.grad(error, list(ours.parameters()), retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(error, list(ours.parameters())), first, rtol=0, atol=0)


def test_inputs_are_not_changed_in_place():
    ours, _ = pair(3, 4)
    inputs = torch.randn(5, 2, 3).double(), torch.randn(1, 2, 4).double()
    before = [x.clone() for x in inputs]
    ours(*inputs)[0].sum().backward()
    torch.testing.assert_close(list(inputs), before, rtol=0, atol=0)


def test_on_other_devices_it_is_torchs_own(monkeypatch: pytest.MonkeyPatch):
    devices, gru = [], torch.gru
    monkeypatch.setattr(torch, "gru", lambda *args: devices.append(args[0].device.type) or gru(*args))
    for device in ("cpu", "meta"):  # the meta device stands for a GPU
        layer = GRU(3, 4).to(device)
        output_TBH, state_1BH = layer(torch.ones(5, 2, 3, device=device))
        assert (output_TBH.shape, state_1BH.shape) == ((5, 2, 4), (1, 2, 4))
    assert devices == ["meta"]


def test_parameters_have_torchs_names_shapes_and_range():
    ours, torchs = GRU(5, 7), nn.GRU(5, 7)
    shapes = [{name: value.shape for name, value in layer.state_dict().items()} for layer in (ours, torchs)]
    assert shapes[0] == shapes[1]
    torchs.load_state_dict(ours.state_dict())
    assert max(parameter.abs().max().item() for parameter in ours.parameters()) <= 7**-0.5


def step(x_BE: Tensor, h_BH: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """The equations of the module's docstring, one matrix at a time."""
    r = torch.sigmoid(x_BE @ weights["W_xr"].t() + h_BH @ weights["W_hr"].t())
    z = torch.sigmoid(x_BE @ weights["W_xz"].t() + h_BH @ weights["W_hz"].t())
    g = torch.tanh(x_BE @ weights["W_xg"].t() + r * (h_BH @ weights["W_hg"].t()))
    return z * h_BH + (1 - z) * g


def two_steps() -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
    torch.manual_seed(3)
    weights = {
        f"W_{kind}{gate}": torch.randn(4, size).double().requires_grad_()
        for kind, size in (("x", 3), ("h", 4))
        for gate in "rzg"
    }
    return weights, torch.randn(2, 5, 3).double(), torch.randn(5, 4).double(), torch.randn(5, 4).double()


def stacked(weights: dict[str, Tensor], kind: str) -> Tensor:
    return torch.cat([weights[f"W_{kind}{gate}"] for gate in "rzg"]).detach()


def test_immediate_gradients_equal_autograds_with_the_state_before_the_step_detached():
    weights, (first_BE, second_BE), h_BH, d_next_BH = two_steps()
    before_BH = step(first_BE, h_BH, weights).detach()
    after_BH = step(second_BE, before_BH, weights)
    expected = dict(zip(weights, torch.autograd.grad(after_BH, list(weights.values()), d_next_BH), strict=True))
    found = immediate_gradients(d_next_BH, second_BE, before_BH, stacked(weights, "x"), stacked(weights, "h"))
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-12, atol=1e-13)


def test_the_full_derivative_adds_the_path_through_the_state_before_the_step():
    weights, (first_BE, second_BE), h_BH, d_next_BH = two_steps()
    x, h = stacked(weights, "x"), stacked(weights, "h")
    before_BH = step(first_BE, h_BH, weights)
    after_BH = step(second_BE, before_BH, weights)
    *full, d_before_BH = torch.autograd.grad(after_BH, [*weights.values(), before_BH], d_next_BH)
    late = immediate_gradients(d_next_BH, second_BE, before_BH.detach(), x, h)
    early = immediate_gradients(d_before_BH, first_BE, h_BH, x, h)
    for name, gradient in zip(weights, full, strict=True):
        torch.testing.assert_close(late[name] + early[name], gradient, rtol=1e-12, atol=1e-13)
        assert not torch.allclose(late[name], gradient)


def test_bf16_matmul_changes_outputs_and_gradients_by_rounding_alone():
    ours, torchs = pair(20, 20)
    inputs = torch.randn(10, 4, 20), torch.randn(1, 4, 20)
    expected = outputs_and_gradients(torchs, *(x.double() for x in inputs))
    with full_precision_matmul():  # restores the setting
        reduce_matmul_precision(on_cpu=True, on_gpu=False)
        found = outputs_and_gradients(ours.float(), *inputs)
    for rounded, wanted in zip(found, expected, strict=True):
        assert rounded.dtype == torch.float32
        assert 1e-5 < (rounded - wanted).norm() / wanted.norm() < 0.02  # a step of bfloat16 is 2^-8 of a number
