import os
import signal
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from lm.cli import ON_EXIT
from lm.folders import locked
from lm.sweeps.stop_file import StopFile
from lm.sweeps.sweep_callback import FolderCallback, SweepCallback, check_sweepable, remove_duplicates, set_for_runs
from lm.sweeps.sweep_options import SweepOptions
from lm.training.signals import STOP_SIGNALS


@pytest.fixture(autouse=True)
def default_handlers():
    """Handlers as in a terminal, also where the tests themselves run with signals ignored."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    defaults = {number: signal.SIG_DFL for number in STOP_SIGNALS} | {signal.SIGINT: signal.default_int_handler}
    for number, handler in defaults.items():
        signal.signal(number, handler)
    yield
    with suppress(SystemExit):
        ON_EXIT.close()
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == defaults
    for number, handler in before.items():
        signal.signal(number, handler)


def sweep_config(folder, *task, launcher="basic", typed=True, params=None, resume=None, devices=1):
    overrides = {"task": list(task or ["seed=1,2"]), "hydra": [f"hydra.sweep.dir='{folder}'"] if typed else []}
    ray = {"ray": {"remote": {"num_gpus": 0, "num_cpus": 2}}}
    runtime = {"choices": {"hydra/launcher": launcher, "hydra/sweeper": "basic"}}
    hydra = {"sweep": {"dir": str(folder)}, "overrides": overrides, "runtime": runtime, "sweeper": {"params": params}}
    trainer = {"devices": devices}
    return OmegaConf.create({"hydra": hydra | {"launcher": ray}, "resume": resume, "trainer": trainer})


def start(config):
    callback = SweepCallback()
    callback.on_multirun_start(config)
    return callback


def refusal(callback, config):
    with pytest.raises(SystemExit) as end:
        callback(config)
    return end.value.code


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_stops_the_runs_until_the_command_ends(tmp_path, capsys, number):
    config, sweep = sweep_config(tmp_path / "sweep"), tmp_path / "sweep"
    StopFile(sweep).write("SIGINT")  # left by a sweep that was killed
    callback = start(config)
    assert StopFile(sweep).reason() is None
    os.kill(os.getpid(), number)
    assert StopFile(sweep).signal() == number
    assert f"\n{number.name}: the runs stop; those that train write a checkpoint first\n" in capsys.readouterr().out
    callback.on_multirun_end(config)
    with pytest.raises(SystemExit) as end:
        ON_EXIT.close()
    assert end.value.code == 128 + number
    assert not StopFile(sweep).path.exists()


def test_ctrl_c_stops_a_sweep_whose_values_the_sweeper_chooses(tmp_path):
    config = sweep_config(tmp_path, "dropout=interval(0,0.5)")
    config.hydra.runtime.choices["hydra/sweeper"] = "own"
    start(config)
    os.kill(os.getpid(), signal.SIGINT)
    assert StopFile(tmp_path).signal() == signal.SIGINT


def test_a_second_ctrl_c_ends_the_sweep_and_further_sigterms_do_not(tmp_path):
    start(sweep_config(tmp_path))
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_closed_terminal_stops_the_runs_too(tmp_path, monkeypatch):
    start(sweep_config(tmp_path))
    monkeypatch.setattr("builtins.print", Mock(side_effect=OSError))
    os.kill(os.getpid(), signal.SIGHUP)
    assert StopFile(tmp_path).signal() == signal.SIGHUP


def test_a_sweep_keeps_ignoring_what_its_parent_ignores(tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start(sweep_config(tmp_path))
    os.kill(os.getpid(), signal.SIGINT)
    assert StopFile(tmp_path).reason() is None
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(("before", "after"), [(None, "0"), ("1", "1")])
def test_ray_drops_no_line_of_the_runs_unless_the_user_says_so(tmp_path, monkeypatch, before, after):
    monkeypatch.setenv("RAY_DEDUP_LOGS", before or "")
    if before is None:
        monkeypatch.delenv("RAY_DEDUP_LOGS")
    start(sweep_config(tmp_path))
    assert os.environ["RAY_DEDUP_LOGS"] == after


def test_a_refusal_by_a_run_ends_the_sweep(tmp_path):
    callback = start(sweep_config(tmp_path))
    StopFile(tmp_path).write("expected batch_size=4, found 5")
    assert refusal(callback.on_multirun_end, None) == "error: expected batch_size=4, found 5"


def test_two_sweeps_of_the_same_second_have_two_folders(tmp_path):
    configs = [sweep_config(tmp_path / "12-00-00", typed=False) for _ in range(2)]
    for config in configs:
        start(config)
        (Path(config.hydra.sweep.dir) / "multirun.yaml").touch()
    assert [Path(config.hydra.sweep.dir).name for config in configs] == ["12-00-00", "12-00-00_2"]


def test_a_named_folder_in_which_another_process_works_is_refused(tmp_path, monkeypatch):
    with locked(tmp_path):
        monkeypatch.setattr("lm.folders._locked", set())  # as another process sees it
        found = refusal(SweepCallback().on_multirun_start, sweep_config(tmp_path))
    assert found.startswith(f"error: expected a folder that no other process writes to, found '{tmp_path}' in use")


def test_two_runs_of_the_same_second_have_two_folders(tmp_path):
    configs = [
        OmegaConf.create({"resume": None, "hydra": {"run": {"dir": str(tmp_path / "1")}, "overrides": {"hydra": []}}})
        for _ in range(2)
    ]
    for config in configs:
        FolderCallback().on_run_start(config)
    assert [Path(config.hydra.run.dir).name for config in configs] == ["1", "1_2"]


@pytest.mark.parametrize("named", ["resume", "hydra.run.dir", "++hydra.run.dir"])
def test_a_named_run_folder_in_which_another_process_works_is_refused(tmp_path, monkeypatch, named):
    hydra = {"run": {"dir": str(tmp_path)}, "overrides": {"hydra": [f"{named}={tmp_path}"]}}
    config = OmegaConf.create({"resume": str(tmp_path) if named == "resume" else None, "hydra": hydra})
    with locked(tmp_path):
        monkeypatch.setattr("lm.folders._locked", set())
        assert "in use" in refusal(FolderCallback().on_run_start, config)


def test_a_command_that_is_refused_later_leaves_no_folder(tmp_path):
    sweep = tmp_path / "multirun" / "sweep"
    start(sweep_config(sweep))
    (sweep / "multirun.yaml").write_text("written by Hydra before it composes the jobs")
    ON_EXIT.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"resume": "a/run"}, "expected one run to resume, found a sweep: type hydra.sweep.dir=a/run"),
        ({"devices": 2}, "expected one device for each run of a sweep, found trainer.devices=2"),
        ({"devices": [0, 1]}, "expected one device for each run of a sweep"),
        ({"devices": "auto"}, "expected one device for each run of a sweep"),
        ({"task": ["trainer.devices=1,2"]}, "expected one device for each run of a sweep, found trainer.devices=2"),
        ({"task": ["data.dir=/x,/y"]}, "expected one data.dir= for all runs of a sweep, found several"),
    ],
)
def test_options_that_no_sweep_can_have_are_refused_before_anything_is_written(tmp_path, options, sentence):
    config = sweep_config(tmp_path / "new", *options.pop("task", []), **options)
    assert refusal(SweepCallback().on_multirun_start, config).startswith(f"error: {sentence}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("devices", [1, "1", [0], [1]])
def test_runs_on_one_device_can_be_swept(devices):
    check_sweepable(sweep_config("", devices=devices), SweepOptions.parse(["seed=1,2"], None))


def test_each_run_of_a_sweep_may_have_a_device_of_its_own():
    check_sweepable(sweep_config(""), SweepOptions.parse(["trainer.devices=[0],[1]"], None))


def test_equal_values_are_trained_once(capsys):
    config = sweep_config("", "seed=1,1,2", "dropout=0.25,0.250", params={"hidden_size": "200,200", "cell": "lstm,gru"})
    options = remove_duplicates(config)
    assert list(config.hydra.overrides.task) == ["seed=1,2", "dropout=0.25"]
    assert config.hydra.sweeper.params == {"hidden_size": "200", "cell": "lstm,gru"}
    assert options.swept == {"seed": ["1", "2"], "cell": ["lstm", "gru"]}
    assert "hidden_size= has equal values: the sweep trains each of 200 once" in capsys.readouterr().out


@pytest.mark.parametrize(("launcher", "noted"), [("gpus", True), ("basic", False)])
def test_a_machine_without_a_gpu_is_named(tmp_path, capsys, monkeypatch, launcher, noted):
    monkeypatch.setattr("lm.sweeps.sweep_callback.cores", lambda: 3)
    start(sweep_config(tmp_path, launcher=launcher))
    output = capsys.readouterr().out
    assert f"training 2 runs in {tmp_path}" in output
    assert ("no GPU found here: 1 run at a time, 2 cores each" in output) == noted


@pytest.mark.parametrize("name", ["sweep", "a b", "cell=gru,dropout=0", "it's", "${x}"])
def test_the_folder_is_set_for_this_process_and_for_the_runs(tmp_path, name):
    config, folder = sweep_config("sweep", typed=False), tmp_path / name
    set_for_runs(config, folder, SweepOptions.parse(["+trainer.profiler=null,simple"], None))
    assert config.hydra.sweep.dir == str(folder)
    overrides = OverridesParser.create().parse_overrides(OmegaConf.to_container(config.hydra.overrides.hydra))
    parsed = {override.key_or_group: override.value() for override in overrides}
    composed = OmegaConf.create({"dir": parsed["hydra.sweep.dir"]})
    assert composed.dir == str(folder)
    assert parsed["hydra.callbacks.sweep.num_runs"] == 2
    assert parsed["hydra.callbacks.sweep.swept"] == ["trainer.profiler"]
