"""The runs of a sweep -> groups of runs that differ in nothing but their seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from lm.config import DEFAULTS_OF_GROUPS, dropout_options
from lm.models.cells import CELLS
from lm.reporting.columns import format_value, null_or_value
from lm.reporting.published import Published, all_options, options_without_effect, published_for, written_options
from lm.run_dir import DAMAGED, RunDir, Value

SAME_EXPERIMENT = options_without_effect() | {"cell", "cell.name", "dropout", "seed"}
"""Options that add no column: cell and dropout always have one, seeds are averaged, the others change no result."""

FOLDER = "data.dir"
"""The folder of a corpus. It adds a column only if different texts would share a row otherwise."""

PRESET = "experiment"
"""The group whose choice sets other options."""

DROPOUT_BY_PART = "by part"
"""Stands in the column of `dropout` if each of its parts has a value of its own, so that `dropout` is not read."""

MAX_GROUPS = 30
"""The most groups that a figure shows; of more it shows the best."""

CURVES_AND_TABLE = (
    "Curves: {means}validated in the batches of training. Table: the best weights{of_each}, scored in batches of their "
    "own. So the two differ slightly."
)


@dataclass(frozen=True)
class RunGroup:
    """The finished runs that differ in nothing but their seed. The first `values` are the cell and the dropout."""

    values: dict[str, Value]
    runs: tuple[RunDir, ...]

    @property
    def words(self) -> list[str]:
        """The values in words, such as `LSTM`, `dropout 0.25`, `hidden size 400`."""
        cell, dropout, *others = self.values
        name = format_value(self.values[cell])
        name = CELLS[name].display_name if name in CELLS else name
        rate = f"dropout {format_value(self.values[dropout])}" if self.values[dropout] else "no dropout"
        shown = [other for other in others if other != "run" or self.values[other]]
        return [name, rate, *(f"{other.replace('_', ' ')} {null_or_value(self.values[other])}" for other in shown)]

    @property
    def title(self) -> str:
        """The words in one line."""
        return ", ".join(self.words)

    @property
    def corpus(self) -> str:
        """The corpus by its name and checksum: perplexities on different corpora do not compare."""
        return f"{self.runs[0].result('corpus.name')} {self.runs[0].result('corpus.sha256')}"

    @cached_property
    def published(self) -> Published | None:
        """The published figures of this very configuration."""
        return published_for(self.runs[0])

    def curve(self, name: str) -> pd.DataFrame:
        """Return a column of `epochs.csv` by epoch: mean, min and max over the seeds of its positive, finite values."""
        rows = [(row["epoch"], row.get(name, np.nan)) for row in self._epochs]
        frame = pd.DataFrame(rows, columns=["epoch", name], dtype=float)
        return frame[np.isfinite(frame[name]) & (frame[name] > 0)].groupby("epoch")[name].agg(["mean", "min", "max"])

    @cached_property
    def _epochs(self) -> list[dict[str, float]]:
        return [row for run in self.runs for row in run.epochs]


def group_runs(runs: Sequence[RunDir]) -> list[RunGroup]:
    """Group the finished runs by all that was swept but the seed, in the order in which they were started.

    Runs of one seed are not averaged: a group that has a seed twice is a group per run, named by `run`.
    """
    keys = swept_keys(runs)
    groups = _grouped([run for run in runs if run.finished], keys)
    if not any(map(_repeats_a_seed, groups)):
        return [RunGroup(values_of(group[0], keys), tuple(group)) for group in groups]
    parts = [[[run] for run in group] if _repeats_a_seed(group) else [group] for group in groups]
    return [
        RunGroup({**values_of(part[0], keys), "run": part[0].name if len(found) > 1 else None}, tuple(part))
        for found in parts
        for part in found
    ]


def _repeats_a_seed(runs: Sequence[RunDir]) -> bool:
    return len({run.value("seed") for run in runs}) < len(runs)


def swept_keys(runs: Sequence[RunDir]) -> list[str]:
    """Return the options that were swept besides cell, dropout and seed.

    These are the overrides that differ, and what else differs between runs that would share a row. Values that follow
    from another option, such as a cell's learning rate, are not among them. The sweep is one if several sweeps have
    runs of the same options and seed; otherwise the seeds of a row may come from several sweeps.
    """
    runs = [run for run in runs if run.status != DAMAGED]
    typed = dict.fromkeys(key for run in runs for key in run.overridden if key not in SAME_EXPERIMENT | {FOLDER})
    keys = [key for key in {**typed, "data": None} if len({run.value(key) for run in runs}) > 1]
    for group in _grouped(runs, keys):
        keys += [key for key in _differences(group) if key not in keys]
    keys = _without_preset(runs, keys)
    rows = _grouped([run for run in runs if run.finished], keys)
    return ["sweep", *keys] if any(map(_repeats_a_seed_in_another_sweep, rows)) else keys


def _without_preset(runs: Sequence[RunDir], keys: list[str]) -> list[str]:
    """Leave out which preset was typed if the other keys say all in which the runs differ."""
    if PRESET not in keys:
        return keys
    others = [key for key in keys if key != PRESET]
    shown = {"cell", FOLDER, *others}
    differing = _differing([written_options(run) for run in runs])
    hidden = [key for key in differing if not {key, key.partition(".")[0]} & (shown | SAME_EXPERIMENT)]
    return keys if hidden else others


def _repeats_a_seed_in_another_sweep(runs: Sequence[RunDir]) -> bool:
    found = {(run.value("seed"), run.sweep) for run in runs}
    return len({seed for seed, _ in found}) < len(found)


def values_of(run: RunDir, keys: Sequence[str]) -> dict[str, Value]:
    """Return cell, dropout and the run's value of each key."""
    found = {
        "cell": run.value("cell.name"),
        "dropout": run.value("dropout") if _reads_dropout(run) else DROPOUT_BY_PART,
    }
    return {**found, **{key: run.sweep if key == "sweep" else run.value(key) for key in keys}}


