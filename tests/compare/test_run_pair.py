import shutil
from pathlib import Path

import numpy as np
import pytest

from lm.compare.run_pair import find_seeds, load_pair
from lm.run_dir import RunDir
from lm.run_files import write_arrays
from tests.compare.pairs import make_better
from tests.run_folders import MakeRun


def test_a_pair_has_the_nats_of_both_runs(saved_run: Path, copy_of_run: Path) -> None:
    pair = load_pair(str(saved_run), str(make_better(copy_of_run, 0.5)), "test")

    assert pair.nats[1].mean(0) - pair.nats[0].mean(0) == pytest.approx(np.full(pair.nats[0].shape[1], -0.5), abs=1e-6)


def test_groups_are_named_by_what_differs_or_by_their_folders(saved_run: Path, copy_of_run: Path) -> None:
    assert load_pair(str(saved_run), str(copy_of_run), "test").titles == (str(saved_run), str(copy_of_run))

    config = copy_of_run / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("dropout: 0.25", "dropout: 0.0"))
    assert load_pair(str(saved_run), str(copy_of_run), "test").titles == ("GRU, dropout 0.25", "GRU, no dropout")


def test_a_folder_of_seeds_is_one_group(seeds: Path) -> None:
    assert len(find_seeds(f"{seeds}/cell=gru,*")) == 3


def test_a_run_that_is_named_twice_counts_once(seeds: Path) -> None:
    run = seeds / "cell=gru,seed=1"
    assert len(find_seeds(f"{run},{seeds}/cell=gru,seed=*")) == 3


def test_runs_of_several_settings_are_no_group(grid: Path) -> None:
    with pytest.raises(ValueError, match="differ in their seed only, found 4 settings, as LSTM, no dropout and LSTM"):
        find_seeds(str(grid))


def test_a_folder_without_a_finished_run_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(ValueError, match="found no finished run"):
        find_seeds(str(make_run(running=True)))


def test_a_missing_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="found nothing at 'nowhere': type outputs/DATE/TIME"):
        find_seeds("nowhere")


def test_runs_without_nats_are_refused(saved_run: Path, copy_of_run: Path) -> None:
    RunDir(copy_of_run).nats_path.unlink()

    with pytest.raises(ValueError, match="expected the nats of the test split, found none"):
        load_pair(str(saved_run), str(copy_of_run), "test")


def test_runs_of_different_texts_are_refused(saved_run: Path, copy_of_run: Path, tmp_path: Path) -> None:
    run = RunDir(Path(shutil.copytree(copy_of_run, tmp_path / "other")))
    write_arrays(run.nats_path, {**run.nats, "test_sha256": np.array("0" * 64)})

    with pytest.raises(ValueError, match="expected runs of one corpus, found 2 different test texts"):
        load_pair(str(saved_run), str(run.folder), "test")
