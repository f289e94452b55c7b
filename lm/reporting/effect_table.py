"""The effects as a table, with every digit, for `effects.csv`."""

from collections.abc import Sequence

from lm.reporting.columns import format_value
from lm.reporting.effects import Effect
from lm.reporting.table import Table
from lm.run_dir import Value

EFFECT_COLUMNS = (
    "split", "option", "before", "after", "by", "by_before", "by_after", "setting", "settings", "seeds",
    "interval_over", "log_difference", "standard_error", "degrees_of_freedom", "p_value",
    "percent", "percent_low", "percent_high",
)  # fmt: skip


def effect_table(effects: Sequence[Effect]) -> Table:
    """Return a row per effect; `by` is the second option of an interaction, `settings` of how many it is the mean."""
    return Table.from_rows(EFFECT_COLUMNS, [_row(effect) for effect in effects])


def _row(effect: Effect) -> list[Value]:
    change, by, estimate = effect.change, effect.by, effect.estimate
    setting = " ".join(f"{option}={format_value(value)}" for option, value in effect.setting.items())
    seeds = " ".join(map(str, effect.seeds))
    what: list[Value] = [effect.split, change.option, change.before, change.after]
    what += [by.option, by.before, by.after] if by else [None] * 3
    numbers = [estimate.value, estimate.error, estimate.df, estimate.p_value, estimate.percent]
    return [*what, setting, effect.num_settings, seeds, effect.over, *numbers, *estimate.percent_interval]
