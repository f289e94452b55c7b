import json
import math
import signal
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from lm.sweeps.sweep_job import (
    check_sweepable,
    job_logging,
    leave_ctrl_c_to_the_sweep,
    record_failure,
    record_stop,
    validation_perplexity,
)

CONFIG = OmegaConf.create({"cell": {"name": "gru"}, "dropout": 0.25, "seed": 3})


@pytest.mark.parametrize("devices", [1, "1", [0], [1]])
def test_a_run_on_one_device_fits_a_sweep(devices):
    assert check_sweepable(OmegaConf.create({"resume": None, "trainer": {"devices": devices}})) is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"resume": "a/run"}, "expected one run to resume, found a sweep: type hydra.sweep.dir=a/run"),
        ({"trainer": {"devices": 2}}, "expected one device for each run of a sweep, found trainer.devices=2"),
        ({"trainer": {"devices": [0, 1]}}, "expected one device for each run of a sweep"),
        ({"trainer": {"devices": "auto"}}, "expected one device for each run of a sweep"),
    ],
)
def test_what_a_sweep_cannot_have_is_told(options, sentence):
    config = OmegaConf.create({"resume": None, "trainer": {"devices": 1}} | options)
    assert check_sweepable(config).startswith(sentence)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (-signal.SIGKILL, "killed by SIGKILL, as where memory is used up: type"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (1, "ended with exit status 1"),
    ],
)
def test_a_process_that_ended_without_a_word_is_written_down(tmp_path, status, error):
    record_failure(CONFIG, tmp_path, status)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results.pop("error").startswith(error)
    assert results == {"status": "failed", "cell": "gru", "dropout": 0.25, "seed": 3}
    assert math.isnan(validation_perplexity(tmp_path / "results.json"))


@pytest.mark.parametrize(("begun", "status"), [(False, "not begun"), (True, "interrupted")])
def test_a_run_that_the_sweeps_end_came_before_is_written_down(tmp_path, begun, status):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    if begun:
        (run / "checkpoints" / "last.ckpt").touch()
    record_stop(CONFIG, run, "SIGINT")
    results = json.loads((run / "results.json").read_text())
    which = {"cell": "gru", "dropout": 0.25, "seed": 3}
    assert results == {"status": status, "error": "the sweep was stopped by SIGINT"} | which


def test_what_a_run_has_written_itself_stays_where_the_sweep_is_stopped(tmp_path):
    (tmp_path / "results.json").write_text("its own")
    record_stop(CONFIG, tmp_path, "SIGTERM")
    assert (tmp_path / "results.json").read_text() == "its own"


def test_nothing_is_written_where_the_sweep_is_refused(tmp_path):
    record_stop(CONFIG, tmp_path, "expected one run to resume, found a sweep")
    assert not (tmp_path / "results.json").exists()


def test_a_failure_that_cannot_be_written_is_told_all_the_same(tmp_path, caplog):
    record_failure(CONFIG, tmp_path / "nowhere", -signal.SIGKILL)
    assert "nowhere failed: killed by SIGKILL" in caplog.text
    assert "No such file or directory" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"), [('{"best": {"valid_ppl": 96.5}}', 96.5), ('{"status": "failed"}', math.nan), ("{", math.nan)]
)
def test_a_run_is_worth_its_best_validation_perplexity(tmp_path, text, expected):
    (tmp_path / "results.json").write_text(text)
    assert validation_perplexity(tmp_path / "results.json") == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        ("hydra._internal.core_plugins.basic_launcher.BasicLauncher", "%(message)s"),
        ("hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "seed=1: %(message)s"),
    ],
)
def test_runs_at_the_same_time_give_their_names(launcher, expected):
    formatters = OmegaConf.create({"formatters": {"plain": {"format": "%(message)s"}}})
    hydra = SimpleNamespace(launcher=SimpleNamespace(_target_=launcher), job_logging=formatters)
    assert job_logging(hydra, "seed=1")["formatters"]["plain"]["format"] == expected


def test_a_worker_leaves_ctrl_c_to_the_sweeps_first_process_also_between_two_runs():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        leave_ctrl_c_to_the_sweep()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        leave_ctrl_c_to_the_sweep()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_first_process_goes_on_listening():
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        listening = signal.getsignal(signal.SIGINT)
        leave_ctrl_c_to_the_sweep()
        assert signal.getsignal(signal.SIGINT) is listening
    finally:
        signal.signal(signal.SIGINT, before)
