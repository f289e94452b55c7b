"""What a figure shows, before it is drawn: the curves of a setting, and the round numbers of a log axis."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from lm.reporting.table import RunGroup

STEPS = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9))


@dataclass(frozen=True)
class Curve:
    """A perplexity by epoch over the seeds of a setting: its mean, least and greatest value."""

    epochs: list[float]
    mean: list[float]
    least: list[float]
    greatest: list[float]

    @property
    def best(self) -> tuple[float, float]:
        """The epoch of the least mean, and that mean."""
        value, epoch = min(zip(self.mean, self.epochs, strict=True))
        return epoch, value


def curve(setting: RunGroup, name: str) -> Curve:
    """Return one column of `epochs.csv` over the setting's seeds; values that are not finite are left out."""
    values: dict[float, list[float]] = {}
    for run in setting.runs:
        for row in run.epochs:
            if math.isfinite(row.get(name, math.nan)):
                values.setdefault(row["epoch"], []).append(row[name])
    epochs = sorted(values)
    summaries = ([summary(values[epoch]) for epoch in epochs] for summary in (statistics.fmean, min, max))
    return Curve(epochs, *summaries)


def plain_ticks(low: float, high: float) -> list[float]:
    """Return round numbers for a log axis over [low, high]: the coarsest steps that give at least three of them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in STEPS:
        ticks = _inside([float(f"{step}e{decade}") for decade in decades for step in steps], low, high)
        if len(ticks) >= 3:
            return ticks
    return _even_ticks(low, high)


def _even_ticks(low: float, high: float) -> list[float]:
    """Over a narrow range a log axis is all but linear."""
    for exponent in count(math.floor(math.log10(high)), -1):
        for digit in (5, 2, 1):
            numbers = range(math.floor(low / (digit * 10.0**exponent)), math.ceil(high / (digit * 10.0**exponent)) + 1)
            ticks = _inside([float(f"{digit * number}e{exponent}") for number in numbers], low, high)
            if len(ticks) >= 3:
                return ticks
    raise AssertionError("count() does not end")


def _inside(ticks: Sequence[float], low: float, high: float) -> list[float]:
    return [tick for tick in ticks if low <= tick <= high]
