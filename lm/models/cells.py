"""The registry of recurrent cells: all that is true of a cell stands in its entry.

A new cell takes a module with its layer, an entry in `CELLS` and a file `conf/cell/NAME.yaml`.

A layer is made from (input_size, hidden_size). Like PyTorch's recurrent layers it maps (input [T, B, E], state) to
(output [T, B, H], state), where None is a zero initial state. It lists its parameters in `all_weights[0]`: input-hidden
matrix, hidden-hidden matrix, input-hidden bias, hidden-hidden bias, and what else it has. A cell that is not
`recurrent` has neither hidden-hidden weights nor biases. `weights`, its third argument, replaces these tensors, so that
a masked matrix can be passed.

This module does not import PyTorch: composing a config and writing a report are fast without it.
"""

from collections.abc import Callable
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
        recurrent: whether it has hidden-hidden matrices.
        further_parameters: (E, H) -> the number of its parameters that are not of the gates.
    """

    display_name: str
    gates: int
    layer_class: str
    reference_class: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    recurrent: bool = True
    further_parameters: Callable[[int, int], int] = lambda input_size, hidden_size: 0

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


ROUNDS, RANK = 5, 40
"""Those of the Mogrifier: its paper's number of rounds, and a rank that adds a quarter to an LSTM layer of 200."""


def mogrifier_parameters(input_size: int, hidden_size: int) -> int:
    """Return the number of parameters of the Mogrifier's rounds: two matrices of low rank and a bias each."""
    biases = (ROUNDS + 1) // 2 * input_size + ROUNDS // 2 * hidden_size
    return ROUNDS * RANK * (input_size + hidden_size) + biases


CELLS = {
    "lstm": Cell("LSTM", 4, "lm.models.lstm:LSTM", "torch.nn:LSTM"),
    "gru": Cell("GRU", 3, "lm.models.gru:GRU", "torch.nn:GRU"),
    "rnn_tanh": Cell("RNN tanh", 1, "lm.models.rnn:RNN", "torch.nn:RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": Cell("RNN ReLU", 1, "lm.models.rnn:RNN", "torch.nn:RNN", {"nonlinearity": "relu"}),
    "mogrifier_lstm": Cell(
        "Mogrifier LSTM",
        4,
        "lm.models.mogrifier_lstm:MogrifierLSTM",
        options={"rounds": ROUNDS, "rank": RANK},
        further_parameters=mogrifier_parameters,
    ),
    "min_gru": Cell("minGRU", 2, "lm.models.minimal:MinimalRNN", options={"gates": 2}, recurrent=False),
    "min_lstm": Cell("minLSTM", 3, "lm.models.minimal:MinimalRNN", options={"gates": 3}, recurrent=False),
}


def get_cell(name: str) -> Cell:
    """Return the cell of that name.

    Raises:
        ValueError: if there is none.
    """
    check_choice("cell", name, CELLS)
    return CELLS[name]
