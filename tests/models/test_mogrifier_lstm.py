"""The Mogrifier LSTM against its formulas, and against an LSTM."""

import pytest
import torch
from torch import nn

from lm.models.matmul_precision import full_precision_matmul, reduce_matmul_precision
from lm.models.mogrifier_lstm import MogrifierLSTM, step_by_step

T, B, E, H, RANK = 9, 3, 5, 7, 2


def layer(rounds):
    torch.manual_seed(1)
    made = MogrifierLSTM(E, H, rounds, RANK)
    for parameter in made.parameters():
        parameter.data.uniform_(-1, 1)
    return made


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def by_formulas(mogrifier, input_TBE, state):
    """Each column for itself, with whole matrices Q and R."""
    outputs, cells = [], []
    for column in range(B):
        h, c = (part[0, column] for part in state)
        states = []
        for x in input_TBE[:, column]:
            for index in range(mogrifier.rounds):
                inner, outer, bias = mogrifier.mogrifier[3 * index : 3 * index + 3]
                matrix = outer @ inner
                if index % 2 == 0:
                    x = 2 * sigmoid(matrix @ h + bias) * x
                else:
                    h = 2 * sigmoid(matrix @ x + bias) * h
            gates = mogrifier.weight_ih @ x + mogrifier.bias_ih + mogrifier.weight_hh @ h + mogrifier.bias_hh
            i, f, g, o = gates.chunk(4)
            c = sigmoid(f) * c + sigmoid(i) * torch.tanh(g)
            h = sigmoid(o) * torch.tanh(c)
            states.append(h)
        outputs.append(torch.stack(states))
        cells.append(c)
    output_TBH = torch.stack(outputs, dim=1)
    return output_TBH, (output_TBH[-1:], torch.stack(cells)[None])


def on_a_cpu(mogrifier, input_TBE, state):
    return mogrifier(input_TBE, state)


def on_other_devices(mogrifier, input_TBE, state):
    output_TBH, c_BH = step_by_step(input_TBE, state[0][0], state[1][0], *mogrifier.all_weights[0])
    return output_TBH, (output_TBH[-1:], c_BH[None])


@pytest.mark.parametrize("compute", [on_a_cpu, on_other_devices])
@pytest.mark.parametrize("rounds", range(7))
def test_outputs_and_gradients_are_those_of_the_formulas(rounds, compute):
    mogrifier = layer(rounds).double()
    input_TBE = torch.randn(T, B, E).double().requires_grad_()
    state = tuple(torch.randn(1, B, H).double().requires_grad_() for _ in range(2))
    leaves = [input_TBE, *state, *mogrifier.parameters()]
    weights_TBH, weights_BH = torch.randn(T, B, H), torch.randn(B, H)
    found, expected = [], []
    for values, function in ((found, compute), (expected, by_formulas)):
        output_TBH, (h_1BH, c_1BH) = function(mogrifier, input_TBE, state)
        error = (output_TBH * weights_TBH).sum() + ((h_1BH + c_1BH) * weights_BH).sum()
        values += [output_TBH, h_1BH, c_1BH, *torch.autograd.grad(error, leaves)]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_no_two_gradients_share_their_memory():
    """Otherwise clipping, which scales each gradient, would scale them twice."""
    mogrifier = layer(rounds=5)
    mogrifier(torch.randn(T, B, E))[0].sum().backward()
    memory = {parameter.grad.untyped_storage().data_ptr() for parameter in mogrifier.parameters()}
    assert len(memory) == len(list(mogrifier.parameters()))


@pytest.mark.parametrize("rounds", [0, 5])
def test_with_bf16_multiplication_it_differs_by_rounding(rounds):
    mogrifier, input_TBE = layer(rounds), torch.randn(T, B, E)
    exact, rounded = ([], [])
    for values, bf16 in ((exact, False), (rounded, True)):
        with full_precision_matmul():
            reduce_matmul_precision(on_cpu=bf16, on_gpu=False)
            output_TBH, _ = mogrifier(input_TBE)
            values += [output_TBH, *torch.autograd.grad(output_TBH.sum(), mogrifier.parameters())]
    for one, other in zip(exact, rounded, strict=True):
        assert 0 < (one - other).abs().max() < 0.03 * one.abs().max()


def test_weights_in_bfloat16_are_taken():
    mogrifier, input_TBE = layer(rounds=5).bfloat16(), torch.randn(T, B, E).bfloat16()
    output_TBH, (h_1BH, c_1BH) = mogrifier(input_TBE)
    assert {output_TBH.dtype, h_1BH.dtype, c_1BH.dtype} == {torch.bfloat16}


def test_without_rounds_it_is_an_lstm():
    mogrifier, lstm, input_TBE = layer(rounds=0), nn.LSTM(E, H), torch.randn(T, B, E)
    lstm.load_state_dict({f"{name}_l0": value for name, value in mogrifier.state_dict().items()})
    torch.testing.assert_close(mogrifier(input_TBE), lstm(input_TBE))
