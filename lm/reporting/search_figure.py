"""The figure of a search: validation perplexity by the value of each option, in a panel each."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lm.reporting.columns import format_value
from lm.reporting.figures import COLOURS, STYLE, logarithmic_axis, perplexity_axis
from lm.reporting.search_results import SearchResults, Trial
from lm.run_files import FINISHED, PRUNED

STATUSES: dict[str, tuple[str, dict[str, Any]]] = {
    FINISHED: ("finished", {"marker": "o", "color": COLOURS[0]}),
    PRUNED: ("pruned: last reported perplexity", {"marker": "x", "color": COLOURS[1], "linewidths": 1.0}),
}
"""What is drawn, with its label and style. The last perplexity of a run that has diverged would hide the others."""


def draw_search(search: SearchResults | None) -> Figure | None:
    """Draw validation perplexity by the value of each option; None if no trial has one."""
    drawn = [] if search is None else [trial for trial in search.trials if trial.run.status in STATUSES]
    if search is None or not drawn:
        return None
    with matplotlib.rc_context(STYLE):
        count = len(search.options)
        figure = Figure(figsize=(max(4.0, 2.6 * count), 3.2), layout="constrained")
        panels = figure.subplots(1, count, sharey=True, squeeze=False).flatten()
        for panel, option in zip(panels, search.options, strict=True):
            _draw_option(panel, search, option, drawn)
        perplexities = [trial.valid_ppl for trial in drawn]
        perplexity_axis(panels[0], min(perplexities), max(perplexities))
        figure.supylabel("validation perplexity", fontsize=9)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _draw_option(panel: Axes, search: SearchResults, option: str, drawn: Sequence[Trial]) -> None:
    values: list[Any] = [trial.run.value(option) for trial in drawn]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    for status, (label, style) in STATUSES.items():
        chosen = [
            (value if numeric else format_value(value), trial.valid_ppl)
            for value, trial in zip(values, drawn, strict=True)
            if trial.run.status == status
        ]
        panel.scatter([x for x, _ in chosen], [y for _, y in chosen], s=20, label=label, **style)
    if not numeric:
        panel.margins(x=0.3)
    elif option in search.logarithmic:
        logarithmic_axis(panel, "x", min(values), max(values))
    importance = search.importances.get(option)
    panel.set_title(option if importance is None else f"{option}\nimportance {importance:.2f}")
