"""The Mogrifier LSTM against its formulas, and against an LSTM."""

import torch
from torch import nn

from lm.models.mogrifier_lstm import MogrifierLSTM

T, B, E, H, RANK = 9, 3, 5, 7, 2


def layer(rounds):
    torch.manual_seed(1)
    made = MogrifierLSTM(E, H, rounds, RANK)
    for parameter in made.parameters():
        parameter.data.uniform_(-1, 1)
    return made


def sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def step_by_step(mogrifier, input_TBE, state):
    """Each column for itself, with whole matrices Q and R."""
    outputs = []
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
    return torch.stack(outputs, dim=1)


def test_outputs_and_gradients_are_those_of_the_formulas():
    mogrifier = layer(rounds=5)
    input_TBE = torch.randn(T, B, E, requires_grad=True)
    state = torch.randn(1, B, H, requires_grad=True), torch.randn(1, B, H, requires_grad=True)
    found, (h_1BH, _) = mogrifier(input_TBE, state)
    expected = step_by_step(mogrifier, input_TBE, state)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(h_1BH, expected[-1:], rtol=1e-5, atol=1e-5)
    weights_TBH, leaves = torch.randn(T, B, H), [input_TBE, *state, *mogrifier.parameters()]
    gradients = [torch.autograd.grad((output * weights_TBH).sum(), leaves) for output in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


def test_without_rounds_it_is_an_lstm():
    mogrifier, lstm, input_TBE = layer(rounds=0), nn.LSTM(E, H), torch.randn(T, B, E)
    lstm.load_state_dict({f"{name}_l0": value for name, value in mogrifier.state_dict().items()})
    torch.testing.assert_close(mogrifier(input_TBE), lstm(input_TBE))
