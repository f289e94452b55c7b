import json
import logging
import math
import os
import signal
import time
from pkgutil import resolve_name

import pytest
from omegaconf import OmegaConf

from lm.run_dir import RunDir
from lm.sweeps.stop_file import StopFile
from lm.sweeps.sweep_job import (
    BASIC,
    LOCAL,
    SweepJob,
    announcement,
    job_logging,
    record_failure,
    record_stop,
    run_job,
    time_left,
)


def hydra_config(sweep, launcher=BASIC, **callback):
    """Hydra's part of the config of the run `cell=gru` in a sweep."""
    return OmegaConf.create({
        "launcher": {"_target_": launcher},
        "sweep": {"dir": str(sweep)},
        "runtime": {"output_dir": str(sweep / "cell=gru"), "cwd": str(sweep)},
        "job": {"num": 1},
        "job_logging": {"formatters": {"plain": {"format": "%(message)s"}}},
        "callbacks": {"sweep": callback},
    })  # fmt: skip


@pytest.fixture
def run(tmp_path):
    (tmp_path / "cell=gru" / "checkpoints").mkdir(parents=True)
    return RunDir(tmp_path / "cell=gru")


def outcome(run):
    return json.loads(run.results_path.read_text())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (-signal.SIGKILL, "killed by SIGKILL, probably out of memory: train"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (1, "ended with exit status 1"),
    ],
)
def test_a_process_that_ended_without_an_outcome_has_failed(run, status, error):
    record_failure(run, status)
    assert outcome(run)["status"] == "failed"
    assert outcome(run)["error"].startswith(error)


@pytest.mark.parametrize(("has_checkpoint", "status"), [(False, "not started"), (True, "interrupted")])
def test_a_run_that_the_sweep_stopped_has_an_outcome(tmp_path, run, has_checkpoint, status):
    if has_checkpoint:
        run.last.touch()
    StopFile(tmp_path).write("SIGINT")
    record_stop(run, StopFile(tmp_path))
    assert outcome(run) == {"status": status, "error": "the sweep was stopped by SIGINT"}


def test_the_outcome_that_a_run_has_written_itself_stays(tmp_path, run):
    run.results_path.write_text("its own")
    StopFile(tmp_path).write("SIGTERM")
    record_stop(run, StopFile(tmp_path))
    assert run.results_path.read_text() == "its own"


def test_no_failure_replaces_the_results_of_a_finished_run(run):
    results = {"status": "finished", "best": {"valid_ppl": 96.5}}
    run.results_path.write_text(json.dumps(results))
    record_failure(run, -signal.SIGKILL)
    assert outcome(run) == results


def test_nothing_is_recorded_if_the_sweep_is_refused(tmp_path, run):
    StopFile(tmp_path).write("expected one run to resume, found a sweep")
    record_stop(run, StopFile(tmp_path))
    assert not run.results_path.exists()


def test_a_failure_that_cannot_be_written_is_logged_all_the_same(tmp_path, caplog):
    record_failure(RunDir(tmp_path / "nowhere"), -signal.SIGKILL)
    assert "nowhere failed: killed by SIGKILL" in caplog.text
    assert "No such file or directory" in caplog.text


def test_a_run_does_not_start_and_is_not_announced_while_its_sweep_stops(tmp_path, run, caplog):
    caplog.set_level(logging.INFO)
    StopFile(tmp_path).write("SIGINT")
    assert math.isnan(run_job(OmegaConf.create(), hydra_config(tmp_path)))
    assert outcome(run)["status"] == "not started"
    assert not caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"status": "finished", "best": {"valid_ppl": 96.5}}', 96.5),
        ('{"status": "failed"}', math.nan),
        ("{", math.nan),
    ],
)
def test_the_value_of_a_run_is_its_best_validation_perplexity(tmp_path, run, text, expected):
    StopFile(tmp_path).write("SIGINT")
    run.results_path.write_text(text)
    assert SweepJob(OmegaConf.create(), hydra_config(tmp_path)).finish() == pytest.approx(expected, nan_ok=True)


def test_every_line_of_runs_at_the_same_time_starts_with_their_names(tmp_path, run):
    plain = job_logging(hydra_config(tmp_path, LOCAL), run)["formatters"]["plain"]
    formatter = resolve_name(plain.pop("()"))(**plain)
    record = logging.LogRecord("a", logging.INFO, "", 0, "a 100%\nb", None, None)
    assert formatter.format(record) == "cell=gru: a 100%\ncell=gru: b"
    assert job_logging(hydra_config(tmp_path), run)["formatters"]["plain"] == {"format": "%(message)s"}


def test_a_run_says_which_of_how_many_it_is_and_the_time_left(tmp_path, run):
    assert announcement(hydra_config(tmp_path), run) == "run 2: cell=gru"
    hydra = hydra_config(tmp_path, num_runs=4, started=time.time() - 60)
    assert announcement(hydra, run) == "run 2 of 4: cell=gru"
    RunDir(tmp_path / "cell=gru").write_results({"status": "failed"})
    assert announcement(hydra, run).startswith("run 2 of 4: cell=gru (about 0:03:0")


def test_runs_that_had_finished_before_the_sweep_started_tell_nothing_of_its_speed(tmp_path, run):
    for cell in ("lstm", "gru", "rnn_tanh"):
        (tmp_path / cell).mkdir()
        RunDir(tmp_path / cell).write_results({"status": "finished", "best": {"valid_ppl": 1.0}})
    os.utime(tmp_path / "lstm" / "results.json", (0, 0))
    assert time_left(tmp_path, 4, time.time() - 60).total_seconds() == pytest.approx(30, abs=2)
