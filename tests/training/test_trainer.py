from lm.models.language_model import LanguageModel
from lm.training.trainer import describe_parameters


def test_the_parameters_are_shown_by_part_with_pytorchs_two_biases_a_gate_and_with_one():
    table = describe_parameters(LanguageModel(10_000, "lstm", 200, 200, num_layers=1))
    rows = {part: numbers for part, *numbers in (line.split() for line in table.splitlines()[2:])}
    assert rows == {
        "embedding": ["2,000,000", "2,000,000"],
        "recurrent": ["321,600", "320,800"],
        "decoder": ["2,010,000", "2,010,000"],
        "total": ["4,331,600", "4,330,800"],
    }


def test_a_table_of_parameters_counts_tied_weights_once_and_the_lengths():
    table = describe_parameters(
        LanguageModel(30, "gru", 8, 8, num_layers=2, tie_weights=True, length_conditioning=True)
    )
    rows = {part: numbers for part, *numbers in (line.split() for line in table.splitlines()[2:])}
    assert rows["decoder"] == ["30", "30"]
    assert rows["recurrent"] == ["864", "816"]
    assert rows["lengths"][0] == rows["lengths"][1]
