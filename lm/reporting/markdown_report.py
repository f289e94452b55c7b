"""The report as one Markdown page: the table, the figures, and under what conditions each number was measured."""

import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from lm.data.sources import SPLITS
from lm.evaluation.evaluations import newest_evaluations, typed_settings
from lm.overrides import quote_override, requote
from lm.reporting.columns import Column, format_count, format_ppl, format_value
from lm.reporting.effect_sentences import effect_sentence, effects_note
from lm.reporting.groups import RunGroup, figure_note
from lm.reporting.search_results import search_section
from lm.reporting.table import MARK, Table, build_interval_table, build_last_table, escape_markdown
from lm.run_dir import RunDir, Value
from lm.run_files import parse_yaml

if TYPE_CHECKING:
    from lm.reporting.sweep_report import Report

FOLDERS = ("data.dir", "resume", "hydra.run.dir", "hydra.sweep.dir")
"""Options that name a folder of one machine. The page says FOLDER, and knows the corpus by its checksum."""

FIGURES = {
    "convergence": "Perplexity by epoch",
    "validation": "Validation perplexity by epoch",
    "effects": "What each option does to test perplexity",
    "search": "Validation perplexity by option",
}
"""The names of the figures, and their captions."""


def report_markdown(report: "Report", groups: Sequence[RunGroup]) -> str:
    """Return the whole page. Its figures are links to the files beside it."""
    folder, runs = report.folder.resolve(), report.runs
    finished = [run for run in runs if run.finished]
    sections = [
        f"# Report: {escape_markdown(folder.name)}",
        f"{len(finished)} of {len(runs)} runs finished.",
        *(_results(folder, groups, report.table) if finished else []),
        *search_section(folder, report.search),
        *_section("Runs that are not finished", unfinished_lines(report.unfinished, escape_markdown)),
        *(_conditions(folder, finished) if finished else []),
        *_section("Evaluation methods", _evaluation_table(finished).markdown()),
        *_section("Runs", _run_table(runs).markdown()),
        *_section("Effects", "\n".join(f"- {escape_markdown(line)}" for line in map(effect_sentence, report.effects))),
        *([effects_note(report.effects)] if report.effects else []),
    ]
    return "\n\n".join(sections) + "\n"


def unfinished_lines(runs: Iterable[RunDir], escape: Callable[[str], str] = str) -> str:
    """Return a line for each run: its name, its status, and the first line of its error, escaped for a page."""
    return "\n".join(f"- {_label(run)}: {run.status}{': ' * bool(run.error)}{escape(run.error)}" for run in runs)


def _label(run: RunDir) -> str:
    """Return the run's name, with its overrides if they are not its name: `hydra.sweep.subdir` may be a number."""
    overrides = _portable(run.overrides)
    return f"`{run.name}`" if "=" in run.name or not overrides else f"`{run.name}` ({' '.join(overrides)})"


def table_notes(table: Table) -> list[str]:
    """Return a sentence for each thing in a table that is not clear from its headings."""
    names = table.values.columns
    notes = {
        "Train is measured after training, without dropout.": "train_ppl" in names,
        f"{MARK.strip()} The lowest validation perplexity{' of its corpus' * (len(table.best) > 1)}.": bool(table.best),
        "Mean ± standard deviation (of the sample) over the seeds.": "seeds" in names,
        "Epochs to 1 %: the first epoch with a validation perplexity within 1 % of the run's best.": (
            "epochs_to_1_percent" in names
        ),
        "Floor is the perplexity of the source that the corpus was drawn from: no model is better on average.": (
            "floor_ppl" in names
        ),
        "Part of corpus: the run was trained or validated on a part of its corpus, as the option says.": (
            "part_of_corpus" in names
        ),
    }
    return [note for note, applies in notes.items() if applies]


def _results(folder: Path, groups: Sequence[RunGroup], table: Table) -> Iterator[str]:
    yield "Perplexity of the weights with the best validation perplexity."
    yield table.markdown()
    yield from (escape_markdown(note) for note in table_notes(table))
    yield from _sources(groups)
    figures = [f"![{caption}]({name}.png)" for name, caption in FIGURES.items() if (folder / f"{name}.png").is_file()]
    yield from (*figures, figure_note(groups)) if figures else ()
    yield from _section("95 % intervals of the mean over the seeds", build_interval_table(groups).markdown())
    yield "## Last weights"
    yield "The same for the weights of the last epoch."
    yield build_last_table(groups).markdown()


def _sources(groups: Sequence[RunGroup]) -> Iterator[str]:
    found = [group.published for group in groups if group.published is not None]
    lines = dict.fromkeys(
        f"- {figures.name}: {figures.source}"
        + (f"; it does not state {', '.join(figures.unstated)}" if figures.unstated else "")
        + (f"; it differs: {', '.join(figures.differs)}" if figures.differs else "")
        for figures in found
    )
    if lines:
        yield "Published figures, beside runs with the published configuration:"
        yield "\n".join(lines)


def _conditions(folder: Path, runs: Sequence[RunDir]) -> Iterator[str]:
    yield from _section("How it was measured", _split_table(runs, "protocol", PROTOCOL).markdown())
    yield from _section("Unknown words", _split_table(runs, "corpus.unk", UNKNOWN).markdown())
    yield from _section("Origin", _origin_table(runs).markdown())
    if command := sweep_command(folder):
        yield f"The command: `{command}`"


