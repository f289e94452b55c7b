"""The registry of the table's columns. A new column is one entry in `COLUMNS`, and appears in every format."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from lm.data.sources.source import SPLITS
from lm.evaluation.evaluations import newest_evaluations
from lm.reporting.extra_columns import ExtraColumns
from lm.reporting.published import part_of_corpus, published_value
from lm.reporting.statistics import t_interval
from lm.run_dir import RunDir, Value

PERPLEXITIES = {"train_ppl": "train", "valid_ppl": "valid", "test_ppl": "test"}

NEAR_BEST = 1.01
"""A run has converged when its perplexity is at most this many times its best."""

MAX_CHARACTERS = 8
"""The most characters of a perplexity."""


def format_value(value: Value) -> str:
    """Return a value as it is typed: `0.25`, `200`, `true`; two different values are never the same text."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(float(value))
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def null_or_value(value: Value) -> str:
    """Return a value as it is typed, where an empty text would be no word of a sentence."""
    return "null" if value is None else format_value(value)


def format_ppl(value: float) -> str:
    """Return a perplexity with two decimals, or with an exponent if it is too long: `91.25`, `1.23e+20`."""
    texts = (f"{value:{form}}" for form in (".2f", ".2e", ".1e"))
    return next((text for text in texts if len(text) <= MAX_CHARACTERS), "inf")


format_count = "{:,.0f}".format
"""A count with its thousands separated: `4,653,200`."""


def format_epochs(value: float) -> str:
    """Return a mean number of epochs: `6` or `5.7`."""
    return f"{value:.1f}".removesuffix(".0")


def mean(values: Sequence[Any]) -> Value:
    """Return the mean over the seeds, NaN if a value is missing: the mean of the others would mislead."""
    return float(pd.Series(values, dtype=float).mean(skipna=False))


def deviation(values: Sequence[Any]) -> Value:
    """Return the standard deviation of the sample, which one seed does not have."""
    return float(pd.Series(values, dtype=float).std(ddof=1, skipna=False))


def t_interval_text(values: Sequence[Any]) -> Value:
    """Return both ends of the 95 % interval of the mean over the seeds, as `91.25 to 93.10`; one seed has none."""
    low, high = t_interval(values)
    return f"{format_ppl(low)} to {format_ppl(high)}" if math.isfinite(low) else None


def first(values: Sequence[Any]) -> Value:
    """Return the value that all seeds share."""
    found: Value = values[0]
    return found


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: its name in `table.csv`.
        heading: its name in the other formats; by default `name`.
        value: the value of a run, None if it has none.
        combine: how the values of a group's runs become one.
        text: how a value that is not None is written in the other formats.
        missing: what is written there for None.
        csv_only: whether it is left out of the other formats.
        always: whether it is shown even if no run has a value.
    """

    name: str
    heading: str = ""
    value: Callable[[RunDir], Value] = lambda run: None
    combine: Callable[[Sequence[Any]], Value] = mean
    text: Callable[[Any], str] = format_value
    missing: str = ""
    csv_only: bool = False
    always: bool = False

    def of(self, runs: Sequence[RunDir]) -> Value:
        """Return the value of a group of runs."""
        return self.combine([self.value(run) for run in runs])


def result(key: str) -> Callable[[RunDir], Value]:
    """Return a function that reads a finite number from a run's `results.json`."""

    def read(run: RunDir) -> Value:
        found = run.result(key)
        number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
        return found if number else None

    return read


def perplexity_columns(weights: str) -> list[Column]:
    """Return the perplexities of the weights `best` or `last`, with standard deviation and interval over the seeds."""
    ends = {"low": lambda values: t_interval(values)[0], "high": lambda values: t_interval(values)[1]}
    values = {name: result(f"{weights}.{name}") for name in PERPLEXITIES}
    return [
        *(Column(name, PERPLEXITIES[name], value, text=format_ppl) for name, value in values.items()),
        *(Column(f"{name}_std", "", value, deviation, csv_only=True) for name, value in values.items()),
        *(
            Column(f"{name}_{end}", "", value, combine, csv_only=True)
            for name, value in values.items()
            for end, combine in ends.items()
        ),
    ]


def first_epoch_near_best(run: RunDir) -> float | None:
    """Return the first epoch whose validation perplexity is within 1 % of the run's best one."""
    best = min((row["valid_ppl"] for row in run.epochs if row.get("valid_ppl", math.nan) > 0), default=math.nan)
    return epochs_to(run, NEAR_BEST * best)


COLUMNS = [
    *perplexity_columns("best"),
    *(
        Column(f"{split}_bpc", f"{split} bits/char", result(f"best.{split}_bpc"), text="{:.3f}".format)
        for split in SPLITS
    ),
    Column("epochs_to_1_percent", "epochs to 1 %", first_epoch_near_best, text=format_epochs),
    Column("floor_ppl", "floor", result("corpus.floor_ppl"), text=format_ppl),
    Column("part_of_corpus", "part of corpus", part_of_corpus, first),
    *(
        Column(f"published_{name}", f"published {split}", partial(published_value, name=name), first, format_ppl)
        for name, split in PERPLEXITIES.items()
    ),
    Column("published_in", "published in", partial(published_value, name="name"), first),
]


def extra_columns(extras: ExtraColumns, runs: Sequence[RunDir] = ()) -> list[Column]:
    """Return the columns that were asked for, of these runs."""
    limit = extras.epochs_to or 0.0
    name, value = f"epochs_to_{limit:g}", partial(epochs_to, perplexity=limit)
    columns = {
        "parameters": Column("parameters", "", result("parameters.total"), first, format_count),
        "speed": Column("tokens_per_second", "tokens/second", result("tokens_per_second"), text=format_count),
        "epochs_to": Column(name, name.replace("_", " "), value, text=format_epochs, missing="-", always=True),
    }
    asked = [column for option, column in columns.items() if getattr(extras, option)]
    return [*asked, *(evaluation_columns(runs) if extras.evaluations else [])]


def evaluation_columns(runs: Sequence[RunDir]) -> list[Column]:
    """Return a column for each split and method in the `evaluations.json` of the runs, and their deviations."""
    found = dict.fromkeys(key for run in runs for key in newest_evaluations(run) if key[1] != "static")
    columns = []
    for split, label in found:
        name, value = f"{split}_ppl {label}", partial(evaluated_ppl, key=(split, label))
        columns.append(Column(name, f"{split}: {label}", value, text=format_ppl))
        if "runs" not in label:  # all seeds of an ensemble have its number
            columns.append(Column(f"{name}_std", "", value, deviation, csv_only=True))
    return columns


def evaluated_ppl(run: RunDir, key: tuple[str, str]) -> float | None:
    """Return the perplexity of the newest evaluation of a split by a method."""
    found = newest_evaluations(run).get(key)
    return None if found is None else float(found["ppl"])


def epochs_to(run: RunDir, perplexity: float) -> float | None:
    """Return the first epoch whose validation perplexity is at most `perplexity`, None if no epoch reached it."""
    return next((row["epoch"] for row in run.epochs if row.get("valid_ppl", math.inf) <= perplexity), None)
