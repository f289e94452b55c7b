import pytest
import torch

pytest.importorskip("onnx", reason="needs the extra export")

from onnx import numpy_helper
from torch import nn

from lm.exporting.onnx_layers import Graph
from lm.models.cells import get_cell


@pytest.mark.parametrize(("cell", "order"), [("lstm", [0, 3, 1, 2]), ("gru", [1, 0, 2]), ("rnn_tanh", [0])])
def test_the_gates_are_in_the_order_of_onnx(cell, order):
    """In ONNX: input, output, forget, cell; update, reset, candidate."""
    layer, graph = get_cell(cell).layer(2, 3), Graph()
    graph.layer(layer, "x", ["h", "c"][: 1 + (cell == "lstm")], ["new_h", "new_c"][: 1 + (cell == "lstm")])
    weight_ih, weight_hh, biases = (torch.from_numpy(numpy_helper.to_array(one).copy())[0] for one in graph.weights[:3])
    for found, expected in zip((weight_ih, weight_hh), layer.all_weights[0], strict=False):
        assert torch.equal(found, torch.cat([expected.chunk(len(order))[gate] for gate in order]))
    assert biases.shape == (2 * len(order) * 3,)


def test_a_layer_that_onnx_cannot_express_is_refused():
    with pytest.raises(ValueError, match=r"^expected a cell with an ONNX export, found Linear: type format=safe"):
        Graph().layer(nn.Linear(2, 3), "x", ["h"], ["new_h"])
