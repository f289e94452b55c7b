import csv
import logging
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lm.reporting.report_callback import ReportCallback

# A small sweep: Hydra itself, and training that writes its results at once.
APPLICATION = """
import json
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig

from tests.run_folders import epochs_of, results_of, write_epochs

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(config):
    folder = Path(HydraConfig.get().runtime.output_dir)
    write_epochs(folder, epochs_of([200.0, 100.0]))
    status = "failed" if config.cell.name == config.failing else "finished"
    results = results_of(config.cell.name, config.dropout, 1, status=status, error="OSError: disk full")
    (folder / "results.json").write_text(json.dumps(results))
    if config.stop_after == config.cell.name:
        raise RuntimeError("stopped")

main()
"""
CONFIG = """
cell: {name: lstm}
dropout: 0
seed: 1
trainer: {}
failing: null
stop_after: null
hydra:
  run: {dir: single}
  sweep: {dir: sweep, subdir: "${hydra.job.override_dirname}"}
  callbacks: {report: {_target_: lm.reporting.report_callback.ReportCallback}}
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def application(tmp_path: Path) -> Path:
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def run(application: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "application.py", *arguments],
        cwd=application,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def job_config(folder: Path, mode: RunMode = RunMode.MULTIRUN) -> DictConfig:
    return OmegaConf.create({"hydra": {"mode": mode, "sweep": {"dir": str(folder)}}})


def test_a_sweep_ends_with_its_table_in_the_terminal(application: Path) -> None:
    answer = run(application, "-m", "cell.name=lstm,gru", "dropout=0.25")

    assert answer.returncode == 0, answer.stderr
    with (application / "sweep" / "table.csv").open(newline="") as file:
        assert [(row["cell"], float(row["dropout"])) for row in csv.DictReader(file)] == [("lstm", 0.25), ("gru", 0.25)]
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert ["lstm", "*", "0.25", "45.50", "91.00", "90.67", "2"] in lines
    assert ["gru", "0.25", "50.50", "101.00", "100.67", "2"] in lines
    assert "TensorBoard: tensorboard --logdir sweep" in answer.stdout
    assert len(list((application / "sweep" / "report").glob("events.*"))) == 1


@pytest.mark.parametrize("subdir", ["${hydra.job.num}", "${cell.name}/${hydra.job.num}"])
def test_runs_may_have_any_folders(application: Path, subdir: str) -> None:
    answer = run(application, "-m", "cell.name=lstm,gru", f"hydra.sweep.subdir={subdir}")

    assert answer.returncode == 0, answer.stderr
    with (application / "sweep" / "table.csv").open(newline="") as file:
        assert [row["cell"] for row in csv.DictReader(file)] == ["lstm", "gru"]


def test_a_sweep_with_a_failed_run_shows_its_table_and_exits_with_status_1(application: Path) -> None:
    answer = run(application, "-m", "cell.name=lstm,gru", "failing=lstm")

    assert answer.returncode == 1
    assert "1 of 2 runs not finished:" in answer.stdout
    assert "failed: OSError: disk full" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_the_report_is_up_to_date_if_a_job_raises_an_exception(application: Path) -> None:
    answer = run(application, "-m", "cell.name=lstm,gru", "stop_after=gru")

    assert answer.returncode == 1
    with (application / "sweep" / "table.csv").open(newline="") as file:
        assert [row["cell"] for row in csv.DictReader(file)] == ["lstm", "gru"]


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("epochs_to", "soon", "expected epochs_to to be a number above 0 or null, found 'soon': type .*.epochs_to=120"),
        ("speed", 1, "expected speed to be true or false, found 1: type .*.speed=true"),
        ("sped", True, "expected one of parameters, speed, epochs_to.*, found sped: type .*.parameters=true"),
    ],
)
def test_a_wrong_option_ends_the_sweep_with_one_sentence(option: str, value: object, sentence: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: {sentence}$"):
        ReportCallback(**{option: value})


def test_a_single_run_has_no_report(tmp_path: Path) -> None:
    with patch("lm.reporting.sweep_report.write_report") as write:
        ReportCallback().on_job_end(job_config(tmp_path, mode=RunMode.RUN), Mock())

    write.assert_not_called()


def test_a_report_that_fails_is_logged_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        patch("lm.reporting.sweep_report.write_report", side_effect=OSError("disk full")),
    ):
        ReportCallback().on_job_end(job_config(tmp_path), Mock())

    assert caplog.messages == ["the sweep's report could not be written: OSError: disk full"]


@pytest.mark.parametrize("subdir", ["${hydra.job.num}", "${cell.name}/${hydra.job.num}"])
def test_the_report_is_in_the_sweeps_folder_wherever_its_runs_are(application: Path, subdir: str) -> None:
    answer = run(application, "-m", "cell.name=lstm,gru", f"hydra.sweep.subdir={subdir}")

    assert answer.returncode == 0, answer.stderr
    assert (application / "sweep" / "report.md").is_file()
