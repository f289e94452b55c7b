import io
import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from lm.reporting.figures import draw_convergence, draw_validation, image
from lm.reporting.groups import RunGroup, group_runs
from lm.run_search import find_runs
from tests.run_folders import MakeRun, write_epochs

Draw = Callable[[list[RunGroup]], Figure | None]


def groups_in(folder: Path) -> list[RunGroup]:
    return group_runs(find_runs(folder))


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def note_of(figure: Figure) -> str:
    return str(figure._supxlabel.get_text()).replace("\n", " ")  # type: ignore[attr-defined]


def test_the_grid_is_four_panels_with_the_same_axes(grid: Path) -> None:
    panels = drawn(draw_convergence(groups_in(grid))).axes

    assert [panel.get_title() for panel in panels] == [
        "LSTM, no dropout\nbest 100.00 in epoch 2",
        "LSTM, dropout 0.25\nbest 100.00 in epoch 2",
        "GRU, no dropout\nbest 100.00 in epoch 2",
        "GRU, dropout 0.25\nbest 100.00 in epoch 2",
    ]
    assert len({(panel.get_xlim(), panel.get_ylim(), panel.get_yscale()) for panel in panels}) == 1
    assert panels[0].get_yscale() == "log"


def test_a_panel_holds_both_curves_the_best_epoch_and_the_published_value(grid: Path) -> None:
    panel = drawn(draw_convergence(groups_in(grid))).axes[1]

    training, validation, best, published = ([list(line.get_xdata()), list(line.get_ydata())] for line in panel.lines)
    assert training == [[1, 2, 3], [300, 150, 100]]
    assert validation == [[1, 2, 3], [200, 100, 110]]
    assert best == [[2], [100]]
    assert published[1] == [96.59, 96.59]


def test_no_text_covers_a_curve(grid: Path) -> None:
    for draw in (draw_convergence, draw_validation):
        assert not any(panel.texts or panel.get_legend() for panel in drawn(draw(groups_in(grid))).axes)


@pytest.mark.parametrize("count", [1, 4, 9, 16, 30])
def test_everything_lies_within_the_figure_and_panels_do_not_overlap(
    make_run: MakeRun, sweep: Path, count: int
) -> None:
    for size in range(count):
        make_run(f"hidden_size={size}", "max_grad_norm=5", config={"hidden_size": size, "max_grad_norm": size % 2})
    groups = groups_in(sweep)

    for draw in (draw_convergence, draw_validation):
        figure = drawn(draw(groups))
        (legend,) = figure.legends
        parts = [panel for panel in figure.axes if panel.get_visible()]
        assert len(parts) == (count if draw is draw_convergence else 1)
        boxes = [part.get_tightbbox() for part in (*parts, legend, figure._supxlabel, figure._supylabel)]  # type: ignore[attr-defined]
        for box in boxes:
            assert min(box.x0, box.y0) >= -1
            assert box.x1 <= figure.bbox.width + 1
            assert box.y1 <= figure.bbox.height + 1
        for one, other in itertools.combinations(boxes, 2):
            assert (
                min(one.x1, other.x1) - max(one.x0, other.x0) < 3 or min(one.y1, other.y1) - max(one.y0, other.y0) < 3
            )
        assert all(panel.get_position().width * figure.get_figwidth() > 1.5 for panel in parts)
        assert all(panel.get_position().height * figure.get_figheight() > 0.9 for panel in parts)


def test_of_more_configurations_than_can_be_read_the_best_are_drawn_and_the_figure_says_so(
    make_run: MakeRun, sweep: Path
) -> None:
    for size in range(33):
        make_run(f"hidden_size={size}", config={"hidden_size": size}, valid_ppls=[200.0, 150.0 - size])

    for draw in (draw_convergence, draw_validation):
        figure = drawn(draw(groups_in(sweep)))
        assert "Only 30 of 33 configurations are drawn: those with the lowest validation perplexity." in note_of(figure)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [f"hidden size {size}" for size in range(3, 33)]


