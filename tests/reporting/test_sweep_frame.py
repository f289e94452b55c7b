import csv

import pandas as pd
import pytest

from lm.reporting.sweep_frame import load_sweep


def test_a_sweep_has_one_row_per_run_with_its_options_and_results(grid):
    runs = load_sweep(grid)
    assert isinstance(runs, pd.DataFrame)
    assert list(runs.index) == [
        "cell=lstm,dropout=0.0", "cell=lstm,dropout=0.25", "cell=gru,dropout=0.0", "cell=gru,dropout=0.25",
    ]  # fmt: skip
    assert runs.loc["cell=gru,dropout=0.25", ["cell", "dropout", "seed"]].tolist() == ["gru", 0.25, 1]
    assert runs.loc["cell=gru,dropout=0.25", ["valid_ppl", "last_valid_ppl"]].tolist() == [101.0, 111.0]
    assert runs.groupby("cell")["valid_ppl"].min().to_dict() == {"gru": 101.0, "lstm": 91.0}


def test_the_epochs_have_one_row_per_run_and_epoch(grid):
    epochs = load_sweep(grid).epochs
    assert len(epochs) == 4 * 3
    assert epochs.query("cell == 'gru' and dropout == 0 and epoch == 2")["valid_ppl"].tolist() == [100.0]


def test_every_swept_option_is_a_column(make_run, sweep):
    for size in (100, 200):
        make_run(f"hidden_size={size}", "seed=3", seed=3, config={"hidden_size": size})
    runs = load_sweep(sweep)
    assert runs["hidden_size"].tolist() == [100, 200]
    assert runs["seed"].tolist() == [3, 3]


def test_an_unfinished_run_has_a_status_and_no_results(make_run, sweep):
    make_run()
    make_run(cell="gru", running=True)
    runs = load_sweep(sweep)
    assert runs["status"].tolist() == ["finished", "running or interrupted"]
    assert runs["valid_ppl"].isna().tolist() == [False, True]


def test_a_single_run_is_a_sweep_of_one(make_run):
    folder = make_run()
    runs = load_sweep(folder)
    with (folder / "epochs.csv").open() as file:
        assert len(runs.epochs) == len(list(csv.DictReader(file)))
    assert runs["folder"].tolist() == [str(folder)]


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="found no run folder"):
        load_sweep(tmp_path)
