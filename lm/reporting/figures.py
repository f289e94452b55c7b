"""The figures of a sweep: how fast each group of runs converges, and all of them in one.

Drawn with matplotlib's objects instead of its current figure; the same curves give the same bytes. The colours are by
Okabe and Ito (jfly.uni-koeln.de/color): colour-blind readers can tell them apart. Line styles and markers repeat them
for print in black and white.
"""

import io
import math
import textwrap
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lm.reporting.columns import format_ppl
from lm.reporting.groups import MAX_GROUPS, RunGroup, drawn_groups, figure_note

TRAINING = "#D55E00"
VALIDATION = "#0072B2"
REFERENCE = "#555555"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

PANELS = {1: 1, 2: 4, 3: 12, 4: 20, 5: MAX_GROUPS}
"""The columns of the figure, with the most panels for which they are enough."""

TICKS = {2: (), 10: (1, 1.5, 2, 3, 5, 7), 1000: (1, 2, 5), math.inf: (1,)}
"""The multiples of powers of ten with a label, by the ratio of the axis' ends. Up to 2 the ticks are evenly spaced."""

CIRCLE: dict[str, Any] = {
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgecolor": VALIDATION,
    "markeredgewidth": 1.2,
}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
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


def draw_convergence(groups: Sequence[RunGroup]) -> Figure | None:
    """Draw a panel per group with training and validation perplexity by epoch; None if there are no curves."""
    drawn = drawn_groups(groups)
    if not drawn:
        return None
    with matplotlib.rc_context(STYLE):
        columns = next(columns for columns, most in PANELS.items() if len(drawn) <= most)
        rows = math.ceil(len(drawn) / columns)
        figure = Figure(figsize=(max(4.0, 2.4 * columns), 1.5 + 1.9 * rows))
        same_axis = len({group.corpus for group in drawn}) == 1
        panels = figure.subplots(rows, columns, sharex=True, sharey=same_axis, squeeze=False).flatten()
        for panel, group in zip(panels, drawn, strict=False):
            _draw_group(panel, group)
            if panel is panels[0] or not same_axis:
                _perplexity_axis(panel, drawn if same_axis else [group], ("train_online_ppl", "valid_ppl"))
        for number in range(len(drawn), len(panels)):
            panels[number].set_visible(False)
            panels[number - columns].tick_params(labelbottom=True)
        _label(figure, "perplexity", groups)
        legend = figure.legend(handles=_legend(drawn), loc="outside upper center", ncols=3 if columns > 2 else 2)
        _make_room(figure, legend, 0.2, 0)
    return figure


def draw_validation(groups: Sequence[RunGroup]) -> Figure | None:
    """Draw the validation curves of all groups, in one panel per corpus; None if there are no curves."""
    drawn = drawn_groups(groups)
    if not drawn:
        return None
    with matplotlib.rc_context(STYLE):
        corpora = list(dict.fromkeys(group.corpus for group in drawn))
        figure = Figure(figsize=(4.4, max(3.4, 2.4 * len(corpora))))
        panels = dict(zip(corpora, figure.subplots(len(corpora), squeeze=False).flatten(), strict=True))
        dashes = [style for style in STYLES for _ in COLOURS]  # so that no two of `MAX_GROUPS` curves look the same
        styles = zip(cycle(COLOURS), cycle(MARKERS), dashes, strict=False)
        lines = [_draw_line(panels[group.corpus], group.curve("valid_ppl"), *next(styles)) for group in drawn]
        for corpus, panel in panels.items():
            panel.set_title(corpus.partition(" ")[0] if len(corpora) > 1 else "")
            _perplexity_axis(panel, [group for group in drawn if group.corpus == corpus], ("valid_ppl",))
        _label(figure, "validation perplexity", groups)
        legend = figure.legend(handles=_named_from_the_top(lines, drawn), loc="outside right upper")
        _make_room(figure, legend, 4.4, 0.9)
    return figure


def image(figure: Figure, form: str) -> bytes:
    """Return the figure as a `png` or `svg` file."""
    file = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()


def _make_room(figure: Figure, legend: Legend, width: float, height: float) -> None:
    """Enlarge a figure to the size of its legend and these inches, and lay it out."""
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    needed = box.width / figure.dpi + width, box.height / figure.dpi + height
    figure.set_size_inches(*map(max, needed, figure.get_size_inches()))
    figure.set_layout_engine("constrained")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # computed once, not for each file


def _label(figure: Figure, perplexity: str, groups: Sequence[RunGroup]) -> None:
    note = textwrap.fill(figure_note(groups), round(14 * figure.get_figwidth()))
    figure.supxlabel(f"epoch\n{note}", fontsize=8)
    figure.supylabel(perplexity, fontsize=9)


