"""Hydra's overrides -> Optuna's distributions, and the drawn values -> the overrides of a run.

| override | distribution |
| --- | --- |
| `lr=interval(0.3,2)` | any number between them |
| `lr=tag(log,interval(0.3,2))` | the same on a logarithmic scale |
| `hidden_size=int(interval(100,300))` | any whole number, both ends included |
| `num_layers=range(1,4)`, `dropout=range(0,0.6,0.1)` | these numbers, the end excluded, in their order |
| `cell=lstm,gru`, `seed=choice(1,2)`, `cell=glob(*)` | these values, without an order |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lm.sweeps.sweep_options import parse_options

DIGITS = 4
"""The significant digits of a number from an interval, so that the names of runs can be read."""


@dataclass(frozen=True)
class SearchSpace:
    """The options of a search: those with one value, and those that Optuna draws."""

    options: dict[str, Override]
    distributions: dict[str, BaseDistribution]

    @classmethod
    def parse(cls, overrides: Sequence[str], params: Mapping[str, Any] | None = None) -> "SearchSpace":
        """Return the space of these overrides, which replace what the config's `params` sweep.

        Raises:
            HydraException: if Hydra cannot parse them.
            ValueError: if nothing is searched, or nothing can be drawn.
        """
        options = parse_options(overrides, params)
        found = {key: distribution(key, one) for key, one in options.items() if one.is_sweep_override()}
        if not found:
            raise ValueError("expected an option to search over, found none: add 'lr=interval(0.3,2)'")
        return cls(options, found)

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Return the overrides of the run with these drawn values."""
        return [
            f"{one.get_key_element()}={self._text(key, values[key])}" if key in values else str(one.input_line)
            for key, one in self.options.items()
        ]

    def _text(self, key: str, value: Any) -> str:
        found = self.distributions[key]
        if not isinstance(found, FloatDistribution):
            return str(value)
        text = f"{value:.{10 if found.step else DIGITS}g}"
        return text if found.low <= float(text) <= found.high else repr(value)


def distribution(key: str, override: Override) -> BaseDistribution:
    """Return what Optuna draws the values of a swept option from.

    Raises:
        ValueError: if there is nothing to draw from, such as an interval whose end is below its start.
    """
    if override.is_choice_sweep():
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    sweep: Any = override.value()
    assert isinstance(sweep, IntervalSweep | RangeSweep)
    values = [sweep.start, sweep.end] if isinstance(sweep, IntervalSweep) else sorted(sweep.range())
    try:
        if unknown := sweep.tags - {"log"}:
            raise ValueError(f"the tag {', '.join(unknown)}")
        return _numbers(values, abs(sweep.step) if isinstance(sweep, RangeSweep) else None, "log" in sweep.tags)
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"expected {key}= to be an interval or a range that Optuna can draw from, found {override.input_line} "
            f"({error}): type '{key}=interval(0.3,2)', 'tag(log,interval(0.3,2))' or 'range(1,4)'"
        ) from error


def _numbers(values: Sequence[Any], step: Any, log: bool) -> BaseDistribution:
    low, high = values[0], values[-1]
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=None if step is None else float(step))
