"""Runs become rows: one a run, or one a setting with mean and standard deviation where seeds were swept."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from lm.models.cells import CELLS
from lm.reporting.published import Published, published_for
from lm.run_dir import RunDir, Value

Row = dict[str, Value]

PERPLEXITIES = ("train_ppl", "valid_ppl", "test_ppl")
# Differences that make no other experiment: seeds are averaged over, the rest says where and how a run was computed.
NOT_SETTINGS = frozenset(
    {"cell", "cell.name", "dropout", "seed", "resume", "num_threads", "trainer.enable_progress_bar"}
)


@dataclass(frozen=True)
class ExtraColumns:
    """Further columns: parameters, tokens per second, and epochs until the validation perplexity is at most a value.

    Raises:
        ValueError: where `parameters` or `speed` is not true or false, or `epochs_to` not a positive number.
    """

    parameters: bool = False
    speed: bool = False
    epochs_to: float | None = None

    def __post_init__(self) -> None:
        for name in ("parameters", "speed"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"expected {name} to be true or false, found {getattr(self, name)}: type {name}=true")
        value = self.epochs_to
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            raise ValueError(f"expected epochs_to to be a positive perplexity, found {value}: type epochs_to=120")


@dataclass(frozen=True)
class RunGroup:
    """The finished runs that differ in nothing but their seed."""

    values: Row
    runs: tuple[RunDir, ...]

    @property
    def words(self) -> list[str]:
        """The setting in words, such as `LSTM`, `dropout 0.25`, `hidden size 400`."""
        cell, dropout, *others = self.values
        name = format_value(self.values[cell])
        name = CELLS[name].display_name if name in CELLS else name
        rate = f"dropout {format_value(self.values[dropout])}" if self.values[dropout] else "no dropout"
        return [name, rate, *(f"{other.replace('_', ' ')} {format_value(self.values[other])}" for other in others)]

    @property
    def title(self) -> str:
        """The words in one line."""
        return ", ".join(self.words)

    @property
    def published(self) -> Published | None:
        """The published figures of this very configuration."""
        return published_for(self.runs[0])


@dataclass(frozen=True)
class Table:
    """Rows of full-precision values under named columns; a cell without a value is None."""

    columns: list[str]
    rows: list[Row]


def settings_of(runs: Sequence[RunDir]) -> list[RunGroup]:
    """Group the finished runs by all that was swept but the seed, in the order in which they were started."""
    finished = [run for run in runs if run.finished]
    groups = _grouped(finished, swept_keys(runs))
    if any(len({_seed(run) for run in group}) < len(group) for group in groups.values()):
        return [RunGroup({**values_of(run, swept_keys(runs)), "run": run.name}, (run,)) for run in finished]
    return [RunGroup(values_of(group[0], swept_keys(runs)), tuple(group)) for group in groups.values()]


def swept_keys(runs: Sequence[RunDir]) -> list[str]:
    """Return what was swept beside cell, dropout and seed.

    That is what the command lines give differently, and what else differs between runs that would share a row. Values
    that follow from another (a cell's learning rate) are none of it.
    """
    typed = dict.fromkeys(key for run in runs for key in run.overridden if key not in NOT_SETTINGS)
    keys = [key for key in typed if len({run.value(key) for run in runs}) > 1]
    for group in _grouped(runs, keys).values():
        keys += [key for key in _differences(group) if key not in keys]
    return keys


def values_of(run: RunDir, keys: Iterable[str]) -> Row:
    """Return cell, dropout and the run's value of each key."""
    cell = run.results.get("cell", run.value("cell.name"))
    dropout = run.results.get("dropout", run.value("dropout"))
    return {"cell": cell, "dropout": dropout, **{key: run.value(key) for key in keys}}


def _seed(run: RunDir) -> Value:
    seed: Value = run.results.get("seed", run.value("seed"))
    return seed


def _grouped(runs: Iterable[RunDir], keys: Sequence[str]) -> dict[tuple[Value, ...], list[RunDir]]:
    groups: dict[tuple[Value, ...], list[RunDir]] = {}
    for run in runs:
        groups.setdefault(tuple(values_of(run, keys).values()), []).append(run)
    return groups


def _differences(runs: Sequence[RunDir]) -> list[str]:
    """Return the config keys that are not the same in all of these runs; interpolations count as written."""
    configs = [dict(_flat(OmegaConf.to_container(run.config))) for run in runs]
    keys = dict.fromkeys(key for config in configs for key in config if key not in NOT_SETTINGS)
    return [key for key in keys if any(config.get(key) != configs[0].get(key) for config in configs)]


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield path, node
        return
    for name, child in node.items():
        yield from _flat(child, f"{path}.{name}" if path else str(name))


def build_table(settings: Sequence[RunGroup], weights: str = "best", extras: ExtraColumns | None = None) -> Table:
    """Lay the settings out as rows.

    Args:
        settings: The groups of runs, one a row.
        weights: `best` for the weights of the best validation perplexity, `last` for those of the last epoch.
        extras: Further columns.
    """
    seeds = any(len(setting.runs) > 1 for setting in settings)
    rows = [_row(setting, weights, extras or ExtraColumns(), seeds) for setting in settings]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    used = [name for name in columns if name in ("cell", "dropout") or any(row.get(name) is not None for row in rows)]
    return Table(used, [{name: row.get(name) for name in used} for row in rows])


def _row(setting: RunGroup, weights: str, extras: ExtraColumns, seeds: bool) -> Row:
    runs = setting.runs
    perplexities = {name: [run.results.get(weights, {}).get(name) for run in runs] for name in PERPLEXITIES}
    return {
        **setting.values,
        **({"seeds": len(runs)} if seeds else {}),
        **{name: _mean(values) for name, values in perplexities.items()},
        **{f"{name}_std": _deviation(values) for name, values in perplexities.items()},
        "floor_ppl": _mean([run.results.get("corpus", {}).get("floor_ppl") for run in runs]),
        **_extra_columns(runs, extras),
        **_published_columns(setting.published),
    }


def _extra_columns(runs: Sequence[RunDir], extras: ExtraColumns) -> Row:
    row: Row = {}
    if extras.parameters:
        row["parameters"] = runs[0].results.get("parameters", {}).get("total")
    if extras.speed:
        row["tokens_per_second"] = _mean([run.results.get("tokens_per_second") for run in runs])
    if extras.epochs_to is not None:
        row[f"epochs_to_{extras.epochs_to:g}"] = _mean([epochs_to(run, extras.epochs_to) for run in runs])
    return row


def epochs_to(run: RunDir, perplexity: float) -> float | None:
    """Return the first epoch whose validation perplexity is at most `perplexity`, None where no epoch got there."""
    return next((row["epoch"] for row in run.epochs if row.get("valid_ppl", math.inf) <= perplexity), None)


def _published_columns(figures: Published | None) -> Row:
    names = (*(f"published_{name}" for name in PERPLEXITIES), "published_in")
    if figures is None:
        return dict.fromkeys(names)
    return dict(zip(names, (figures.train_ppl, figures.valid_ppl, figures.test_ppl, figures.name), strict=True))


def _mean(values: Sequence[float | None]) -> float | None:
    """A mean over some of the seeds would stand for all of them, so one missing value leaves none."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return known[0] if len(set(known)) == 1 else statistics.fmean(known)


def _deviation(values: Sequence[float | None]) -> float | None:
    """The sample's standard deviation, which one seed does not have."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) == len(values) > 1 else None


def format_value(value: Value) -> str:
    """Write a setting's value as people do: `0.25`, `200`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)
