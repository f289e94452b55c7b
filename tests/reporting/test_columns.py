import math
import statistics
from pathlib import Path

import pytest
from scipy import stats

from lm.reporting import table as table_module
from lm.reporting.columns import COLUMNS, Column, format_epochs, format_ppl, format_value, mean, result
from lm.reporting.extra_columns import ExtraColumns
from lm.reporting.groups import group_runs
from lm.reporting.table import build_interval_table
from lm.run_dir import RunDir
from lm.run_search import find_runs
from tests.reporting.tables import rows_of, table_of
from tests.run_folders import MakeRun


def test_published_figures_stand_beside_ours(grid: Path) -> None:
    assert [row["published_valid_ppl"] for row in rows_of(table_of(grid))] == [119.84, 96.59, 134.39, 101.53]


def test_a_grid_of_another_configuration_has_no_published_columns(make_run: MakeRun, sweep: Path) -> None:
    make_run(config={"epochs": 2})

    assert list(table_of(sweep).values) == [
        "cell",
        "dropout",
        "train_ppl",
        "valid_ppl",
        "test_ppl",
        "epochs_to_1_percent",
    ]


def test_a_mean_number_of_epochs_has_one_decimal_at_most() -> None:
    assert [format_epochs(value) for value in (6.0, 17 / 3, 250.0)] == ["6", "5.7", "250"]


def test_the_deviation_is_the_samples_and_not_the_populations(seeds: Path) -> None:
    values = [91.0, 92.0, 93.0]

    row = rows_of(table_of(seeds))[0]

    assert row["valid_ppl_std"] == pytest.approx(math.sqrt(sum((value - 92) ** 2 for value in values) / 2))
    assert row["valid_ppl_std"] != pytest.approx(statistics.pstdev(values))


def test_seeds_have_the_interval_of_their_mean(seeds: Path) -> None:
    row = rows_of(table_of(seeds))[0]

    expected = stats.t.interval(0.95, 2, 92, stats.sem([91.0, 92.0, 93.0]))
    assert (row["valid_ppl_low"], row["valid_ppl_high"]) == pytest.approx(expected, rel=1e-5)
    intervals = build_interval_table(group_runs(find_runs(seeds)))
    assert rows_of(intervals)[0]["valid_ppl"] == f"{expected[0]:.2f} to {expected[1]:.2f}"


def test_one_seed_has_no_interval(grid: Path) -> None:
    assert not [name for name in table_of(grid).values if name.endswith(("_low", "_high"))]
    assert rows_of(build_interval_table(group_runs(find_runs(grid)))) == []


@pytest.mark.parametrize(
    ("valid_ppls", "epoch"),
    [([200.0, 101.0, 100.5, 100.0, 130.0], 2), ([100.0, 90.0], 2), ([math.nan, 100.0], 2), ([90.0], 1)],
)
def test_a_run_has_converged_within_one_percent_of_its_best(
    make_run: MakeRun, sweep: Path, valid_ppls: list[float], epoch: int
) -> None:
    make_run(valid_ppls=valid_ppls)

    assert rows_of(table_of(sweep))[0]["epochs_to_1_percent"] == epoch


def test_the_floor_is_shown_for_a_corpus_that_has_one(make_run: MakeRun, sweep: Path) -> None:
    make_run("data=ptb")
    make_run("data=synthetic", choices={"data": "synthetic"}, results={"corpus": {"name": "s", "floor_ppl": 17.25}})

    assert [row["floor_ppl"] for row in rows_of(table_of(sweep))] == [None, 17.25]


def test_extra_columns_are_added_on_request(make_run: MakeRun, sweep: Path) -> None:
    make_run("seed=1", seed=1, valid_ppls=[150.0, 120.0, 90.0])
    make_run("seed=2", seed=2, valid_ppls=[150.0, 130.0, 120.5, 119.0])

    (row,) = rows_of(table_of(sweep, ExtraColumns(parameters=True, speed=True, epochs_to=120)))

    assert (row["parameters"], row["tokens_per_second"], row["epochs_to_120"]) == (4_653_200, 9_001.5, 3.0)


