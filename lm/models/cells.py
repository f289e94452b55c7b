"""The registry of recurrent cells: all that is true of a cell stands in its entry.

A new cell takes a module with its layer, an entry in `CELLS` and a file `conf/cell/NAME.yaml`.

A layer is made from (input_size, hidden_size). Like PyTorch's recurrent layers it maps (input [T, B, E], state) to
(output [T, B, H], state), where None is a zero initial state. It lists its parameters in `all_weights[0]`: input-hidden
matrix, hidden-hidden matrix, input-hidden bias, hidden-hidden bias. `weights`, its third argument, replaces these
tensors, so that a masked matrix can be passed.

This module does not import PyTorch: composing a config and writing a report are fast without it.
"""

from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from lm.checks import check_choice

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Cell:
    """What is true of a cell.

    Args:
        display_name: its name in tables and figures.
        gates: the number of its input-hidden matrices [H, E], each with a hidden-hidden matrix [H, H] and biases.
        layer_class: where the class of its layer is, as "module:class".
        reference_class: where PyTorch's own class is, the benchmark's baseline; None if there is none.
        options: keyword arguments of both classes, beside the sizes.
    """

    display_name: str
    gates: int
    layer_class: str
    reference_class: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def layer(self, input_size: int, hidden_size: int) -> "nn.Module":
        """Return a new layer."""
        layer: nn.Module = resolve_name(self.layer_class)(input_size, hidden_size, **self.options)
        return layer

    def reference(self, input_size: int, hidden_size: int, num_layers: int, dropout: float) -> "nn.Module":
        """Return PyTorch's own stack of layers, with dropout between them.

        Raises:
            ValueError: if PyTorch has no such cell.
        """
        if self.reference_class is None:
            known = [name for name, cell in CELLS.items() if cell.reference_class]
            raise ValueError(f"expected a cell that PyTorch has, found {self.display_name}: type cell={known[0]}")
        reference_class = resolve_name(self.reference_class)
        stack: nn.Module = reference_class(input_size, hidden_size, num_layers, dropout=dropout, **self.options)
        return stack


CELLS = {
    "lstm": Cell("LSTM", 4, "lm.models.lstm:LSTM", "torch.nn:LSTM"),
    "gru": Cell("GRU", 3, "lm.models.gru:GRU", "torch.nn:GRU"),
    "rnn_tanh": Cell("RNN tanh", 1, "lm.models.rnn:RNN", "torch.nn:RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": Cell("RNN ReLU", 1, "lm.models.rnn:RNN", "torch.nn:RNN", {"nonlinearity": "relu"}),
}


def get_cell(name: str) -> Cell:
    """Return the cell of that name.

    Raises:
        ValueError: if there is none.
    """
    check_choice("cell", name, CELLS)
    return CELLS[name]