def _reads_dropout(run: RunDir) -> bool:
    config, layers = run.config, run.value("num_layers")
    parts = dropout_options(layers if isinstance(layers, int) else 2)
    return any(part not in config or OmegaConf.is_interpolation(config, part) for part in parts)


def _grouped(runs: Sequence[RunDir], keys: Sequence[str]) -> list[list[RunDir]]:
    groups: dict[tuple[Value, ...], list[RunDir]] = {}
    for run in runs:
        groups.setdefault(tuple(values_of(run, keys).values()), []).append(run)
    return list(groups.values())


def _differences(runs: Sequence[RunDir]) -> list[str]:
    """Return the options that are not the same in all of these runs."""
    found = _differing([_options(run) for run in runs])
    texts = {run.result("corpus.sha256") for run in runs} - {None}
    return [key for key in found if key not in SAME_EXPERIMENT and (key != FOLDER or len(texts) > 1)]


def _differing(configs: Sequence[dict[str, Value]]) -> list[str]:
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if any(config.get(key) != configs[0].get(key) for config in configs)]


def _options(run: RunDir) -> dict[str, Value]:
    """Return the options that tell a run from others in its row.

    A group's default of an option, such as `schedule.lr_decay_factor`, counts by the option that reads it.
    """
    group_defaults = {f".{name}" for name in DEFAULTS_OF_GROUPS}
    return {key: value for key, value in all_options(run).items() if f".{key.partition('.')[2]}" not in group_defaults}


def drawn_groups(groups: Sequence[RunGroup]) -> list[RunGroup]:
    """Return the groups with a validation curve; of more than `MAX_GROUPS` those with the lowest perplexity."""
    lowest = pd.Series([group.curve("valid_ppl")["mean"].min() for group in groups], dtype=float).dropna()
    return [groups[number] for number in sorted(lowest.nsmallest(MAX_GROUPS).index)]


def figure_note(groups: Sequence[RunGroup]) -> str:
    """Return what a reader of the figures has to know: how the curves are measured, and what is left out."""
    several = any(len(group.runs) > 1 for group in groups)
    means, of_each = ("means over the seeds, ", " of each seed") if several else ("", "")
    drawn, note = len(drawn_groups(groups)), CURVES_AND_TABLE.format(means=means, of_each=of_each)
    some = f" Only {drawn} of {len(groups)} configurations are drawn: those with the lowest validation perplexity."
    return note + some * (drawn < len(groups))