def _draw_group(panel: Axes, group: RunGroup) -> None:
    """Draw both curves. The best value stands in the title, where it covers none of them."""
    validation = group.curve("valid_ppl")
    _draw_line(panel, group.curve("train_online_ppl"), TRAINING, "s", "--", filled=False)
    _draw_line(panel, validation, VALIDATION, "o", "-")
    epoch, value = validation["mean"].idxmin(), validation["mean"].min()
    panel.plot([epoch], [value], linestyle="none", **CIRCLE)
    if reference := _reference(group):
        panel.axhline(reference, color=REFERENCE, linewidth=0.9, linestyle=":", zorder=1.5)
    panel.set_title(f"{_wrap(group.words, 30)}\nbest {format_ppl(value)} in epoch {epoch:.0f}")


def _draw_line(axes: Axes, curve: pd.DataFrame, colour: str, marker: str, dashes: Any, filled: bool = True) -> Line2D:
    """Draw the mean, with a marker at about a dozen epochs, and the range of the seeds as a band."""
    if not curve["min"].equals(curve["max"]):
        axes.fill_between(curve.index, curve["min"], curve["max"], color=colour, alpha=0.2, linewidth=0)
    step = max(1, round(len(curve) / 12))
    (line,) = axes.plot(curve.index, curve["mean"], color=colour, linestyle=dashes, marker=marker, markevery=step)
    line.set_markerfacecolor(colour if filled else "white")
    return line


def _named_from_the_top(lines: Sequence[Line2D], groups: Sequence[RunGroup]) -> list[Artist]:
    """Name the lines by what differs, in the order in which they end, so that the eye goes straight to a name."""
    words = [group.words for group in groups]
    differing = [place for place, found in enumerate(zip(*words, strict=True)) if len(set(found)) > 1]
    for line, found in zip(lines, words, strict=True):
        line.set_label(_wrap([found[place] for place in differing or range(len(found))], 60))
    ends = [(-group.curve("valid_ppl")["mean"].iloc[-1], line) for group, line in zip(groups, lines, strict=True)]
    return [*(line for _, line in sorted(ends, key=lambda pair: pair[0])), *_band(groups, REFERENCE)]


def _wrap(words: Sequence[str], width: int) -> str:
    """Join words in at most three lines, which break between two of them."""
    text = ", ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
    return textwrap.fill(text, width, max_lines=3, placeholder=" ...").replace("\N{NO-BREAK SPACE}", " ")


def _legend(groups: Sequence[RunGroup]) -> list[Artist]:
    dropout = [bool(group.values["dropout"]) for group in groups]
    note = ", with dropout" if all(dropout) else ", with dropout, if any" if any(dropout) else ""
    training = Line2D([], [], color=TRAINING, linestyle="--", marker="s", label=f"training (online{note})")
    training.set_markerfacecolor("white")
    entries: list[Artist] = [
        training,
        Line2D([], [], color=VALIDATION, marker="o", label="validation"),
        Line2D([], [], linestyle="none", label="best epoch", **CIRCLE),
    ]
    if any(_reference(group) for group in groups):
        entries.append(Line2D([], [], color=REFERENCE, linewidth=0.9, linestyle=":", label="published, validation"))
    return [*entries, *_band(groups, VALIDATION)]


def _band(groups: Sequence[RunGroup], colour: str) -> list[Artist]:
    several = any(len(group.runs) > 1 for group in groups)
    return [Patch(color=colour, alpha=0.2, linewidth=0, label="range over the seeds")] if several else []


def _reference(group: RunGroup) -> float | None:
    return group.published.valid_ppl if group.published else None


def _perplexity_axis(axes: Axes, groups: Sequence[RunGroup], names: Sequence[str]) -> None:
    """Set a log scale for the curves of these groups, and whole epochs.

    Values above the size of the vocabulary, the perplexity of a uniform guess, are cut off to show the rest.
    """
    curves = pd.concat([group.curve(name) for group in groups for name in names])
    references = [reference for group in groups if (reference := _reference(group))] if len(names) > 1 else []
    uniform = [group.runs[0].result("corpus.vocabulary") for group in groups]
    low, high = min([curves["min"].min(), *references]), max([curves["max"].max(), *references])
    if all(isinstance(size, int) and size > low for size in uniform):
        high = min(high, max(uniform))
    perplexity_axis(axes, low, high)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))


def perplexity_axis(axes: Axes, low: float, high: float) -> None:
    """Set a log scale with plain numbers that shows both of these perplexities."""
    logarithmic_axis(axes, "y", low, high)
    axes.set_ylim(low / 1.12, high * 1.12)


def logarithmic_axis(axes: Axes, name: str, low: float, high: float) -> None:
    """Set a log scale of the axis x or y, with plain numbers between these values."""
    axes.set(**{f"{name}scale": "log"})
    axis = getattr(axes, f"{name}axis")
    subs = next(subs for ratio, subs in TICKS.items() if high <= ratio * low)
    axis.set_major_locator(LogLocator(subs=subs) if subs else MaxNLocator(5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
