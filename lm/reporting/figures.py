"""The figures of a sweep: how fast each setting converges, and all of them in one.

Drawn with matplotlib's objects instead of its current figure; the same curves give the same bytes. Colours are Okabe
and Ito's (jfly.uni-koeln.de/color), which colour-blind readers can tell apart; line styles and markers say the same
again for print in black and white.
"""

import io
import math
import textwrap
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from lm.reporting.curves import Curve, curve, plain_ticks
from lm.reporting.table import RunGroup

TRAINING = "#D55E00"
VALIDATION = "#0072B2"
REFERENCE = "#555555"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

MOST_PANELS = 12
LABEL = 0.3
"""How much of a panel's width the value of its best epoch takes."""
ROOM = 2
"""A point less than so many times as high as the place of such a value is in its way."""

CIRCLE: dict[str, Any] = {
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgecolor": VALIDATION,
    "markeredgewidth": 1.2,
}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "lines.markersize": 3.2,
    "legend.edgecolor": "none",
    "savefig.dpi": 200,
    # Text stays text, and nothing in the file depends on when it was drawn.
    "svg.fonttype": "none",
    "svg.hashsalt": "lm",
}


def draw_convergence(settings: Sequence[RunGroup]) -> Figure | None:
    """Draw a panel a setting with training and validation perplexity by epoch; None where there are no curves to draw.

    Past `MOST_PANELS` panels none could be read, so there is no figure then.
    """
    drawn = [setting for setting in settings if curve(setting, "valid_ppl").epochs]
    if not 0 < len(drawn) <= MOST_PANELS:
        return None
    with matplotlib.rc_context(STYLE):
        columns = 1 if len(drawn) == 1 else 2 if len(drawn) <= 4 else 3
        rows = math.ceil(len(drawn) / columns)
        figure = _figure(width=(3.6, 5.2, 7.0)[columns - 1], height=0.7 + 1.85 * rows)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
        for panel, setting in zip(panels, drawn, strict=False):
            _draw_setting(panel, setting)
        _hide_unused(list(panels), len(drawn), columns)
        _perplexity_axis(panels[0], drawn, ("train_online_ppl", "valid_ppl"), _references(drawn))
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("perplexity", fontsize=9)
        figure.legend(handles=_legend(drawn), loc="outside upper center", ncols=2)
    return figure


def draw_validation(settings: Sequence[RunGroup]) -> Figure | None:
    """Draw the validation curves of all settings in one; None where there are no curves to draw."""
    drawn = [setting for setting in settings if curve(setting, "valid_ppl").epochs]
    if not drawn:
        return None
    with matplotlib.rc_context(STYLE):
        below = len(drawn) > 8
        figure = _figure(width=4.6, height=3.2 + 0.1 * len(drawn) * below)
        axes = figure.subplots()
        styles = zip(cycle(COLOURS), cycle(MARKERS), _dashes(), drawn, strict=False)
        lines = [_draw_curve(axes, setting, *style) for *style, setting in styles]
        _perplexity_axis(axes, drawn, ("valid_ppl",))
        axes.set(xlabel="epoch", ylabel="validation perplexity")
        if below:
            figure.legend(handles=_from_the_top(lines, drawn), loc="outside lower center", ncols=2, fontsize=7.5)
        else:
            axes.legend(handles=_from_the_top(lines, drawn))
    return figure


def _from_the_top(lines: Sequence[Line2D], settings: Sequence[RunGroup]) -> list[Line2D]:
    """Order the lines as their ends lie, so that the eye can go straight from a curve to its name."""
    ends = [curve(setting, "valid_ppl").mean[-1] for setting in settings]
    return [line for _, line in sorted(zip(ends, lines, strict=True), key=lambda pair: -pair[0])]


def image(figure: Figure, form: str) -> bytes:
    """Return the figure as a `png` or `svg` file."""
    file = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_setting(panel: Axes, setting: RunGroup) -> None:
    training, validation = curve(setting, "train_online_ppl"), curve(setting, "valid_ppl")
    _draw_line(panel, training, TRAINING, "s", "--", filled=False)
    _draw_line(panel, validation, VALIDATION, "o", "-")
    _mark_best(panel, training, validation)
    for reference in _references([setting]):
        panel.axhline(reference, color=REFERENCE, linewidth=0.9, linestyle=":", zorder=1.5)
    panel.set_title(
        "\n".join(textwrap.wrap(", ".join(setting.words[:2]), 40) + textwrap.wrap(", ".join(setting.words[2:]), 30))
    )


