import csv
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lm.reporting.report_callback import FIGURE_SECONDS, ReportCallback
from tests.run_folders import epochs_of, results_of, write_epochs

# A small sweep: Hydra itself, and training that writes its results at once.
CONFIG = """
defaults: [_self_, override hydra/job_logging: none, override hydra/hydra_logging: none]
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


def train(config: DictConfig) -> None:
    """Write the results of training at once."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    write_epochs(folder, epochs_of([200.0, 100.0]))
    status = "failed" if config.cell.name == config.failing else "finished"
    results = results_of(config.cell.name, config.dropout, 1, status=status, error="OSError: disk full")
    (folder / "results.json").write_text(json.dumps(results))
    if config.stop_after == config.cell.name:
        raise RuntimeError("stopped")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A function that runs a small sweep of Hydra's own and returns its exit status."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["application", "-m", *arguments])
        try:
            hydra.main(version_base="1.3", config_path=str(tmp_path), config_name="config")(train)()
        except SystemExit as end:
            return end.code
        return 0

    yield run
    GlobalHydra.instance().clear()


def job_config(folder: Path, mode: RunMode = RunMode.MULTIRUN) -> DictConfig:
    return OmegaConf.create({"hydra": {"mode": mode, "sweep": {"dir": str(folder)}}})


def cells_of_table() -> list[str]:
    with Path("sweep/table.csv").open(newline="") as file:
        return [row["cell"] for row in csv.DictReader(file)]


def test_a_sweep_ends_with_its_table_in_the_terminal(
    run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cell.name=lstm,gru", "dropout=0.25") == 0
    assert cells_of_table() == ["lstm", "gru"]
    output = capsys.readouterr().out
    lines = [line.split() for line in output.splitlines()]
    assert ["lstm", "*", "0.25", "45.50", "91.00", "90.67", "2"] in lines
    assert ["gru", "0.25", "50.50", "101.00", "100.67", "2"] in lines
    assert "TensorBoard: tensorboard --logdir sweep" in output
    assert len(list(Path("sweep/report").glob("events.*"))) == 1


@pytest.mark.parametrize("subdir", ["${hydra.job.num}", "${cell.name}/${hydra.job.num}"])
def test_the_report_is_in_the_sweeps_folder_wherever_its_runs_are(run: Callable[..., Any], subdir: str) -> None:
    assert run("cell.name=lstm,gru", f"hydra.sweep.subdir={subdir}") == 0
    assert cells_of_table() == ["lstm", "gru"]
    assert Path("sweep/report.md").is_file()


def test_a_sweep_with_a_failed_run_shows_its_table_and_exits_with_status_1(
    run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cell.name=lstm,gru", "failing=lstm") == 1
    captured = capsys.readouterr()
    assert "1 of 2 runs not finished:" in captured.out
    assert "failed: OSError: disk full" in captured.out
    assert "Traceback" not in captured.err


def test_the_report_is_up_to_date_if_a_job_raises_an_exception(run: Callable[..., Any]) -> None:
    assert run("cell.name=lstm,gru", "stop_after=gru") == 1
    assert cells_of_table() == ["lstm", "gru"]


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


def test_figures_are_drawn_again_only_if_they_are_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("lm.reporting.report_callback.time.time", lambda: now)
    callback, drawn = ReportCallback(), []
    with patch("lm.reporting.sweep_report.write_report") as write:
        for now in (1.0, FIGURE_SECONDS + 1.0, FIGURE_SECONDS + 2.0, 2 * FIGURE_SECONDS + 2.0):  # noqa: B007
            callback.on_job_end(job_config(tmp_path), Mock())
            drawn.append(write.call_args.kwargs["figures"])
    assert drawn == [False, True, False, True]


def test_a_report_that_fails_is_logged_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING),
        patch("lm.reporting.sweep_report.write_report", side_effect=OSError("disk full")),
    ):
        ReportCallback().on_job_end(job_config(tmp_path), Mock())

    assert caplog.messages == ["the sweep's report could not be written: OSError: disk full"]
