"""A sweep's report: written from whatever its runs have left so far, and shown in the terminal."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from lm.atomic_files import write_file
from lm.folders import in_use
from lm.overrides import quote_override, typed_command
from lm.reporting.effect_sentences import effect_sentence, effects_note
from lm.reporting.effect_table import effect_table
from lm.reporting.effects import Effect, find_effects
from lm.reporting.extra_columns import ExtraColumns
from lm.reporting.groups import RunGroup, group_runs
from lm.reporting.markdown_report import (
    FIGURES,
    report_markdown,
    sweep_command,
    table_notes,
    unfinished_lines,
)
from lm.reporting.search_results import SearchResults, read_search
from lm.reporting.table import Table, build_table
from lm.run_dir import RunDir
from lm.run_files import ENDED, FINISHED, PRUNED
from lm.run_search import find_runs
from lm.study import has_study

MAX_EFFECTS = 20
"""The most effects that are shown one by one; a sweep over many options shows their means over the other options."""


@dataclass(frozen=True)
class Report:
    """The runs of a sweep, the table of those that are finished, the effects, what a search found, and the folder."""

    folder: Path
    runs: list[RunDir]
    table: Table
    effects: list[Effect]
    search: SearchResults | None = None

    @property
    def unfinished(self) -> list[RunDir]:
        """The runs that have no results: failed, diverged, interrupted, damaged, or still running.

        A search has an answer for those that were pruned or have diverged; they are in its table.
        """
        ended = ENDED if self.search else {FINISHED, PRUNED}
        return [run for run in self.runs if run.status not in ended]

    def terminal_text(self) -> str:
        """Return the table as plain text, the files that were written, the effects, and the runs without results."""
        lines = [self.table.terminal(), *table_notes(self.table), ""] if len(self.table.values) else []
        lines += [self.search.terminal(), ""] if self.search else []
        figures = [self.folder / f"{name}.png" for name in FIGURES]
        if found := [str(figure) for figure in figures if figure.is_file()]:
            lines += [f"Figures:     {', '.join(found)}"]
        lines += [f"Report:      {self.folder / 'report.md'}"]
        lines += [f"TensorBoard: tensorboard --logdir {shlex.quote(str(self.folder))}"]
        lines += ["", *map(effect_sentence, self.effects), effects_note(self.effects)] if self.effects else []
        if unfinished := self.unfinished:
            lines += ["", f"{len(unfinished)} of {len(self.runs)} runs not finished:", unfinished_lines(unfinished)]
            resumable = not self.runs[0].sweep and any(run.status not in ENDED for run in self.runs)
            lines += [self._next_line()] if resumable else []
        return "\n".join(lines)

    def _next_line(self) -> str:
        if in_use(self.folder):
            return f"Another process trains in {self.folder}"
        if [run.folder for run in self.runs] == [self.folder.resolve()]:
            return f"To resume, type {typed_command('lm.train', ('resume', self.folder))}"
        command = sweep_command(self.folder, str(self.folder))
        return f"To resume, type {command or 'the same command with ' + quote_override('hydra.sweep.dir', self.folder)}"


def write_report(
    folder: Path, extras: ExtraColumns | None = None, others: Sequence[Path] = (), figures: bool = True
) -> Report:
    """Write `report.md`, `table.csv`, `table.tex`, `effects.csv` and the figures (PNG and SVG) into a sweep's folder.

    Every file is replaced as a whole, so several workers may do this at once. If a run ends meanwhile, everything is
    written again: whoever writes last has seen every result.

    Args:
        folder: the sweep's folder.
        extras: columns on request.
        others: further sweeps of the report, which is then written into `comparison` in the sweep's folder.
        figures: whether they are drawn, too, which takes seconds; otherwise those in the folder stay as they are.

    Raises:
        FileNotFoundError: if a folder does not exist, or holds no run.
    """
    while True:
        runs = runs_of_sweeps([Path(folder), *others])
        seen = _results_seen(runs)
        report = _write_once(Path(folder) / "comparison" if others else Path(folder), runs, extras, figures)
        if _results_seen(runs_of_sweeps([Path(folder), *others])) == seen:
            return report


def runs_of_sweeps(sweeps: Sequence[Path]) -> list[RunDir]:
    """Return the runs of one or more sweeps; of several, their names begin with that of the sweep."""
    runs = [find_runs(sweep) for sweep in sweeps]
    if len(sweeps) == 1:
        return runs[0]
    resolved = [sweep.resolve() for sweep in sweeps]  # the name of `.` is empty
    unique = len({sweep.name for sweep in resolved}) == len(sweeps)
    for sweep, found in zip(resolved, runs, strict=True):
        for run in found:
            run.sweep = sweep.name if unique else str(sweep)
            run.name = f"{run.sweep}/{run.name}"
    return [run for found in runs for run in found]


def _write_once(folder: Path, runs: list[RunDir], extras: ExtraColumns | None, figures: bool) -> Report:
    folder.mkdir(exist_ok=True)
    groups = group_runs(runs)
    table, search = build_table(groups, extras), read_search(folder, runs)
    # A search looks at the results while it chooses, and is no experiment on what the options do.
    effects = [] if has_study(folder) else [find_effects(groups, split) for split in ("valid", "test")]
    if any(len(found) > MAX_EFFECTS for found in effects):
        effects += [find_effects(groups, split, mean=True) for split in ("valid", "test")]
    shown = effects[-1] if effects else []
    if groups and figures:
        _write_figures(folder, groups, shown, search)
    if groups:
        write_file(folder / "table.csv", table.csv())
        write_file(folder / "table.tex", table.latex())
    if found := [effect for some in effects for effect in some]:
        write_file(folder / "effects.csv", effect_table(found).csv())
    else:
        (folder / "effects.csv").unlink(missing_ok=True)
    report = Report(folder, runs, table, shown, search)
    write_file(folder / "report.md", report_markdown(report, groups))
    return report


def _write_figures(folder: Path, groups: list[RunGroup], effects: list[Effect], search: SearchResults | None) -> None:
    # slow to import
    from lm.reporting.figures import draw_convergence, draw_validation, image
    from lm.reporting.forest_plot import draw_effects
    from lm.reporting.search_figure import draw_search

    drawn = (draw_convergence(groups), draw_validation(groups), draw_effects(effects), draw_search(search))
    for (name, figure), form in product(zip(FIGURES, drawn, strict=True), ("png", "svg")):
        if figure is None:
            (folder / f"{name}.{form}").unlink(missing_ok=True)
        else:
            write_file(folder / f"{name}.{form}", image(figure, form))


def _results_seen(runs: Sequence[RunDir]) -> dict[Path, int]:
    return {run.folder: run.results_path.stat().st_mtime_ns for run in runs if run.results_path.is_file()}