def test_the_figures_say_that_curves_and_table_are_measured_differently(grid: Path) -> None:
    for draw in (draw_convergence, draw_validation):
        assert "the best weights, scored in batches of their own" in note_of(drawn(draw(groups_in(grid))))


def test_each_corpus_has_axes_of_its_own(make_run: MakeRun, sweep: Path) -> None:
    for name, ppl in (("ptb", 100.0), ("synthetic", 8.0)):
        corpus = {"corpus": {"name": name, "sha256": name}}
        make_run(f"data={name}", choices={"data": name}, results=corpus, valid_ppls=[2 * ppl, ppl])

    convergence, validation = (drawn(draw(groups_in(sweep))) for draw in (draw_convergence, draw_validation))

    assert [panel.get_title() for panel in validation.axes] == ["ptb", "synthetic"]
    assert [round(panel.get_ylim()[1]) for panel in validation.axes] == [224, 18]
    assert convergence.axes[0].get_ylim() != convergence.axes[1].get_ylim()


def test_perplexities_above_that_of_a_uniform_guess_are_cut_off(make_run: MakeRun, sweep: Path) -> None:
    make_run("lr=1", config={"lr": 1})
    make_run("lr=100", config={"lr": 100}, valid_ppls=[1e200, 150.0, 120.0])

    for draw in (draw_convergence, draw_validation):
        figure = drawn(draw(groups_in(sweep)))
        assert figure.axes[0].get_ylim()[1] == pytest.approx(1.12 * 10_000)
        assert len(figure.axes[0].get_yticks()) < 20


def test_a_diverged_run_is_not_drawn(make_run: MakeRun, sweep: Path) -> None:
    make_run("lr=1", config={"lr": 1})
    make_run("lr=9", config={"lr": 9}, results={"status": "diverged"}, valid_ppls=[5000.0, 9000.0])

    figure = drawn(draw_convergence(groups_in(sweep)))

    assert len(figure.axes) == 1
    assert figure.axes[0].get_ylim()[1] < 1000


@pytest.mark.parametrize(("low", "high"), [(90.0, 135.0), (85.0, 250.0), (30.0, 600.0), (3.0, 9000.0), (1.0, 1.9)])
def test_a_perplexity_axis_has_a_few_round_labels(make_run: MakeRun, sweep: Path, low: float, high: float) -> None:
    make_run(valid_ppls=[high, low])

    axis = drawn(draw_validation(groups_in(sweep))).axes[0]

    low, high = axis.get_ylim()
    labels = [text.get_text() for text in axis.get_yticklabels() if low <= text.get_position()[1] <= high]
    assert 2 <= len(labels) <= 9
    assert all(len(label) <= 5 and float(label) > 0 for label in labels)


def test_an_epoch_without_validation_is_left_out_of_the_curve(make_run: MakeRun, sweep: Path) -> None:
    rows = "epoch,train_online_ppl,valid_ppl\n1,300,\n2,150,\n3,100,120\n4,90,\n5,80,100\n"
    (make_run(config={"epochs": 5}) / "epochs.csv").write_text(rows)

    training, validation, *_ = drawn(draw_convergence(groups_in(sweep))).axes[0].lines

    assert list(training.get_xdata()) == [1, 2, 3, 4, 5]
    assert list(validation.get_xdata()) == [3, 5]


def test_another_configuration_has_no_published_line(make_run: MakeRun, sweep: Path) -> None:
    make_run(config={"epochs": 3})

    figure = drawn(draw_convergence(groups_in(sweep)))

    assert len(figure.axes[0].lines) == 3
    assert not any("published" in text for text in legend_of(figure))