def sweep_command(folder: Path, sweep_dir: str = "") -> str | None:
    """Return the command line that started the sweep, None if the folder does not record it.

    Args:
        folder: the sweep's folder.
        sweep_dir: the folder with which the command resumes the sweep; otherwise folders are left out.
    """
    try:
        page: Any = OmegaConf.to_container(parse_yaml((folder / "multirun.yaml").read_text(encoding="utf-8")))
        overrides = page["hydra"]["overrides"]
        recorded = [str(override) for override in (*overrides["hydra"], *overrides["task"])]
        typed = {override: requote(override) for override in recorded if not override.startswith(RECORDED)}
    except Exception:  # missing or damaged in any way
        return None
    if not sweep_dir:
        return shlex.join(["python", "-m", "lm.train", "-m", *dict.fromkeys(_portable(typed))])
    kept = [shown for override, shown in typed.items() if not override.startswith("hydra.sweep.dir=")]
    return " ".join(["python -m lm.train -m", *kept, quote_override("hydra.sweep.dir", sweep_dir)])


RECORDED = ("hydra.mode=", "+hydra.callbacks.sweep.")
"""Beginnings of overrides that Hydra and the sweep record, and nobody typed."""


def _portable(overrides: Iterable[str]) -> list[str]:
    pairs = [override.partition("=") for override in overrides]
    return [f"{key}{sign}{'FOLDER' if key.lstrip('+') in FOLDERS else value}" for key, sign, value in pairs]


PROTOCOL = {
    "batch size": "batch_size",
    "tokens scored": "tokens",
    "state": "state",
    "matmul precision": "matmul_precision",
}
UNKNOWN = {"<unk>": "count", "fraction": "fraction"}


def _split_table(runs: Sequence[RunDir], key: str, facts: dict[str, str]) -> Table:
    """Return a row per split, and more if the runs differ; `facts` are headings and entries of `results.json`."""
    rows: list[tuple[Value, ...]] = []
    for split in SPLITS:
        found = [tuple(_text(run.result(key + f".{split}.{name}")) for name in facts.values()) for run in runs]
        rows += [(split, *values, names) for values, names in _by_value(runs, found) if any(values)]
    return Table.from_rows(["split", *facts, "runs"], rows)


def _evaluation_table(runs: Sequence[RunDir]) -> Table:
    """Return a row for each number of `evaluations.json` that the table may have a column of."""
    columns: list[Column | str] = [
        "run", "split", "method", Column("ppl", "perplexity", text=format_ppl), "options", "batch size", "tokens",
        "state", "tuned on",
    ]  # fmt: skip
    rows = [
        (
            run.name, split, label, entry["ppl"], typed_settings(entry["protocol"]), entry["protocol"]["batch_size"],
            entry["protocol"]["tokens"], entry["protocol"]["state"], (entry["tuned"] or {}).get("split", ""),
        )
        for run in runs
        for (split, label), entry in newest_evaluations(run).items()
    ]  # fmt: skip
    return Table.from_rows(columns, rows)


def _text(value: Any) -> Value:
    return value if isinstance(value, str | int | None) else f"{value:.2g}" if isinstance(value, float) else str(value)


def _origin_table(runs: Sequence[RunDir]) -> Table:
    """Return a row per fact, and more if the runs differ."""
    facts = [_facts(run) for run in runs]
    rows: list[tuple[Value, ...]] = []
    for name in dict.fromkeys(name for known in facts for name in known):
        found = [(format_value(_text(known.get(name))),) for known in facts]
        rows += [(name, *values, names) for values, names in _by_value(runs, found)]
    return Table.from_rows(["fact", "value", "runs"], rows)


def _facts(run: RunDir) -> dict[str, Any]:
    tokens, versions = run.result("corpus.tokens"), run.result("versions")
    return {
        "corpus": run.result("corpus.name"),
        "corpus SHA-256": run.result("corpus.sha256"),
        "corpus vocabulary": run.result("corpus.vocabulary"),
        **({f"{split} tokens": count for split, count in tokens.items()} if isinstance(tokens, dict) else {}),
        **(versions if isinstance(versions, dict) else {}),
        "device": run.result("device"),
    }


def _by_value(runs: Sequence[RunDir], values: Sequence[tuple[Value, ...]]) -> list[tuple[tuple[Value, ...], str]]:
    """Pair each different value with the names of its runs, or with `all` if they agree."""
    names: dict[tuple[Value, ...], list[str]] = {}
    for run, value in zip(runs, values, strict=True):
        names.setdefault(value, []).append(run.name)
    return [(value, "; ".join(group) if len(names) > 1 else "all") for value, group in names.items()]


def _run_table(runs: Sequence[RunDir]) -> Table:
    speed = Column("tokens_per_second", "tokens/second", text=format_count)
    columns: list[Column | str] = ["run", "status", "seed", "best epoch", "epochs", "seconds", speed, "overrides"]
    return Table.from_rows(columns, [list(_run_facts(run)) for run in runs])


def _run_facts(run: RunDir) -> Iterator[Value]:
    epochs = run.epochs
    yield from (run.name, run.status, run.value("seed"), _text(run.result("best_epoch")), len(epochs))
    yield round(sum(row["seconds"] for row in epochs if math.isfinite(row.get("seconds", math.nan))))
    speed = run.result("tokens_per_second")
    yield speed if isinstance(speed, int | float) else None
    yield " ".join(_portable(run.overrides))


def _section(title: str, body: str) -> list[str]:
    return [f"## {title}", body] if body else []
