import io
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from lm.reporting.curves import curve
from lm.reporting.figures import draw_convergence, draw_validation, image
from lm.reporting.table import RunGroup, settings_of
from lm.run_dir import find_runs
from tests.run_folders import MakeRun, write_epochs


def settings_in(folder: Path) -> list[RunGroup]:
    return settings_of(find_runs(folder))


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_the_grid_is_four_panels_with_the_same_axes(grid: Path) -> None:
    panels = drawn(draw_convergence(settings_in(grid))).axes

    assert [panel.get_title() for panel in panels] == [
        "LSTM, no dropout",
        "LSTM, dropout 0.25",
        "GRU, no dropout",
        "GRU, dropout 0.25",
    ]
    assert len({(panel.get_xlim(), panel.get_ylim(), panel.get_yscale()) for panel in panels}) == 1
    assert panels[0].get_yscale() == "log"


def test_a_panel_holds_both_curves_the_best_epoch_and_the_published_value(grid: Path) -> None:
    panel = drawn(draw_convergence(settings_in(grid))).axes[1]

    training, validation, best, published = ([list(line.get_xdata()), list(line.get_ydata())] for line in panel.lines)
    assert training == [[1, 2, 3], [300, 150, 100]]
    assert validation == [[1, 2, 3], [200, 100, 110]]
    assert best == [[2], [100]]
    assert published[1] == [96.59, 96.59]
    assert [text.get_text() for text in panel.texts] == ["100.0"]


@pytest.mark.parametrize("best", [0, 2, 7, 14])
def test_the_best_epochs_value_covers_no_point(make_run: MakeRun, sweep: Path, best: int) -> None:
    valid_ppls = [150.0 + 25 * (epoch % 2) for epoch in range(15)]  # one epoch up, one down
    valid_ppls[best] = 140.0
    make_run(config={"epochs": 15}, valid_ppls=valid_ppls)

    figure = drawn(draw_convergence(settings_in(sweep)))
    image(figure, "png")  # which puts everything into its place

    (panel,) = figure.axes
    (label,) = panel.texts
    box = label.get_window_extent()
    points = [point for line in panel.lines[:2] for point in panel.transData.transform(line.get_xydata())]
    assert len(points) == 30
    assert not any(box.contains(*point) for point in points)


def test_another_configuration_has_no_published_line(make_run: MakeRun, sweep: Path) -> None:
    make_run(config={"epochs": 3})

    figure = drawn(draw_convergence(settings_in(sweep)))

    assert len(figure.axes[0].lines) == 3
    assert not any("published" in text for text in legend_of(figure))


@pytest.mark.parametrize(
    ("rates", "label"),
    [
        ((0.0,), "training (online)"),
        ((0.25,), "training (online, dropout on)"),
        ((0.0, 0.25), "training (online, dropout on where used)"),
    ],
)
def test_the_legend_says_whether_training_was_measured_with_dropout(
    make_run: MakeRun, sweep: Path, rates: tuple[float, ...], label: str
) -> None:
    for dropout in rates:
        make_run(dropout=dropout)

    assert legend_of(drawn(draw_convergence(settings_in(sweep))))[0] == label


def test_seeds_are_one_panel_with_mean_and_range(seeds: Path) -> None:
    setting = settings_in(seeds)[0]
    validation = curve(setting, "valid_ppl")

    figure = drawn(draw_convergence([setting]))

    assert (validation.mean, validation.least, validation.greatest) == (
        [200, 105, 150],
        [200, 90, 150],
        [200, 125, 150],
    )
    assert validation.best == (2, 105)
    assert len(figure.axes) == len(figure.axes[0].collections) == 1
    assert "range over the seeds" in legend_of(figure)


def test_a_sweep_with_more_settings_than_panels_has_the_other_figure_alone(make_run: MakeRun, sweep: Path) -> None:
    for size in range(13):
        make_run(f"hidden_size={size}", config={"hidden_size": size})
    settings = settings_in(sweep)

    assert draw_convergence(settings) is None
    assert len(drawn(draw_convergence(settings[:12])).axes) == 12
    assert len(drawn(draw_validation(settings)).axes[0].lines) == 13


def test_all_validation_curves_look_different_and_are_named_from_the_top(make_run: MakeRun, sweep: Path) -> None:
    ends = [120.0, 90.0, 150.0, 100.0]
    for size, end in enumerate(ends):
        make_run(f"hidden_size={size}", config={"hidden_size": size}, valid_ppls=[200.0, end])

    axes = drawn(draw_validation(settings_in(sweep))).axes[0]

    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines}) == 4
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text()[-1] for text in legend.get_texts()] == ["2", "0", "3", "1"]


def test_runs_without_an_epoch_have_no_figures(make_run: MakeRun, sweep: Path) -> None:
    (make_run() / "epochs.csv").unlink()

    assert draw_convergence(settings_in(sweep)) is draw_validation(settings_in(sweep)) is None


def test_values_that_are_not_finite_are_left_out(make_run: MakeRun, sweep: Path) -> None:
    rows = [(1, 9.0, 8.0), (2, math.inf, math.nan)]
    names = ("epoch", "train_online_ppl", "valid_ppl")
    write_epochs(make_run(config={"epochs": 2}), [dict(zip(names, row, strict=True)) for row in rows])
    (setting,) = settings_in(sweep)

    assert curve(setting, "valid_ppl").mean == [8.0]
    assert drawn(draw_convergence([setting])).axes[0].get_ylim()[1] < 20


def test_one_epoch_is_drawn_too(make_run: MakeRun, sweep: Path) -> None:
    make_run(valid_ppls=[200.0])

    assert image(drawn(draw_convergence(settings_in(sweep))), "png").startswith(b"\x89PNG")


def test_the_svg_holds_text_as_text(grid: Path) -> None:
    svg = image(drawn(draw_convergence(settings_in(grid))), "svg").decode()

    texts = {element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"LSTM, dropout 0.25", "epoch", "perplexity", "200", "100.0"} <= texts


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_runs_give_the_same_file(grid: Path, form: str) -> None:
    first, second = (image(drawn(draw_convergence(settings_in(grid))), form) for _ in range(2))

    assert first == second


def test_the_svg_says_nothing_of_when_it_was_drawn(grid: Path) -> None:
    assert not re.search(rb"dc:date|20\d\d-\d\d-\d\d", image(drawn(draw_validation(settings_in(grid))), "svg"))


def test_both_curves_can_be_seen_in_the_picture(make_run: MakeRun, sweep: Path) -> None:
    make_run()

    pixels = imread(io.BytesIO(image(drawn(draw_convergence(settings_in(sweep))), "png")))[..., :3]

    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        near = abs(pixels * 255 - colour).max(axis=-1) < 2
        assert near.sum() > 200
