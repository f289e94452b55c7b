"""Layers -> ONNX nodes. LSTM, GRU and Elman layers are one node each; the others are a scan over time.

ONNX stacks gates in another order than PyTorch: input, output, forget, cell in the LSTM; update, reset, candidate in
the GRU, which multiplies by the reset gate after the matrix product, as PyTorch does, with `linear_before_reset`.

Shape suffixes: T time, B batch, E embedding (the layer's input), H hidden.
"""

from collections.abc import Sequence
from functools import singledispatchmethod
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from lm.models.minimal import MinimalRNN
from lm.models.mogrifier_lstm import MogrifierLSTM, by_round
from lm.models.softmax import AdaptiveSoftmax, FullSoftmax

LSTM_ORDER, GRU_ORDER, RNN_ORDER = (0, 3, 1, 2), (1, 0, 2), (0,)
"""For each of ONNX's gates, the index of the same gate in PyTorch."""


class Graph:
    """Nodes and weights, in the order in which they are added.

    Args:
        outer: the graph around this one, if it is the body of a scan: it has the weights.
    """

    def __init__(self, outer: "Graph | None" = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = [] if outer is None else outer.weights
        self._prefix = "value" if outer is None else f"step_{len(outer.nodes)}"

    def weight(self, tensor: Tensor) -> str:
        """Add a constant, and return its name."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(tensor.detach().cpu().contiguous().numpy(), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int | Sequence[str] = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or of its outputs if it has several."""
        place = len(self.nodes)
        names = (
            [f"{self._prefix}_{place}_{one}" for one in range(outputs)] if isinstance(outputs, int) else list(outputs)
        )
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if len(names) == 1 else names

    def affine(self, x: str, weight: Tensor, bias: Tensor | None = None, outputs: int | Sequence[str] = 1) -> str:
        """Add x W^T + b, and return the name of its output."""
        if bias is None:
            return str(self.add("MatMul", x, self.weight(weight.t()), outputs=outputs))
        return str(self.add("Add", self.affine(x, weight), self.weight(bias), outputs=outputs))

    def decoder(self, decoder: FullSoftmax | AdaptiveSoftmax, hidden_TBH: str, logits_TBV: str) -> None:
        """Add the decoder, whose output has the given name; an adaptive one returns log-probabilities."""
        if isinstance(decoder, FullSoftmax):
            self.affine(hidden_TBH, decoder.weight, decoder.bias, [logits_TBV])
            return
        tail: Any = decoder.softmax.tail
        log_probabilities = self.add(
            "LogSoftmax", self.affine(hidden_TBH, decoder.head.weight, decoder.head.bias), axis=-1
        )
        sizes = self.weight(torch.tensor([decoder.softmax.shortlist_size, *[1] * len(tail)]))
        frequent, *clusters = self.add("Split", log_probabilities, sizes, outputs=1 + len(tail), axis=-1)
        parts = [frequent]
        for (project, decode), cluster in zip(tail, clusters, strict=True):
            small = self.affine(hidden_TBH, project.weight)
            within = self.add("LogSoftmax", self.affine(small, decode.weight), axis=-1)
            parts.append(self.add("Add", cluster, within))
        self.add("Concat", *parts, outputs=[logits_TBV], axis=-1)

    @singledispatchmethod
    def layer(self, rnn: nn.Module, x_TBE: str, states: Sequence[str], new_states: Sequence[str]) -> str:
        """Add a recurrent layer, and return the name of its output, [T, B, H].

        Args:
            rnn: the layer.
            x_TBE: the name of its input.
            states: the names of its initial states, [1, B, H].
            new_states: the names of its states after the last step.

        Raises:
            ValueError: if ONNX cannot express it.
        """
        raise ValueError(
            f"expected a cell with an ONNX export, found {type(rnn).__name__}: type format=safetensors, or add it to "
            "lm/exporting/onnx_layers.py"
        )

    @layer.register
    def _(self, rnn: nn.LSTM, x_TBE: str, states: Sequence[str], new_states: Sequence[str]) -> str:
        return self._recurrent("LSTM", rnn, LSTM_ORDER, x_TBE, states, new_states)

    @layer.register
    def _(self, rnn: nn.GRU, x_TBE: str, states: Sequence[str], new_states: Sequence[str]) -> str:
        return self._recurrent("GRU", rnn, GRU_ORDER, x_TBE, states, new_states, linear_before_reset=1)

    @layer.register
    def _(self, rnn: nn.RNN, x_TBE: str, states: Sequence[str], new_states: Sequence[str]) -> str:
        activation = {"tanh": "Tanh", "relu": "Relu"}[rnn.nonlinearity]
        return self._recurrent("RNN", rnn, RNN_ORDER, x_TBE, states, new_states, activations=[activation])

    @layer.register
    def _(self, rnn: MinimalRNN, x_TBE: str, states: Sequence[str], new_states: Sequence[str]) -> str:
        weight_ih, bias_ih = rnn.all_weights[0]
        gates = self.affine(x_TBE, weight_ih, bias_ih)
        sizes = self.weight(torch.full((rnn.gates,), rnn.hidden_size))
        *arguments, candidate = self.add("Split", gates, sizes, outputs=rnn.gates, axis=2)
        if rnn.gates == 2:
            kept = self.add("Sigmoid", self.add("Neg", arguments[0]))
        else:
            forget, taken = (self.add("Softplus", self.add("Neg", one)) for one in arguments)
            kept = self.add("Sigmoid", self.add("Sub", taken, forget))
        one, axis = self.weight(torch.ones(())), self.weight(torch.zeros(1, dtype=torch.int64))
        added = self.add("Mul", self.add("Sub", one, kept), candidate)
        h_BH = self.add("Squeeze", states[0], axis)
        last_BH, h_TBH = self.add("Scan", h_BH, kept, added, outputs=2, body=_linear_step(), num_scan_inputs=2)
        self.add("Unsqueeze", last_BH, axis, outputs=new_states)
        return str(h_TBH)

    @layer.register
    def _(self, rnn: MogrifierLSTM, x_TBE: str, states: Sequence[str], new_states: Sequence[str]) -> str:
        axis = self.weight(torch.zeros(1, dtype=torch.int64))
        h_BH, c_BH = (self.add("Squeeze", state, axis) for state in states)
        body = _mogrifier_step(Graph(self), rnn)
        *last, h_TBH = self.add("Scan", h_BH, c_BH, x_TBE, outputs=3, body=body, num_scan_inputs=1)
        for value, name in zip(last, new_states, strict=True):
            self.add("Unsqueeze", value, axis, outputs=[name])
        return str(h_TBH)

    def _recurrent(
        self, operator: str, rnn: nn.RNNBase, order: Sequence[int], x_TBE: str, states: Sequence[str],
        new_states: Sequence[str], **attributes: Any,
    ) -> str:  # fmt: skip
        weight_ih, weight_hh, bias_ih, bias_hh = (_reorder(weight, order) for weight in rnn.all_weights[0])
        weights = [self.weight(one[None]) for one in (weight_ih, weight_hh, torch.cat([bias_ih, bias_hh]))]
        direction = f"value_{len(self.nodes)}"  # [T, 1, B, H]: ONNX has a dimension for two directions
        inputs = [x_TBE, *weights, "", *states]  # no lengths: all sequences have that of the batch
        self.add(operator, *inputs, outputs=[direction, *new_states], hidden_size=rnn.hidden_size, **attributes)
        return str(self.add("Squeeze", direction, self.weight(torch.ones(1, dtype=torch.int64))))


def _reorder(weight: Tensor, order: Sequence[int]) -> Tensor:
    gates = weight.chunk(len(order))
    return torch.cat([gates[place] for place in order])


def _mogrifier_step(graph: Graph, rnn: MogrifierLSTM) -> onnx.GraphProto:
    """Return the graph of one time step, as `lm.models.mogrifier_lstm.step_by_step`."""
    weight_ih, weight_hh, bias_ih, bias_hh, *mogrifier = rnn.all_weights[0]
    gated, two = ["x", "h"], graph.weight(torch.full((), 2.0))  # x and h gate each other in turns
    for index, (inner, outer, bias) in enumerate(by_round(mogrifier)):
        read = graph.add("MatMul", gated[1 - index % 2], graph.weight(inner.t()))
        gate = graph.add("Sigmoid", graph.affine(read, outer, bias))
        gated[index % 2] = graph.add("Mul", graph.add("Mul", two, gate), gated[index % 2])
    sums = graph.add("Add", graph.affine(gated[0], weight_ih, bias_ih), graph.affine(gated[1], weight_hh, bias_hh))
    taken, kept, cell, shown = graph.add("Split", sums, outputs=4, axis=1)
    added = graph.add("Mul", graph.add("Sigmoid", taken), graph.add("Tanh", cell))
    old = graph.add("Mul", graph.add("Sigmoid", kept), "c")
    graph.add("Add", old, added, outputs=["new_c"])
    graph.add("Mul", graph.add("Sigmoid", shown), graph.add("Tanh", "new_c"), outputs=["new_h"])
    graph.add("Identity", "new_h", outputs=["output"])
    return _step(graph.nodes, ("h", "c", "x"), ("new_h", "new_c", "output"))


def _linear_step() -> onnx.GraphProto:
    """Return the graph of one time step, h' = kept * h + added."""
    nodes = [
        helper.make_node("Mul", ["kept", "h"], ["old"]),
        helper.make_node("Add", ["old", "added"], ["new"]),
        helper.make_node("Identity", ["new"], ["output"]),
    ]
    return _step(nodes, ("h", "kept", "added"), ("new", "output"))


def _step(nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str]) -> onnx.GraphProto:
    """Return the body of a scan: the states come first, in its inputs and in its outputs."""
    before, after = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names] for names in (inputs, outputs)
    )
    return helper.make_graph(nodes, "step", before, after)
