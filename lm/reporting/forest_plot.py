"""The figure of the effects: each with its 95 % interval on one axis, grouped by option."""

import textwrap
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm.reporting.effect_sentences import PERPLEXITY_NAMES, effect_label, percent_text
from lm.reporting.effects import Effect
from lm.reporting.figures import COLOURS, MARKERS, REFERENCE, STYLE

MAX_DRAWN = 40
"""The most effects that the figure shows."""

LABEL_WIDTH = 44
"""Characters of a line of a row's name: longer names, of sweeps over many options, would leave no room for the axis."""

NOTE_WIDTH = 55
"""Characters of a line of the note below the axis, which is centred there."""


def draw_effects(effects: Sequence[Effect]) -> Figure | None:
    """Draw a row per effect with its name, interval and numbers; None if there are no effects.

    Colours and markers tell options and interactions apart.
    """
    if not effects:
        return None
    kinds = list(dict.fromkeys(map(_kind, effects[:MAX_DRAWN])))
    drawn = sorted(effects[:MAX_DRAWN], key=lambda effect: kinds.index(_kind(effect)))
    names = [textwrap.fill(effect_label(effect), LABEL_WIDTH) for effect in drawn]
    ends = list(accumulate(0.75 * (name.count("\n") + 1) + 0.25 for name in names))
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(7.0, 0.9 + 0.24 * ends[-1]), layout="constrained")
        axes = figure.subplots()
        middles = [(start + end) / 2 for start, end in pairwise([0, *ends])]
        rows = [middle + 0.5 * kinds.index(_kind(effect)) for middle, effect in zip(middles, drawn, strict=True)]
        for row, effect in zip(rows, drawn, strict=True):
            _draw_row(axes, row, effect, kinds.index(_kind(effect)))
        axes.set_ylim(ends[-1] + 0.5 * kinds.index(_kind(drawn[-1])) + 0.2, -0.2)
        axes.set_yticks(rows, names)
        _label(axes, rows, drawn, len(effects))
    return figure


def _kind(effect: Effect) -> Any:
    return effect.change.option, effect.by.option if effect.by else None


def _draw_row(axes: Axes, row: float, effect: Effect, kind: int) -> None:
    colour, marker = COLOURS[kind % len(COLOURS)], MARKERS[kind % len(MARKERS)]
    low, high = effect.estimate.percent_interval
    if effect.estimate.has_interval:
        axes.plot([low, high], [row, row], "|-", color=colour, linewidth=1.6, markersize=7, solid_capstyle="butt")
    face = colour if effect.estimate.is_clear else "white"
    size = 4.5 if effect.estimate.has_interval else 3
    axes.plot([effect.estimate.percent], [row], marker, color=colour, markersize=size, markerfacecolor=face)


def _label(axes: Axes, rows: Sequence[float], drawn: Sequence[Effect], count: int) -> None:
    """Label the axis, and write the numbers on the right, where they cover no interval."""
    axes.axvline(0, color=REFERENCE, linewidth=0.9, zorder=0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    numbers = axes.secondary_yaxis("right")
    numbers.set_yticks(rows, [percent_text(effect).replace("-", "−") for effect in drawn])
    numbers.tick_params(axis="y", length=0)
    numbers.spines["right"].set_visible(False)
    note = textwrap.fill(_note(drawn, count), NOTE_WIDTH)
    axes.set_xlabel(f"change of {PERPLEXITY_NAMES[drawn[0].split]} in percent, with 95 % interval\n{note}")
    axes.xaxis.label.set_fontsize(8)


def _note(drawn: Sequence[Effect], count: int) -> str:
    bases = {effect.over for effect in drawn}
    notes = {
        "open mark: the interval contains 0": any(
            effect.estimate.has_interval and not effect.estimate.is_clear for effect in drawn
        ),
        "means over the settings of the other options": any(effect.num_settings > 1 for effect in drawn),
        "small mark: no interval": not all(effect.estimate.has_interval for effect in drawn),
        f"the first {len(drawn)} of {count} effects": len(drawn) < count,
        **{
            f"{'intervals' if len(bases) == 1 else 'some intervals'} over the {over} alone": over in bases
            for over in ("text", "seeds")
        },
    }
    return "; ".join(note for note, applies in notes.items() if applies)
