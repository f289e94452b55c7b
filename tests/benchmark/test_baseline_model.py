import torch
from torch import nn

from lm.benchmark.baseline_model import BaselineModel, LayerStack
from lm.models.cells import CELLS
from tests.benchmark.jobs import CONFIG
from tests.configs import config_with
from tests.toy_cell import TOY, ToyLayer

T, B, SIZE = 5, 3, 8


def test_a_stack_is_like_pytorchs():
    torch.manual_seed(1)
    stack, expected = LayerStack([nn.LSTM(SIZE, SIZE), nn.LSTM(SIZE, SIZE)], dropout=0.0), nn.LSTM(SIZE, SIZE, 2)
    with torch.no_grad():
        for weights, values in zip(expected.all_weights, stack.all_weights, strict=True):
            for weight, value in zip(weights, values, strict=True):
                weight.copy_(value)
    x_TBH = torch.randn(T, B, SIZE)
    _, states = stack(x_TBH, None)
    _, state = expected(x_TBH)
    torch.testing.assert_close(stack(x_TBH, states)[0], expected(x_TBH, state)[0])


def test_dropout_is_between_layers_alone():
    stack = LayerStack([nn.Identity() for _ in range(3)], dropout=0.5)
    seen = []
    for layer in stack.layers:
        layer.register_forward_hook(lambda *call: seen.append(call[2]))
        layer.forward = lambda x_TBH, state: (x_TBH, state)
    stack.dropout.register_forward_hook(lambda *_: seen.append("dropout"))
    output_TBH, _ = stack(torch.ones(T, B, SIZE), None)
    assert [isinstance(call, str) for call in seen] == [False, True, False, True, False]
    assert set(output_TBH.unique().tolist()) <= {0.0, 2.0, 4.0}


def test_the_baseline_of_a_cell_that_pytorch_lacks_has_this_projects_layers(monkeypatch):
    monkeypatch.setitem(CELLS, "toy", TOY)
    model = BaselineModel(20, config_with(**{**vars(CONFIG), "cell": "toy"}))
    assert [type(layer) for layer in model.rnn.layers] == [ToyLayer, ToyLayer]
