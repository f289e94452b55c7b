"""A sweep's report: written from whatever its runs have left so far, and shown in the terminal."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from lm.atomic_files import write_atomically
from lm.overrides import quote_override
from lm.reporting.markdown_report import report_markdown, unfinished_lines
from lm.reporting.table import ExtraColumns, RunGroup, Table, build_table, settings_of
from lm.reporting.table_formats import csv_text, latex_text, plain_text
from lm.run_dir import RunDir, find_runs


@dataclass(frozen=True)
class Report:
    """What a sweep's folder says: its runs, and the table of those that are finished."""

    folder: Path
    runs: list[RunDir]
    table: Table

    @property
    def unfinished(self) -> list[RunDir]:
        """The runs that have no results: failed, diverged, interrupted, damaged, or still running."""
        return [run for run in self.runs if not run.finished]

    def terminal_text(self) -> str:
        """Return the table as plain text, then where the figure is, how to look closer, and what is not finished."""
        lines = [plain_text(self.table), ""] if self.table.rows else []
        if (self.folder / "convergence.png").is_file():
            lines += [f"Figure:      {self.folder / 'convergence.png'}"]
        lines += [f"Report:      {self.folder / 'report.md'}"]
        lines += [f"TensorBoard: tensorboard --logdir {shlex.quote(str(self.folder))}"]
        if self.unfinished:
            lines += ["", f"{len(self.unfinished)} of {len(self.runs)} runs not finished:", unfinished_lines(self.runs)]
            lines += [f"To resume, type the same again with {quote_override('hydra.sweep.dir', self.folder)}"]
        return "\n".join(lines)


def write_report(folder: Path, extras: ExtraColumns | None = None) -> Report:
    """Write `report.md`, `table.csv`, `table.tex` and both figures (PNG and SVG) into a sweep's folder.

    Every file is replaced whole, so several workers may do this at once. A run that ends meanwhile has everything
    written again: whoever writes last has then seen every result.

    Raises:
        FileNotFoundError: where `folder` is none, or holds no run.
    """
    folder = Path(folder)
    while True:
        seen = _results_seen(folder)
        report = _write_once(folder, extras)
        if _results_seen(folder) == seen:
            return report


def _write_once(folder: Path, extras: ExtraColumns | None) -> Report:
    runs = find_runs(folder)
    settings = settings_of(runs)
    table = build_table(settings, extras=extras)
    if settings:
        _write_figures(folder, settings)
        _replace(folder / "table.csv", csv_text(table))
        _replace(folder / "table.tex", latex_text(table))
    page = report_markdown(folder.resolve(), runs, settings, table)
    _replace(folder / "report.md", page)
    return Report(folder, runs, table)


def _write_figures(folder: Path, settings: list[RunGroup]) -> None:
    # Here, since training must not wait for matplotlib to load only because it will report in the end.
    from lm.reporting.figures import draw_convergence, draw_validation, image

    for name, draw in (("convergence", draw_convergence), ("validation", draw_validation)):
        figure = draw(settings)
        for form in ("png", "svg"):
            if figure is None:
                (folder / f"{name}.{form}").unlink(missing_ok=True)
            else:
                with write_atomically(folder / f"{name}.{form}", "wb") as file:
                    file.write(image(figure, form))


def _replace(path: Path, text: str) -> None:
    with write_atomically(path) as file:
        file.write(text)


def _results_seen(folder: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/results.json")}
