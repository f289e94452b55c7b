"""What a search has found: its best trials, and how much each option matters.

Values are those that the run of a trial was trained with: numbers from an interval are rounded.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lm.reporting.columns import Column, format_ppl
from lm.reporting.table import Table
from lm.run_dir import RunDir
from lm.study import OVERRIDES, check_optuna, has_study, open_study

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

BEST = 5
"""How many trials the table of the best shows."""

LEAST_TRIALS = 4
"""The fewest finished trials from which importances are estimated."""


class Trial(NamedTuple):
    """A trial's run and its validation perplexity; of a pruned run, the last one that it reported."""

    run: RunDir
    valid_ppl: float


@dataclass(frozen=True)
class SearchResults:
    """The trials of a search that have a run.

    Args:
        options: the searched options.
        trials: in the order in which they were drawn.
        importances: how much each option explains of the perplexities of the finished trials; they sum to 1.
        logarithmic: the options that were drawn on a logarithmic scale.
    """

    options: list[str]
    trials: list[Trial]
    importances: dict[str, float] = field(default_factory=dict)
    logarithmic: frozenset[str] = frozenset()

    def summary(self) -> str:
        """Return how many trials there are, by status."""
        counts = Counter(trial.run.status for trial in self.trials)
        return f"{len(self.trials)} trials: {', '.join(f'{count} {status}' for status, count in counts.items())}."

    def terminal(self) -> str:
        """Return the counts and the importances in two lines."""
        found = ", ".join(f"{option} {value:.2f}" for option, value in self.importances.items())
        return self.summary() + (f"\nImportance: {found}" if found else "")

    def best_table(self) -> Table:
        """Return the best trials."""
        finished = [trial for trial in self.trials if trial.run.finished]
        best = sorted(finished, key=attrgetter("valid_ppl"))[:BEST]
        columns: list[Column | str] = [
            *(Column(option, always=True) for option in self.options),
            Column("valid", text=format_ppl),
            "run",
        ]
        rows = [(*(run.value(option) for option in self.options), ppl, run.name) for run, ppl in best]
        return Table.from_rows(columns, rows)

    def importance_table(self) -> Table:
        """Return the importance of each option."""
        return Table.from_rows(["option", Column("importance", text="{:.2f}".format)], list(self.importances.items()))


def read_search(folder: Path, runs: Sequence[RunDir]) -> SearchResults | None:
    """Return what the search in a sweep's folder has found; None if the sweep is no search, or cannot be read here."""
    if not has_study(folder):
        return None
    try:
        check_optuna()
        return _read(folder, runs)
    except Exception as error:  # a damaged journal must not cost the report
        log.warning("the report leaves out the search: %s", error)
        return None


def _read(folder: Path, runs: Sequence[RunDir]) -> SearchResults:
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    study = open_study(folder)
    by_overrides = {frozenset(run.overrides): run for run in runs}
    found: dict[str, Trial] = {}
    drawn = study.get_trials(deepcopy=False)
    for trial in drawn:
        run = by_overrides.get(frozenset(trial.user_attrs.get(OVERRIDES, ())))
        if run is not None and (ppl := _perplexity(trial, run)) is not None:
            found[run.name] = Trial(run, ppl)
    distributions = {name: one for trial in drawn for name, one in trial.distributions.items()}
    logarithmic = frozenset(name for name, one in distributions.items() if getattr(one, "log", False))
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    importances: dict[str, float] = {}
    if len(complete) >= LEAST_TRIALS and len({trial.value for trial in complete}) > 1:
        importances = optuna.importance.get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return SearchResults(list(distributions), list(found.values()), importances, logarithmic)


def _perplexity(trial: "FrozenTrial", run: RunDir) -> float | None:
    if run.finished:
        return float(run.results["best"]["valid_ppl"])
    return float(trial.intermediate_values[trial.last_step]) if trial.last_step is not None else None


def search_section(folder: Path, search: SearchResults | None) -> Iterator[str]:
    """Yield the paragraphs of the report's page about a search."""
    if search is None:
        if has_study(folder):
            yield "## Search"
            yield (
                "This sweep is a search. Its trials are not shown, because its study could not be read: "
                "`python -m lm.report` prints the reason."
            )
        return
    yield "## Search"
    yield f"{search.summary()} The best:"
    yield search.best_table().markdown()
    if search.importances:
        yield "The importance of each option among the finished trials, by Optuna's PED-ANOVA:"
        yield search.importance_table().markdown()
