"""The report as one Markdown page: the table, the figures, and under what conditions each number was measured."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from lm.reporting.table import Row, RunGroup, Table, build_table, format_value
from lm.reporting.table_formats import escape_markdown, markdown_text
from lm.run_dir import RunDir, Value

# A folder of the machine that ran it says nothing elsewhere; the corpus is known by its checksum.
FOLDERS = ("data.dir", "resume", "hydra.run.dir", "hydra.sweep.dir")


def report_markdown(folder: Path, runs: Sequence[RunDir], settings: Sequence[RunGroup], table: Table) -> str:
    """Return the whole page; its figures are links to the files beside it."""
    finished = [run for run in runs if run.finished]
    sections = [
        f"# Report: {escape_markdown(folder.name)}",
        f"{len(finished)} of {len(runs)} runs finished.",
        *(_results(folder, settings, table) if finished else []),
        *_section("Runs that are not finished", unfinished_lines(runs)),
        *(_conditions(folder, finished) if finished else []),
        *_section("Runs", markdown_text(_run_table(runs))),
    ]
    return "\n\n".join(sections) + "\n"


def unfinished_lines(runs: Iterable[RunDir]) -> str:
    """Return a line for each run without results: its name, what became of it, and the first line of its error."""
    others = [run for run in runs if not run.finished]
    return "\n".join(f"- `{run.name}`: {run.status}{': ' * bool(run.error)}{run.error}" for run in others)


def _results(folder: Path, settings: Sequence[RunGroup], table: Table) -> Iterator[str]:
    yield (
        "Perplexity of the weights with the best validation perplexity. Train is measured after training, over the "
        "whole training split with dropout off."
    )
    if "seeds" in table.columns:
        yield "Mean ± standard deviation (of the sample) over the seeds."
    yield markdown_text(table)
    if "floor_ppl" in table.columns:
        yield "Floor is the exact perplexity of the source that the corpus was drawn from: no model can do better."
    yield from _sources(settings)
    for name, caption in (("convergence", "Perplexity by epoch"), ("validation", "Validation perplexity by epoch")):
        if (folder / f"{name}.png").is_file():
            yield f"![{caption}]({name}.png)"
    yield "## Last weights"
    yield "The same for the weights of the last epoch."
    yield markdown_text(_without_published(build_table(settings, "last")))


def _sources(settings: Sequence[RunGroup]) -> Iterator[str]:
    figures = [setting.published for setting in settings]
    lines = dict.fromkeys(f"- {found.name}: {found.source}" for found in figures if found)
    if lines:
        yield "Published figures, where the configuration is the published one:"
        yield "\n".join(lines)


def _without_published(table: Table) -> Table:
    return Table([name for name in table.columns if not name.startswith("published_")], table.rows)


def _conditions(folder: Path, runs: Sequence[RunDir]) -> Iterator[str]:
    yield from _section("How it was measured", markdown_text(_protocol_table(runs)))
    yield from _section("Where it comes from", markdown_text(_origin_table(runs)))
    command = sweep_command(folder)
    if command:
        yield f"The command: `{command}`"


def sweep_command(folder: Path) -> str | None:
    """Return the command line that started the sweep, None where the folder does not tell."""
    file = folder / "multirun.yaml"
    if not file.is_file():
        return None
    typed = OmegaConf.select(OmegaConf.load(file), "hydra.overrides")
    words = [*(typed or {}).get("hydra", []), *(typed or {}).get("task", [])]
    return shlex.join(["python", "-m", "lm.train", "-m", *_portable(words)])


def _portable(overrides: Iterable[str]) -> list[str]:
    pairs = [override.partition("=") for override in overrides if override != "hydra.mode=MULTIRUN"]
    return [f"{key}{sign}{'FOLDER' if key.lstrip('+') in FOLDERS else value}" for key, sign, value in pairs]


def _protocol_table(runs: Sequence[RunDir]) -> Table:
    """A row a split, and more only where the runs were measured differently."""
    columns = ["split", "width", "tokens scored", "state", "matmul precision", "runs"]
    rows: list[Row] = []
    for split in ("train", "valid", "test"):
        for values, names in _by_value(runs, [_protocol(run, split) for run in runs]):
            rows.append(dict(zip(columns, (split, *values, names), strict=True)))
    return Table(columns, rows)


def _protocol(run: RunDir, split: str) -> tuple[Value, ...]:
    protocol = run.results.get("protocol", {}).get(split, {})
    return tuple(protocol.get(name) for name in ("batch_size", "tokens", "state", "matmul_precision"))


def _origin_table(runs: Sequence[RunDir]) -> Table:
    """A row a fact, and more only where it is not the same in all runs."""
    facts = [_facts(run) for run in runs]
    rows: list[Row] = []
    for name in dict.fromkeys(name for known in facts for name in known):
        for (value,), names in _by_value(runs, [(known.get(name),) for known in facts]):
            rows.append({"fact": name, "value": format_value(value), "runs": names})
    return Table(["fact", "value", "runs"], rows)


def _facts(run: RunDir) -> dict[str, Value]:
    corpus = run.results.get("corpus", {})
    return {
        "corpus": corpus.get("name"),
        "corpus SHA-256": corpus.get("sha256"),
        "corpus vocabulary": corpus.get("vocabulary"),
        **{f"{split} tokens": tokens for split, tokens in corpus.get("tokens", {}).items()},
        **run.results.get("versions", {}),
        "device": run.results.get("device"),
        "precision": run.results.get("precision"),
    }


def _by_value(runs: Sequence[RunDir], values: Sequence[tuple[Value, ...]]) -> list[tuple[tuple[Value, ...], str]]:
    """Pair each different value with the names of its runs, `all` where there is but one value."""
    names: dict[tuple[Value, ...], list[str]] = {}
    for run, value in zip(runs, values, strict=True):
        names.setdefault(value, []).append(run.name)
    if len(names) == 1:
        return [(values[0], "all")]
    return [(value, "; ".join(group)) for value, group in names.items()]


def _run_table(runs: Sequence[RunDir]) -> Table:
    columns = ["run", "status", "seed", "best epoch", "epochs", "seconds", "tokens_per_second", "overrides"]
    return Table(columns, [dict(zip(columns, _run_facts(run), strict=True)) for run in runs])


def _run_facts(run: RunDir) -> Iterator[Value]:
    yield from (run.name, run.status, run.results.get("seed", run.value("seed")), run.results.get("best_epoch"))
    yield len(run.epochs)
    yield round(sum(row.get("seconds", 0) for row in run.epochs))
    yield run.results.get("tokens_per_second")
    yield " ".join(_portable(run.overrides))


def _section(title: str, body: str) -> list[str]:
    return [f"## {title}", body] if body else []
