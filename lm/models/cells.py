"""Cell names -> recurrent layers. A new cell is one entry in `CELLS`, and one in `GATES` of `parameter_count.py`.

A layer maps (inputs [T, B, E], state or None) to (outputs [T, B, H], state), as PyTorch's recurrent modules do.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from lm.models.gru import GRU
from lm.models.lstm import LSTM

CELLS: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": LSTM,
    "gru": GRU,
    "rnn_tanh": partial(nn.RNN, nonlinearity="tanh"),
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
}


def recurrent_layer(cell: str, input_size: int, hidden_size: int) -> nn.Module:
    """Return one recurrent layer.

    Raises:
        ValueError: where no cell has that name.
    """
    if cell not in CELLS:
        raise ValueError(f"expected a cell of {', '.join(CELLS)}, found '{cell}': type cell=lstm")
    return CELLS[cell](input_size, hidden_size)
