import math
import statistics
from pathlib import Path

import numpy as np
import pytest

from lm.reporting.table import ExtraColumns, Table, build_table, settings_of, swept_keys
from lm.run_dir import find_runs
from tests.run_folders import MakeRun


def table_of(folder: Path, weights: str = "best", extras: ExtraColumns | None = None) -> Table:
    return build_table(settings_of(find_runs(folder)), weights, extras)


def test_the_grid_has_a_row_a_run_with_the_best_weights(grid: Path) -> None:
    table = table_of(grid)

    assert table.columns[:5] == ["cell", "dropout", "train_ppl", "valid_ppl", "test_ppl"]
    assert [(row["cell"], row["dropout"], row["valid_ppl"]) for row in table.rows] == [
        ("lstm", 0.0, 101.0),
        ("lstm", 0.25, 91.0),
        ("gru", 0.0, 111.0),
        ("gru", 0.25, 101.0),
    ]


def test_the_last_weights_have_a_table_of_their_own(grid: Path) -> None:
    assert [row["valid_ppl"] for row in table_of(grid, "last").rows] == [111.0, 101.0, 121.0, 111.0]


def test_published_figures_stand_beside_ours(grid: Path) -> None:
    assert [row["published_valid_ppl"] for row in table_of(grid).rows] == [119.84, 96.59, 134.39, 101.53]


def test_a_grid_of_another_configuration_has_no_published_columns(make_run: MakeRun, sweep: Path) -> None:
    make_run(config={"epochs": 2})

    assert table_of(sweep).columns == ["cell", "dropout", "train_ppl", "valid_ppl", "test_ppl"]


def test_seeds_become_mean_and_sample_deviation(seeds: Path) -> None:
    table = table_of(seeds)

    assert [row["cell"] for row in table.rows] == ["lstm", "gru"]
    for row in table.rows:
        best = [run.results["best"] for run in find_runs(seeds) if run.results["cell"] == row["cell"]]
        assert row["seeds"] == len(best) == 3
        for name in ("train_ppl", "valid_ppl", "test_ppl"):
            values = [figures[name] for figures in best]
            assert row[name] == pytest.approx(np.mean(values))
            assert row[f"{name}_std"] == pytest.approx(np.std(values, ddof=1))


def test_the_deviation_is_the_samples_and_not_the_populations(seeds: Path) -> None:
    values = [91.0, 92.0, 93.0]

    row = table_of(seeds).rows[0]

    assert row["valid_ppl_std"] == pytest.approx(math.sqrt(sum((value - 92) ** 2 for value in values) / 2))
    assert row["valid_ppl_std"] != pytest.approx(statistics.pstdev(values))


def test_a_setting_with_one_seed_has_no_deviation(seeds: Path, make_run: MakeRun) -> None:
    make_run("cell=rnn_tanh", "seed=1", cell="rnn_tanh")

    row = table_of(seeds).rows[-1]

    assert (row["cell"], row["seeds"], row["valid_ppl_std"]) == ("rnn_tanh", 1, None)


def test_whatever_was_swept_is_a_column(make_run: MakeRun, sweep: Path) -> None:
    for size in (100, 200):
        for schedule in ("table1", "as_printed"):
            make_run(
                "epochs=25",
                f"hidden_size={size}",
                f"schedule={schedule}",
                config={"hidden_size": size},
                choices={"schedule": schedule},
            )

    table = table_of(sweep)

    assert table.columns[:4] == ["cell", "dropout", "hidden_size", "schedule"]
    assert [(row["hidden_size"], row["schedule"]) for row in table.rows] == [
        (100, "table1"),
        (100, "as_printed"),
        (200, "table1"),
        (200, "as_printed"),
    ]


def test_values_that_follow_from_what_was_swept_are_no_columns(grid: Path) -> None:
    assert swept_keys(find_runs(grid)) == []


def test_a_failed_run_keeps_its_column(make_run: MakeRun, sweep: Path) -> None:
    make_run("lr=1.0", config={"lr": 1.0})
    make_run("lr=9.0", config={"lr": 9.0}, results={"status": "diverged"})

    assert [(row["cell"], row["lr"]) for row in table_of(sweep).rows] == [("lstm", 1.0)]


def test_runs_that_differ_in_more_than_their_seed_are_never_averaged(make_run: MakeRun, sweep: Path) -> None:
    make_run("seed=1", seed=1, config={"batch_size": 20})
    make_run("seed=2", seed=2, config={"batch_size": 40})

    table = table_of(sweep)

    assert [(row["batch_size"], row["valid_ppl"]) for row in table.rows] == [(20, 91.0), (40, 92.0)]


def test_the_same_run_twice_is_two_rows_and_not_two_seeds(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    make_run("cell=lstm", "resume=null")

    table = table_of(sweep)

    assert "seeds" not in table.columns
    assert [row["run"] for row in table.rows] == ["cell=lstm", "cell=lstm,resume=null"]


def test_a_floor_stands_in_the_table_where_the_corpus_has_one(make_run: MakeRun, sweep: Path) -> None:
    make_run("data=ptb")
    make_run("data=synthetic", choices={"data": "synthetic"}, results={"corpus": {"name": "s", "floor_ppl": 17.25}})

    assert [row["floor_ppl"] for row in table_of(sweep).rows] == [None, 17.25]


def test_further_columns_are_added_when_asked_for(make_run: MakeRun, sweep: Path) -> None:
    make_run("seed=1", seed=1, valid_ppls=[150.0, 120.0, 90.0])
    make_run("seed=2", seed=2, valid_ppls=[150.0, 130.0, 120.5, 119.0])

    (row,) = table_of(sweep, extras=ExtraColumns(parameters=True, speed=True, epochs_to=120)).rows

    assert (row["parameters"], row["tokens_per_second"], row["epochs_to_120"]) == (4_653_200, 9_001.5, 3.0)


def test_a_perplexity_that_some_seed_never_reached_has_no_epoch(make_run: MakeRun, sweep: Path) -> None:
    make_run("seed=1", seed=1, valid_ppls=[150.0, 120.0])
    make_run("seed=2", seed=2, valid_ppls=[150.0, 130.0])

    assert "epochs_to_120" not in table_of(sweep, extras=ExtraColumns(epochs_to=120)).columns


@pytest.mark.parametrize("options", [{"parameters": "yes"}, {"speed": 1}, {"epochs_to": "soon"}, {"epochs_to": -1}])
def test_a_further_column_that_cannot_be_is_refused(options: dict[str, object]) -> None:
    (name,) = options

    with pytest.raises(ValueError, match=rf"expected {name} to be .*, found .*: type {name}="):
        ExtraColumns(**options)  # type: ignore[arg-type]


def test_settings_are_called_what_people_call_them(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=rnn_tanh", "hidden_size=100", cell="rnn_tanh", dropout=0.0, config={"hidden_size": 100})
    make_run("cell=gru", "hidden_size=200", cell="gru")

    titles = [setting.title for setting in settings_of(find_runs(sweep))]

    assert titles == ["RNN tanh, no dropout, hidden size 100", "GRU, dropout 0.25, hidden size 200"]
