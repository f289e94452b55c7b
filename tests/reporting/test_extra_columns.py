import math

import pytest

from lm.reporting.extra_columns import ExtraColumns


@pytest.mark.parametrize("name", ["parameters", "speed", "evaluations"])
@pytest.mark.parametrize("value", ["yes", 1, 0, -1, None, "", [True], math.nan, math.inf])
def test_a_flag_of_the_table_is_true_or_false(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^expected {name} to be true or false, found .*: type {name}=true$"):
        ExtraColumns(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["soon", 0, -1, True, "", [120], math.nan, math.inf])
def test_the_perplexity_to_reach_is_a_positive_number(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"^expected epochs_to to be a number above 0 or null, found .*: type epochs_to="
    ):
        ExtraColumns(epochs_to=value)  # type: ignore[arg-type]
