"""The minimal cells against their formulas, step by step and unit by unit."""

import pytest
import torch

from lm.models.cells import CELLS

T, B, E, H = 35, 3, 5, 7


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def min_gru(x_E, h_H, weight, bias):
    (weight_z, weight_h), (bias_z, bias_h) = weight.chunk(2), bias.chunk(2)
    z_H = sigmoid(weight_z @ x_E + bias_z)
    return (1 - z_H) * h_H + z_H * (weight_h @ x_E + bias_h)


def min_lstm(x_E, h_H, weight, bias):
    (weight_f, weight_i, weight_h), (bias_f, bias_i, bias_h) = weight.chunk(3), bias.chunk(3)
    f_H, i_H = sigmoid(weight_f @ x_E + bias_f), sigmoid(weight_i @ x_E + bias_i)
    return (f_H * h_H + i_H * (weight_h @ x_E + bias_h)) / (f_H + i_H)


STEPS = {"min_gru": min_gru, "min_lstm": min_lstm}


def step_by_step(name, layer, input_TBE, state_1BH):
    columns = []
    for column in range(B):
        h_H, states = state_1BH[0, column], []
        for x_E in input_TBE[:, column]:
            h_H = STEPS[name](x_E, h_H, layer.weight_ih, layer.bias_ih)
            states.append(h_H)
        columns.append(torch.stack(states))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("name", STEPS)
def test_outputs_and_gradients_are_those_of_the_formulas(name):
    torch.manual_seed(1)
    layer = CELLS[name].layer(E, H)
    for parameter in layer.parameters():
        parameter.data.uniform_(-1, 1)
    input_TBE, state_1BH = torch.randn(T, B, E, requires_grad=True), torch.randn(1, B, H, requires_grad=True)
    leaves = [input_TBE, state_1BH, *layer.parameters()]
    found, last_1BH = layer(input_TBE, state_1BH)
    expected = step_by_step(name, layer, input_TBE, state_1BH)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last_1BH, expected[-1:], rtol=1e-5, atol=1e-5)
    weights_TBH = torch.randn(T, B, H)
    gradients = [torch.autograd.grad((output * weights_TBH).sum(), leaves) for output in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", STEPS)
def test_no_state_is_one_of_zeros(name):
    layer, input_TBE = CELLS[name].layer(E, H), torch.randn(T, B, E)
    torch.testing.assert_close(layer(input_TBE), layer(input_TBE, torch.zeros(1, B, H)), rtol=0, atol=0)


def test_gates_that_round_to_zero_give_no_nan():
    layer = CELLS["min_lstm"].layer(E, H)
    with torch.no_grad():
        layer.bias_ih[: 2 * H] = -1e4
    output_TBH, _ = layer(torch.randn(T, B, E))
    assert output_TBH.isfinite().all()
