"""How many parameters a language model has, by formula, and the hidden size at which another cell has as many.

For each of its gates a recurrent layer has a bias and two matrices, one on the input and one on the state:

    gates * (H + H * E + H * H)

The LSTM has 4 gates, the candidate included, the GRU 3, and an Elman network counts as 1. With E = H = 200 the LSTM
has 4 * (200 + 2 * 200 * 200) = 320,800. PyTorch adds a second bias to the first (in the GRU's candidate the reset gate
comes between them), and so has 321,600.

The minimal cells have no matrix on the state and one bias: gates * (H + H * E), with 2 gates in the minGRU and 3 in the
minLSTM. The Mogrifier adds 5 rounds of two matrices of rank 40 and a bias to an LSTM: 5 * 40 * (E + H) + 3 * E + 2 * H.

Sizes: E embedding (the layer's input), H hidden, V vocabulary.
"""

from bisect import bisect_left
from itertools import pairwise

from lm.checks import MAX_WHOLE, check_choice, check_flag, check_whole
from lm.models.cells import CELLS, get_cell

BIASES = 2
"""Biases of each gate in PyTorch's cells; in textbooks it is one."""


def layer_parameters(cell: str, input_size: int, hidden_size: int, biases: int = BIASES) -> int:
    """Return the number of parameters of one recurrent layer.

    Args:
        cell: a name in `lm.models.cells.CELLS`.
        input_size: E.
        hidden_size: H.
        biases: of each gate of a recurrent cell; the others have one.

    Raises:
        ValueError: if no cell has that name.
    """
    entry = get_cell(cell)
    inputs = input_size + hidden_size + biases if entry.recurrent else input_size + 1
    return entry.gates * hidden_size * inputs + entry.further_parameters(input_size, hidden_size)


def model_parameters(
    cell: str,
    vocabulary_size: int,
    embedding_size: int,
    hidden_size: int,
    num_layers: int,
    biases: int = BIASES,
    tie_weights: bool = False,
) -> dict[str, int]:
    """Return the numbers that `LanguageModel.parameter_counts` counts, without length conditioning.

    With tied weights the last layer has the embedding's size, and the decoder only its bias.
    """
    last_size = embedding_size if tie_weights else hidden_size
    sizes = [embedding_size, last_size] if num_layers == 1 else [embedding_size, hidden_size, last_size]
    ends = sum(layer_parameters(cell, *pair, biases) for pair in pairwise(sizes))
    between = max(0, num_layers - 2) * layer_parameters(cell, hidden_size, hidden_size, biases)
    counts = {
        "embedding": vocabulary_size * embedding_size,
        "recurrent": ends + between,
        "decoder": vocabulary_size * (1 if tie_weights else 1 + hidden_size),
    }
    return counts | {"total": sum(counts.values())}


def matching_hidden_size(
    reference: str,
    reference_size: int,
    cell: str,
    vocabulary_size: int,
    embedding_size: int,
    num_layers: int,
    tie_weights: bool = False,
) -> int:
    """Return the hidden size at which a model of `cell` comes closest to the total parameters of a reference model.

    The whole model counts, because a larger state also has a larger decoder. The embedding keeps its size.

    Args:
        reference: the reference model's cell.
        reference_size: the reference model's hidden size.
        cell: a name in `lm.models.cells.CELLS`.
        vocabulary_size: V of both.
        embedding_size: E of both.
        num_layers: of both.
        tie_weights: of both.

    Raises:
        ValueError: if a size is not a whole number above 0, no cell has that name, or the only layer has the size of a
            tied embedding.
    """
    check_choice("equal_parameters.reference", reference, CELLS)
    check_choice("equal_parameters.cell", cell, CELLS)
    check_whole("equal_parameters.hidden_size", reference_size, 200)
    check_whole("equal_parameters.vocabulary_size", vocabulary_size, 10_000)
    check_whole("embedding_size", embedding_size, 200)
    check_whole("num_layers", num_layers, 2)
    check_flag("tie_weights", tie_weights)
    if tie_weights and num_layers == 1:
        raise ValueError(
            "expected num_layers of at least 2 to match parameters with tie_weights=true, found 1: type num_layers=2"
        )

    def total(cell: str, hidden_size: int) -> int:
        counts = model_parameters(
            cell, vocabulary_size, embedding_size, hidden_size, num_layers, tie_weights=tie_weights
        )
        return counts["total"]

    wanted = total(reference, reference_size)
    sizes = range(1, min(wanted, MAX_WHOLE) + 2)  # a unit of a layer has at least one parameter
    enough = bisect_left(sizes, wanted, key=lambda hidden_size: total(cell, hidden_size))
    return min(sizes[max(0, enough - 1)], sizes[enough], key=lambda hidden_size: abs(total(cell, hidden_size) - wanted))
