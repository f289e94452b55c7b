import csv
import io
import math
from pathlib import Path

import pytest

from lm.reporting.effect_table import effect_table
from lm.reporting.effects import find_effects
from lm.reporting.groups import group_runs
from lm.run_search import find_runs


def test_the_table_has_a_row_per_effect_with_every_digit(seeds: Path) -> None:
    effects = find_effects(group_runs(find_runs(seeds)), "valid")

    (row,) = csv.DictReader(io.StringIO(effect_table(effects).csv()))

    estimate = effects[0].estimate
    names = ("split", "option", "before", "after", "setting", "settings", "seeds", "interval_over")
    assert [row[name] for name in names] == ["valid", "cell", "lstm", "gru", "dropout=0.25", "1", "3 3", "seeds"]
    assert float(row["log_difference"]) == estimate.value
    assert float(row["percent"]) == pytest.approx(100 * (math.exp(estimate.value) - 1))
    assert float(row["percent_low"]) < float(row["percent"]) < float(row["percent_high"])


def test_an_interaction_names_both_options(grid: Path) -> None:
    *_, row = csv.DictReader(io.StringIO(effect_table(find_effects(group_runs(find_runs(grid)))).csv()))

    assert [row[name] for name in ("option", "by", "by_before", "by_after", "setting")] == [
        "dropout", "cell", "lstm", "gru", "",
    ]  # fmt: skip
    assert row["p_value"] == ""
