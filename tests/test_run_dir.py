import json
from pathlib import Path

import pytest

from lm.run_dir import UNFINISHED, find_runs
from tests.run_folders import MakeRun


def test_runs_come_in_the_order_in_which_the_sweep_started_them(grid: Path) -> None:
    names = [run.name for run in find_runs(grid)]

    assert names == ["cell=lstm,dropout=0.0", "cell=lstm,dropout=0.25", "cell=gru,dropout=0.0", "cell=gru,dropout=0.25"]


def test_other_folders_and_files_are_no_runs(grid: Path) -> None:
    (grid / "report").mkdir()
    (grid / "report" / "events.out.tfevents.1.host.1.0").touch()
    (grid / "multirun.yaml").touch()

    assert len(find_runs(grid)) == 4


def test_a_run_folder_is_a_sweep_of_one(grid: Path) -> None:
    assert [run.name for run in find_runs(grid / "cell=gru,dropout=0.25")] == ["cell=gru,dropout=0.25"]


def test_a_run_without_results_is_running(make_run: MakeRun, sweep: Path) -> None:
    make_run(running=True)

    (run,) = find_runs(sweep)

    assert (run.status, run.finished, len(run.epochs)) == (UNFINISHED, False, 3)


def test_a_run_before_its_first_epoch_is_running(make_run: MakeRun, sweep: Path) -> None:
    (make_run(running=True) / "epochs.csv").unlink()

    assert find_runs(sweep)[0].status == UNFINISHED


def test_a_row_that_is_being_written_is_left_out(make_run: MakeRun, sweep: Path) -> None:
    folder = make_run(running=True)
    with (folder / "epochs.csv").open("a") as file:
        file.write("4,1.0,75.0")

    assert [row["epoch"] for row in find_runs(sweep)[0].epochs] == [1, 2, 3]


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"status": "finished"})])
def test_damaged_results_are_a_status_of_their_own(make_run: MakeRun, sweep: Path, content: str) -> None:
    (make_run() / "results.json").write_text(content)

    (run,) = find_runs(sweep)

    assert run.status == "damaged"
    assert run.error.startswith("results.json")


@pytest.mark.parametrize("name", ["config.yaml", "hydra.yaml", "overrides.yaml"])
@pytest.mark.parametrize("content", ["", "- 'cell=g", "a: [1,", "\x00"])
def test_what_hydra_left_half_written_on_a_full_disk_hides_no_other_run(
    make_run: MakeRun, sweep: Path, name: str, content: str
) -> None:
    folder, other = make_run(cell="gru", running=True), make_run(cell="lstm")
    (folder / ".hydra" / name).write_text(content)

    assert {run.name: run.finished for run in find_runs(sweep)} == {folder.name: False, other.name: True}


def test_only_the_first_line_of_an_error_is_told(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"status": "failed", "error": "OSError: disk full\nTraceback ..."})

    assert find_runs(sweep)[0].error == "OSError: disk full"


def test_values_are_those_of_the_composed_config(make_run: MakeRun, sweep: Path) -> None:
    config = {"lr_decay_factor": "${by_dropout:${dropout},1.2,1.8}", "data": {"name": "${oc.env:LM_NO_SUCH_VARIABLE}"}}
    make_run(cell="gru", dropout=0.0, config=config, choices={"schedule": "table1"})

    (run,) = find_runs(sweep)

    values = {
        key: run.value(key) for key in ("lr", "lr_decay_factor", "embedding_size", "schedule", "data.name", "nothing")
    }
    assert values == {
        "lr": 0.8,
        "lr_decay_factor": 1.8,
        "embedding_size": 200,
        "schedule": "table1",
        "data.name": None,
        "nothing": None,
    }


def test_a_missing_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a sweep's folder, found nothing at .*nowhere: type sweep="):
        find_runs(tmp_path / "nowhere")


def test_a_folder_without_runs_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cell=lstm").mkdir()

    with pytest.raises(FileNotFoundError, match=r"found no run folder in .*: type sweep=FOLDER"):
        find_runs(tmp_path)