def _draw_curve(axes: Axes, setting: RunGroup, colour: str, marker: str, dashes: str) -> Line2D:
    line = _draw_line(axes, curve(setting, "valid_ppl"), colour, marker, dashes)
    line.set_label(setting.title)
    return line


def _draw_line(axes: Axes, data: Curve, colour: str, marker: str, dashes: str, filled: bool = True) -> Line2D:
    """Draw the mean, with a marker at about a dozen epochs, and the range of the seeds as a band."""
    if data.least != data.greatest:
        axes.fill_between(data.epochs, data.least, data.greatest, color=colour, alpha=0.2, linewidth=0)
    step = max(1, round(len(data.epochs) / 12))
    (line,) = axes.plot(data.epochs, data.mean, color=colour, linestyle=dashes, marker=marker, markevery=step)
    line.set_markerfacecolor(colour if filled else "white")
    return line


def _mark_best(panel: Axes, training: Curve, validation: Curve) -> None:
    """Circle the best epoch and write its value above it and above what lies just above it.

    Curves fall, so there is room above, towards the right early on and towards the left near the end.
    """
    epoch, value = validation.best
    panel.plot([epoch], [value], linestyle="none", **CIRCLE)
    length = LABEL * (validation.epochs[-1] - validation.epochs[0])
    late = epoch > 0.8 * validation.epochs[-1]
    left, right = (epoch - length, epoch) if late else (epoch, epoch + length)
    points = (point for data in (training, validation) for point in zip(data.epochs, data.mean, strict=True))
    height = value
    for other in sorted(y for x, y in points if left <= x <= right):
        if height < other < ROOM * height:
            height = other
    panel.annotate(
        f"{value:.1f}",
        (epoch, height),
        xytext=(4 if late else -4, 7),
        textcoords="offset points",
        horizontalalignment="right" if late else "left",
        color=VALIDATION,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4},
    )


def _legend(settings: Sequence[RunGroup]) -> list[Artist]:
    dropout = [bool(setting.values["dropout"]) for setting in settings]
    note = ", dropout on" if all(dropout) else ", dropout on where used" if any(dropout) else ""
    training = Line2D([], [], color=TRAINING, linestyle="--", marker="s", label=f"training (online{note})")
    training.set_markerfacecolor("white")
    entries: list[Artist] = [
        training,
        Line2D([], [], color=VALIDATION, marker="o", label="validation"),
        Line2D([], [], linestyle="none", label="best epoch", **CIRCLE),
    ]
    if _references(settings):
        entries.append(Line2D([], [], color=REFERENCE, linewidth=0.9, linestyle=":", label="published, validation"))
    if any(len(setting.runs) > 1 for setting in settings):
        entries.append(Patch(color=VALIDATION, alpha=0.2, linewidth=0, label="range over the seeds"))
    return entries


def _hide_unused(panels: list[Axes], used: int, columns: int) -> None:
    for number in range(used, len(panels)):
        panels[number].set_visible(False)
        panels[number - columns].tick_params(labelbottom=True)


def _references(settings: Sequence[RunGroup]) -> list[float]:
    figures = (setting.published for setting in settings)
    return [found.valid_ppl for found in figures if found and found.valid_ppl is not None]


def _perplexity_axis(
    axes: Axes, settings: Sequence[RunGroup], names: Sequence[str], references: Sequence[float] = ()
) -> None:
    """Give the axes (and those that share with them) a log scale with plain numbers, and whole epochs."""
    curves = [curve(setting, name) for setting in settings for name in names]
    low = min([*references, *(value for data in curves for value in data.least)]) / 1.12
    high = max([*references, *(value for data in curves for value in data.greatest)]) * 1.12
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(plain_ticks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def _dashes() -> "cycle[str]":
    """A line style for each round of the colours, so that no two of the first 28 curves look the same."""
    return cycle(style for style in STYLES for _ in COLOURS)
