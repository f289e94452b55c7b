"""The figure of a search: validation perplexity by the value of each option, in a panel each."""

from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from lm.reporting.columns import format_value
from lm.reporting.figures import COLOURS, STYLE, perplexity_axis
from lm.reporting.search_results import SearchResults
from lm.run_dir import PRUNED


def draw_search(search: SearchResults | None) -> Figure | None:
    """Draw validation perplexity by the value of each option; None if no trial has one."""
    if search is None or not search.runs:
        return None
    with matplotlib.rc_context(STYLE):
        count = len(search.options)
        figure = Figure(figsize=(max(4.0, 2.6 * count), 3.2), layout="constrained")
        panels = figure.subplots(1, count, sharey=True, squeeze=False).flatten()
        for panel, option in zip(panels, search.options, strict=True):
            _draw_option(panel, search, option)
        perplexity_axis(panels[0], min(search.perplexities), max(search.perplexities))
        figure.supylabel("validation perplexity", fontsize=9)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _draw_option(panel: Axes, search: SearchResults, option: str) -> None:
    values: list[Any] = [run.value(option) for run in search.runs]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values = [format_value(value) for value in values]
    for pruned, style in ((False, {"marker": "o"}), (True, {"marker": "x", "linewidths": 1.0})):
        chosen = [place for place, run in enumerate(search.runs) if (run.status == PRUNED) == pruned]
        panel.scatter(
            [values[place] for place in chosen], [search.perplexities[place] for place in chosen],
            s=18, color=COLOURS[int(pruned)], label="pruned (last reported)" if pruned else "finished", **style,
        )  # fmt: skip
    if option in search.logarithmic:
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    importance = search.importances.get(option)
    panel.set_title(option if importance is None else f"{option}\nimportance {importance:.2f}")
