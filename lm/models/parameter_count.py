"""How many parameters a language model has, by formula, and the hidden size that gives it as many as another.

A recurrent layer with an input of E and a state of H has, for each of its gates, a bias and two matrices:

    gates * (H + H * E + H * H)

The LSTM's three gates and its proposal count as 4, the GRU's two and its proposal as 3, an Elman network is one. With
E = H = 200 the LSTM has 4 * (200 + 2 * 200 * 200) = 320,800. PyTorch keeps a second bias for each, added to the first
(but in the GRU's proposal, where the reset gate comes between them), and so has 321,600.

Sizes: E embedding, H hidden, V vocabulary.
"""

from bisect import bisect_left

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}

BIASES = 2
"""Biases a gate in PyTorch's cells; the textbooks' have one."""


def layer_parameters(cell: str, input_size: int, hidden_size: int, biases: int = BIASES) -> int:
    """Return the parameters of one recurrent layer.

    Args:
        cell: a name in `GATES`.
        input_size: E, or H of the layer below.
        hidden_size: H.
        biases: a gate has.

    Raises:
        ValueError: where no cell has that name.
    """
    if cell not in GATES:
        raise ValueError(f"expected a cell of {', '.join(GATES)}, found '{cell}': type lstm")
    return GATES[cell] * (biases * hidden_size + hidden_size * input_size + hidden_size * hidden_size)


def model_parameters(
    cell: str, vocabulary_size: int, embedding_size: int, hidden_size: int, num_layers: int, biases: int = BIASES
) -> dict[str, int]:
    """Return the parameters of a language model by part and in total, as `LanguageModel.parameter_counts` counts them.

    Weights are not tied here, and there is no length conditioning.
    """
    first = layer_parameters(cell, embedding_size, hidden_size, biases)
    others = layer_parameters(cell, hidden_size, hidden_size, biases)
    counts = {
        "embedding": vocabulary_size * embedding_size,
        "recurrent": first + (num_layers - 1) * others,
        "decoder": vocabulary_size + vocabulary_size * hidden_size,
    }
    return counts | {"total": sum(counts.values())}


def matching_hidden_size(
    reference: str, reference_size: int, cell: str, vocabulary_size: int, embedding_size: int, num_layers: int
) -> int:
    """Return the hidden size at which a model of `cell` has, in total, most nearly as many parameters as another.

    All of the model counts, not only the cell, for a larger state has a larger softmax, too. The embedding stays as it
    is, so that what a cell saves goes into its state.

    Args:
        reference: the other model's cell.
        reference_size: the other model's hidden size.
        cell: a name in `GATES`.
        vocabulary_size: V of both.
        embedding_size: E of both.
        num_layers: of both.

    Raises:
        ValueError: where a size is not a whole number above 0, or no cell has that name.
    """
    for size in (reference_size, vocabulary_size, embedding_size, num_layers):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"expected sizes that are whole numbers above 0, found '{size}': type one, such as 200")

    def total(cell: str, hidden_size: int) -> int:
        return model_parameters(cell, vocabulary_size, embedding_size, hidden_size, num_layers)["total"]

    wanted = total(reference, reference_size)
    sizes = range(1, wanted)
    enough = bisect_left(sizes, wanted, key=lambda hidden_size: total(cell, hidden_size))
    return min(sizes[max(0, enough - 1)], sizes[enough], key=lambda hidden_size: abs(total(cell, hidden_size) - wanted))
