"""The figure of a comparison: the change of perplexity by class, and the words that gain and lose most."""

import textwrap

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm.compare.class_differences import largest_words
from lm.compare.run_pair import RunPair
from lm.reporting.figures import COLOURS, REFERENCE, STYLE

GAIN, LOSS = COLOURS[0], COLOURS[1]


def draw_differences(pair: RunPair, differences: pd.DataFrame) -> Figure:
    """Draw two panels with the classes and their intervals, and two with the words, on one axis each."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 6.8), layout="constrained")
        panels = figure.subplots(2, 2, height_ratios=(1, 2.3), sharex="row")
        titles = {"frequency": "by frequency of the word in training", "position": "by position in the sentence"}
        for axes, (kind, title) in zip(panels[0], titles.items(), strict=True):
            _draw_classes(axes, differences[differences["kind"] == kind], title)
        gains, losses = largest_words(differences)
        for axes, words, change, colour in zip(panels[1], (gains, losses), ("gain", "loss"), (GAIN, LOSS), strict=True):
            _draw_words(axes, words, change, colour)
        first, second = pair.titles
        title = textwrap.fill(f"{second} against {first}, {pair.split} split", 90)
        figure.suptitle(title, fontsize=9, parse_math=False)
    return figure


def _draw_classes(axes: Axes, classes: pd.DataFrame, title: str) -> None:
    rows = range(len(classes))
    axes.axvline(0, color=REFERENCE, linewidth=0.9, zorder=0.5)
    for row, (_, found) in zip(rows, classes.iterrows(), strict=True):
        axes.plot([found["percent_low"], found["percent_high"]], [row, row], color=COLOURS[0], linewidth=1.4)
        clear = found["percent_low"] > 0 or found["percent_high"] < 0
        axes.plot(
            [found["percent"]], [row], "o", color=COLOURS[0], markersize=5, markerfacecolor=None if clear else "white"
        )
    axes.set_yticks(rows, classes["class"])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_title(title)
    axes.set_xlabel("change of perplexity, %\n(open mark: no clear change)", fontsize=8)


def _draw_words(axes: Axes, words: pd.DataFrame, change: str, colour: str) -> None:
    axes.barh(range(len(words)), words["total"].abs(), color=colour, height=0.7)
    axes.set_yticks(range(len(words)), [label(word) for word in words["class"]], fontsize=7.5, parse_math=False)
    axes.set_ylim(max(len(words), 1) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_title(f"{len(words)} words with the largest {change}")
    axes.set_xlabel(f"{change} in nats, all tokens of the word", fontsize=8)


def label(word: str) -> str:
    """Return a word as a label of at most 24 characters."""
    return word if len(word) <= 24 else f"{word[:21]}..."
