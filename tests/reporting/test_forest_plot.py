from dataclasses import replace
from itertools import pairwise

import pytest

from lm.reporting.effects import Change, Effect
from lm.reporting.figures import image
from lm.reporting.forest_plot import MAX_DRAWN, draw_effects
from lm.reporting.statistics import Estimate

CLEAR = Effect(Change("dropout", 0, 0.25), {"cell": "lstm"}, "test", Estimate(-0.2, 0.004, 5), (3, 3), paired=True)
UNCLEAR = replace(CLEAR, change=Change("cell", "lstm", "gru"), setting={}, estimate=Estimate(0.001, 0.004, 5))
WITHOUT_INTERVAL = replace(CLEAR, estimate=Estimate(-0.1), seeds=(1, 1), paired=False)


def test_each_effect_has_a_row_with_its_interval_and_numbers() -> None:
    figure = draw_effects([CLEAR, UNCLEAR])

    assert figure is not None
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "dropout 0.25 for the LSTM",
        "the GRU instead of the LSTM",
    ]
    interval, mark = axes.lines[:2]
    assert list(interval.get_xdata()) == pytest.approx(CLEAR.estimate.percent_interval)
    assert list(mark.get_xdata()) == [CLEAR.estimate.percent]


def test_rows_of_one_kind_are_together_and_do_not_overlap() -> None:
    figure = draw_effects([CLEAR, UNCLEAR] * 4)

    assert figure is not None
    rows = list(figure.axes[0].get_yticks())
    assert all(after - before >= 0.75 for before, after in pairwise(rows))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:4] == ["dropout 0.25 for the LSTM"] * 4


def test_open_and_small_marks_are_explained() -> None:
    figure = draw_effects([CLEAR, UNCLEAR, WITHOUT_INTERVAL])

    assert figure is not None
    label = " ".join(figure.axes[0].get_xlabel().split())
    assert "change of test perplexity in percent" in label
    assert "open mark: the interval contains 0" in label
    assert "means over" not in label
    assert "small mark: no interval" in label


def test_options_differ_in_colour_and_in_marker() -> None:
    figure = draw_effects([CLEAR, UNCLEAR])

    assert figure is not None
    marks = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "|")]
    assert len({mark.get_color() for mark in marks}) == len({mark.get_marker() for mark in marks}) == 2


@pytest.mark.parametrize("count", [1, 5, MAX_DRAWN + 5])
def test_everything_lies_within_the_figure(count: int) -> None:
    figure = draw_effects([CLEAR] * count)

    assert figure is not None
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert ("of 45 effects" in figure.axes[0].get_xlabel()) == (count > MAX_DRAWN)


def test_long_names_leave_room_for_the_axis() -> None:
    options = {"optimizer": "adamw", "dropout_type": "locked", "averaging": "none", "weight_dropout": 0.3}
    long = replace(CLEAR, setting={"cell": "lstm", "tie_weights": True, **options}, seeds=(1, 1), num_settings=4)
    figure = draw_effects([long, replace(UNCLEAR, seeds=(1, 1)), replace(WITHOUT_INTERVAL, paired=True)])

    assert figure is not None
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert figure.axes[0].get_position().width * figure.get_figwidth() > 1.5
    assert "means over the settings" in " ".join(figure.axes[0].get_xlabel().split())
    first, second, _ = (label.get_window_extent() for label in figure.axes[0].get_yticklabels())
    assert first.y0 > second.y1


@pytest.mark.parametrize(("others", "words"), [((), "intervals over the text"), ((CLEAR,), "some intervals over")])
def test_intervals_that_are_not_over_seeds_and_text_are_explained(others: tuple[Effect, ...], words: str) -> None:
    figure = draw_effects([replace(CLEAR, seeds=(1, 1)), *others])

    assert figure is not None
    label = " ".join(figure.axes[0].get_xlabel().split())
    assert words in label
    assert ("some" in label) == bool(others)


def test_no_effects_have_no_figure() -> None:
    assert draw_effects([]) is None


def test_the_same_effects_give_the_same_file() -> None:
    first, second = (draw_effects([CLEAR, UNCLEAR]) for _ in range(2))

    assert first is not None
    assert second is not None
    assert image(first, "svg") == image(second, "svg")
