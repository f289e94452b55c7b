from itertools import count, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel
from lm.models.parameter_count import layer_parameters, matching_hidden_size, model_parameters

cells, sizes = st.sampled_from(sorted(CELLS)), st.integers(1, 12)


def counted(cell, input_size, hidden_size, biases):
    """The elements of the layer's tensors; with one bias of each gate, without those on the state."""
    parameters = CELLS[cell].layer(input_size, hidden_size).named_parameters()
    return sum(value.numel() for name, value in parameters if biases == 2 or not name.startswith("bias_hh"))


@pytest.mark.parametrize(("biases", "expected"), [(1, 320_800), (2, 321_600)])
def test_an_lstm_layer_of_200_has_the_number_of_the_docstring(biases, expected):
    assert layer_parameters("lstm", 200, 200, biases) == expected
    assert counted("lstm", 200, 200, biases) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("lstm", 320_800),
        ("gru", 240_600),
        ("rnn_tanh", 80_200),
        ("rnn_relu", 80_200),
        ("min_gru", 80_400),
        ("min_lstm", 120_600),
        ("mogrifier_lstm", 320_800 + 5 * 40 * 400 + 1000),
    ],
)
def test_the_cells_differ_by_their_gates(cell, expected):
    assert layer_parameters(cell, 200, 200, biases=1) == counted(cell, 200, 200, biases=1) == expected


@settings(max_examples=40)
@given(cells, sizes, sizes, st.sampled_from([1, 2]))
def test_the_formula_of_a_layer_equals_counting(cell, input_size, hidden_size, biases):
    assert layer_parameters(cell, input_size, hidden_size, biases) == counted(cell, input_size, hidden_size, biases)


@settings(max_examples=40)
@given(cells, sizes, sizes, sizes, st.integers(1, 4), st.sampled_from([1, 2]), st.booleans())
def test_the_formula_of_a_model_equals_counting(cell, words, embedding_size, hidden_size, num_layers, biases, tied):
    last_size = embedding_size if tied else hidden_size
    model = LanguageModel(
        words, cell, embedding_size, hidden_size, num_layers, tie_weights=tied, last_hidden_size=last_size
    )
    expected = model_parameters(cell, words, embedding_size, hidden_size, num_layers, biases, tied)
    assert model.parameter_counts(biases) == expected


@settings(max_examples=60)
@given(cells, sizes, cells, st.integers(1, 60), sizes, st.integers(1, 3))
def test_no_other_size_matches_better(reference, reference_size, cell, words, embedding_size, num_layers):
    def total(cell, hidden_size):
        return model_parameters(cell, words, embedding_size, hidden_size, num_layers)["total"]

    wanted = total(reference, reference_size)
    found = matching_hidden_size(reference, reference_size, cell, words, embedding_size, num_layers)
    totals = takewhile(lambda parameters: parameters <= 2 * wanted, (total(cell, size) for size in count(1)))
    distances = [abs(parameters - wanted) for parameters in (total(cell, 1), *totals)]
    assert abs(total(cell, found) - wanted) == min(distances)


@pytest.mark.parametrize("size", [1, 77, 2**31 - 1])
def test_a_cell_matches_itself_at_its_own_size(size):
    assert matching_hidden_size("gru", size, "gru", 1000, 50, 2) == size


@pytest.mark.parametrize("size", [0, -200, 0.5, "big", True])
def test_a_size_must_be_a_whole_number_above_zero(size):
    with pytest.raises(
        ValueError, match=r"expected equal_parameters.hidden_size to be a whole number of at least 1, found .*: type "
    ):
        matching_hidden_size("lstm", size, "gru", 1000, 50, 2)


def test_tied_models_are_matched_too():
    found = matching_hidden_size("lstm", 300, "gru", 10_000, 200, 2, tie_weights=True)
    totals = [
        model_parameters(cell, 10_000, 200, size, 2, tie_weights=True)["total"]
        for cell, size in (("lstm", 300), ("gru", found))
    ]
    assert totals[0] == pytest.approx(totals[1], rel=0.001)
    with pytest.raises(ValueError, match="found 1: type num_layers=2"):
        matching_hidden_size("lstm", 300, "gru", 10_000, 200, 1, tie_weights=True)