def test_a_new_column_is_one_entry_and_appears_in_every_format(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Column("seconds", "time/s", result("seconds"), text="{:.1f}".format)
    monkeypatch.setattr(table_module, "COLUMNS", [toy, *COLUMNS])

    table = table_of(grid)

    assert [row["seconds"] for row in rows_of(table)] == [30.0] * 4
    assert table.csv().splitlines()[0].split(",")[2] == "seconds"
    for text in (table.terminal(), table.markdown(), table.latex()):
        assert "time/s" in text
        assert text.count("30.0") == 4


@pytest.mark.parametrize(
    "best", [{"valid_ppl": 9.0}, {"valid_ppl": 9.0, "test_ppl": "x"}, {"valid_ppl": 9, "test_ppl": [1]}]
)
def test_results_without_a_test_perplexity_leave_its_cell_empty(
    make_run: MakeRun, sweep: Path, best: dict[str, object]
) -> None:
    make_run("cell=lstm", results={"best": best})
    make_run("cell=gru", cell="gru")

    table = table_of(sweep)

    assert [row["test_ppl"] for row in rows_of(table)] == [None, pytest.approx(101 - 1 / 3)]


@pytest.mark.parametrize(
    ("ppl", "text"),
    [(91.254, "91.25"), (12345.678, "12345.68"), (1e20 / 3, "3.33e+19"), (1.5e200, "1.5e+200"), (1.0, "1.00")],
)
def test_a_perplexity_has_at_most_eight_characters(ppl: float, text: str) -> None:
    assert format_ppl(ppl) == text


def test_large_counts_are_grouped(grid: Path) -> None:
    lines = table_of(grid, ExtraColumns(parameters=True, speed=True)).terminal().splitlines()

    assert lines[1].split()[9:11] == ["parameters", "tokens/second"]
    assert lines[3].split()[6:8] == ["4,653,200", "9,001"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.25"), (1e-5, "1e-05"), (1 / 3, "0.3333333333333333"), (200, "200"), (True, "true"), (None, "")],
)
def test_a_value_is_shown_as_it_is_typed(value: float | None, text: str) -> None:
    assert format_value(value) == text


def test_a_mean_without_the_value_of_a_seed_is_missing() -> None:
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert math.isnan(mean([1.0, None]))  # type: ignore[arg-type]


@pytest.mark.parametrize("found", [True, "91", [91], math.inf, math.nan, None])
def test_a_result_that_is_no_finite_number_is_missing(tmp_path: Path, found: object) -> None:
    run = RunDir(tmp_path)
    run.results = {"best": {"valid_ppl": found, "test_ppl": 90}}
    assert [result(f"best.{name}")(run) for name in ("valid_ppl", "test_ppl")] == [None, 90]


def test_evaluations_are_columns_on_request(make_run: MakeRun, sweep: Path) -> None:
    for seed in (1, 2):
        run = RunDir(make_run(f"seed={seed}", seed=seed))
        for ppl, protocol, tuned in (
            (80.0 + seed, {"method": "cache", "settings": {"cache": {"theta": 0.5}}}, {"split": "valid"}),
            (95.0, {"method": "static"}, None),
            (75.0, {"method": "static", "ensemble": 2}, None),
        ):
            facts = {"batch_size": 18, "tokens": 82_429, "state": "carried", **protocol}
            run.append_evaluation({
                "split": "test", "ppl": ppl, "protocol": facts, "tuned": tuned, "checkpoint": "best",
                "corpus": {"sha256": "ab" * 32},
            })  # fmt: skip

    (row,) = rows_of(table_of(sweep, ExtraColumns(evaluations=True)))

    assert (row["test_ppl cache, tuned"], row["test_ppl static, 2 runs"]) == (81.5, 75.0)
    assert row["test_ppl cache, tuned_std"] == pytest.approx(math.sqrt(0.5))
    assert "test_ppl static" not in row
    assert "test: cache, tuned" in table_of(sweep, ExtraColumns(evaluations=True)).markdown()
    assert "cache" not in table_of(sweep).markdown()
