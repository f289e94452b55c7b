import pytest

from lm.reporting.curves import plain_ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (30, 600, [50, 100, 200, 500]),
        (85, 250, [100, 150, 200]),
        (90, 135, [90, 100, 120]),
        (3, 40_000, [10, 100, 1_000, 10_000]),
        (1.0, 1.9, [1, 1.2, 1.4]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    found = plain_ticks(low, high)

    assert set(ticks) <= set(found)
    assert all(low <= tick <= high for tick in found)
    assert 3 <= len(found) <= 9


def test_any_range_has_ticks() -> None:
    for exponent in range(-2, 8):
        for width in (1.05, 1.26, 2.0, 7.0, 300.0):
            low = 1.37 * 10.0**exponent
            ticks = plain_ticks(low, low * width)
            assert 3 <= len(ticks) <= 9, (low, width)
            assert all(low <= tick <= low * width for tick in ticks)
            assert all(tick == float(f"{tick:.3g}") for tick in ticks), ticks