@pytest.mark.parametrize(
    ("rates", "label"),
    [
        ((0.0,), "training (online)"),
        ((0.25,), "training (online, with dropout)"),
        ((0.0, 0.25), "training (online, with dropout, if any)"),
    ],
)
def test_the_legend_says_whether_training_was_measured_with_dropout(
    make_run: MakeRun, sweep: Path, rates: tuple[float, ...], label: str
) -> None:
    for dropout in rates:
        make_run(dropout=dropout)

    assert legend_of(drawn(draw_convergence(groups_in(sweep))))[0] == label


def test_seeds_are_one_panel_with_mean_and_range(seeds: Path) -> None:
    group = groups_in(seeds)[0]
    validation = group.curve("valid_ppl")

    figure = drawn(draw_convergence([group]))

    assert validation.index.tolist() == [1, 2, 3]
    assert validation.to_dict("list") == {"mean": [200, 105, 150], "min": [200, 90, 150], "max": [200, 125, 150]}
    assert len(figure.axes) == len(figure.axes[0].collections) == 1


@pytest.mark.parametrize("draw", [draw_convergence, draw_validation])
def test_the_legend_explains_the_bands(seeds: Path, make_run: MakeRun, draw: Draw) -> None:
    groups = groups_in(seeds)

    assert "range over the seeds" in legend_of(drawn(draw(groups)))
    assert "range over the seeds" not in legend_of(drawn(draw([RunGroup(groups[0].values, groups[0].runs[:1])])))


def test_all_validation_curves_look_different_and_are_named_from_the_top(make_run: MakeRun, sweep: Path) -> None:
    ends = [120.0, 90.0, 150.0, 100.0]
    for size, end in enumerate(ends):
        make_run(f"hidden_size={size}", config={"hidden_size": size}, valid_ppls=[200.0, end])

    figure = drawn(draw_validation(groups_in(sweep)))

    axes = figure.axes[0]
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines}) == 4
    assert legend_of(figure) == [f"hidden size {size}" for size in (2, 0, 3, 1)]


def test_runs_without_an_epoch_have_no_figures(make_run: MakeRun, sweep: Path) -> None:
    (make_run() / "epochs.csv").unlink()

    assert draw_convergence(groups_in(sweep)) is draw_validation(groups_in(sweep)) is None


def test_values_that_are_not_finite_are_left_out(make_run: MakeRun, sweep: Path) -> None:
    rows = [(1, 9.0, 8.0), (2, math.inf, math.nan)]
    names = ("epoch", "train_online_ppl", "valid_ppl")
    write_epochs(make_run(config={"epochs": 2}), [dict(zip(names, row, strict=True)) for row in rows])
    (group,) = groups_in(sweep)

    assert group.curve("valid_ppl")["mean"].tolist() == [8.0]
    assert drawn(draw_convergence([group])).axes[0].get_ylim()[1] < 20


def test_one_epoch_is_drawn_too(make_run: MakeRun, sweep: Path) -> None:
    make_run(valid_ppls=[200.0])

    assert image(drawn(draw_convergence(groups_in(sweep))), "png").startswith(b"\x89PNG")


def test_the_svg_holds_text_as_text(grid: Path) -> None:
    svg = image(drawn(draw_convergence(groups_in(grid))), "svg").decode()

    texts = {element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"LSTM, dropout 0.25", "epoch", "perplexity", "200", "best 100.00 in epoch 2"} <= texts


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_runs_give_the_same_file(grid: Path, form: str) -> None:
    first, second = (image(drawn(draw_convergence(groups_in(grid))), form) for _ in range(2))

    assert first == second


def test_the_svg_does_not_record_when_it_was_drawn(grid: Path) -> None:
    assert not re.search(rb"dc:date|20\d\d-\d\d-\d\d", image(drawn(draw_validation(groups_in(grid))), "svg"))


def test_both_curves_can_be_seen_in_the_picture(make_run: MakeRun, sweep: Path) -> None:
    make_run()

    pixels = imread(io.BytesIO(image(drawn(draw_convergence(groups_in(sweep))), "png")))[..., :3]

    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        near = abs(pixels * 255 - colour).max(axis=-1) < 2
        assert near.sum() > 200
