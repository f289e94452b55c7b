import math

import pytest
from omegaconf import OmegaConf

from lm.checks import MAX_WHOLE, check_choice, check_flag, check_number, check_whole, show

WRONG = ["", "abc", "5", math.nan, math.inf, -math.inf, -1, True, None, [1], {}, 1.5, OmegaConf.create([1, 2])]


@pytest.mark.parametrize("value", [*WRONG, 0, 1.0, 10**20], ids=repr)
def test_what_is_no_whole_number_in_the_range_is_refused(value):
    with pytest.raises(ValueError, match=r"^expected size to be a whole number of at (least 1|most \d+), found"):
        check_whole("size", value, 200)


@pytest.mark.parametrize("value", [*(value for value in WRONG if value != 1.5), 0, 2], ids=repr)
def test_what_is_no_number_in_the_range_is_refused(value):
    with pytest.raises(ValueError, match=r"^expected lr to be a number above 0 and below 2, found .*: type lr=1.0$"):
        check_number("lr", value, 1.0, above=0, below=2)


@pytest.mark.parametrize("value", [value for value in WRONG if value is not True] + [0, 1], ids=repr)
def test_what_is_neither_true_nor_false_is_refused(value):
    with pytest.raises(ValueError, match=r"^expected tie to be true or false, found .*: type tie=true$"):
        check_flag("tie", value)


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("choices", [("left", "right"), {"left": 1, "right": 2}])
def test_what_is_no_choice_is_refused(value, choices):
    with pytest.raises(ValueError, match=r"^expected side to be one of left, right, found .*: type side=left$"):
        check_choice("side", value, choices)


def test_what_fits_passes():
    check_whole("size", 1, 200)
    check_whole("size", MAX_WHOLE, 200)
    check_whole("seed", 2**32 - 1, 1, least=0, most=2**32 - 1)
    check_number("dropout", 0, 0.25, least=0, below=1)
    check_flag("tie", False)
    check_choice("side", "right", ("left", "right"))


@pytest.mark.parametrize("check", [check_whole, check_number])
def test_null_passes_only_where_it_is_an_option(check):
    check("limit", None, 5, optional=True)
    with pytest.raises(ValueError, match=r"expected limit to be .* or null, found 'abc': type limit=5"):
        check("limit", "abc", 5, optional=True)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "null"), (True, "true"), (False, "false"), (1, "1"), (0, "0"), (1.5, "1.5"), ("", "''"), ("5", "'5'")],
)  # fmt: skip
def test_a_value_is_shown_as_it_is_typed(value, shown):
    assert show(value) == shown
