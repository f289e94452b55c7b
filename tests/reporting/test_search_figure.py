from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="needs the extra search")

from lm.reporting.figures import image
from lm.reporting.search_figure import draw_search
from lm.reporting.search_results import read_search
from lm.run_search import find_runs
from tests.reporting.searches import make_search
from tests.run_folders import MakeRun


def test_each_option_has_a_panel_with_finished_and_pruned_trials(sweep: Path, make_run: MakeRun) -> None:
    make_search(sweep, make_run)
    search = read_search(sweep, find_runs(sweep))
    figure = draw_search(search)
    assert figure is not None
    rates, cells = figure.axes
    assert [panel.get_title().partition("\n")[0] for panel in figure.axes] == ["lr", "cell"]
    assert [points.get_offsets().tolist() for points in rates.collections] == [
        [[0.5, 95.0], [1.0, 105.0], [0.4, 93.0], [0.7, 101.0]],
        [[1.9, 200.0]],
    ]
    assert (rates.get_xscale(), rates.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in cells.get_xticklabels()] == ["lstm", "gru"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "finished",
        "pruned: last reported perplexity",
    ]
    assert image(figure, "png") == image(draw_search(search), "png")  # type: ignore[arg-type]


def test_there_is_no_figure_without_trials() -> None:
    assert draw_search(None) is None
