import os
import signal

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from lm.sweeps.stop_file import StopFile
from lm.sweeps.sweep_callback import SweepCallback, fix_sweep_folder


def sweep_config(folder, launcher="basic"):
    overrides = {"task": ["seed=1,2"], "hydra": []}
    sweeper = {"params": None}
    ray = {"ray": {"remote": {"num_gpus": 0}}}
    runtime = {"choices": {"hydra/launcher": launcher}}
    hydra = {"sweep": {"dir": str(folder)}, "overrides": overrides, "runtime": runtime, "sweeper": sweeper}
    return OmegaConf.create({"hydra": hydra | {"launcher": ray}})


@pytest.fixture
def callback():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield SweepCallback()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_has_the_runs_stop_and_the_end_of_the_sweep_clears_that(callback, tmp_path, capsys, number):
    config = sweep_config(tmp_path / "sweep")
    StopFile(tmp_path / "sweep").write("SIGINT")  # of a sweep that was killed before it could clear it
    callback.on_multirun_start(config)
    assert StopFile(tmp_path / "sweep").reason() is None
    os.kill(os.getpid(), number)
    assert StopFile(tmp_path / "sweep").reason() == number.name
    assert f"{number.name}: the runs stop, each with a checkpoint" in capsys.readouterr().out
    callback.on_multirun_end(config)
    assert StopFile(tmp_path / "sweep").reason() is None


def test_a_second_ctrl_c_ends_the_sweep_and_further_sigterms_do_not(callback, tmp_path):
    callback.on_multirun_start(sweep_config(tmp_path))
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    callback.on_multirun_end(sweep_config(tmp_path))


def test_what_a_run_refuses_ends_the_sweep(callback, tmp_path):
    config = sweep_config(tmp_path)
    callback.on_multirun_start(config)
    StopFile(tmp_path).write("expected batch_size=4, found 5")
    with pytest.raises(SystemExit, match="error: expected batch_size=4, found 5"):
        callback.on_multirun_end(config)


@pytest.mark.parametrize(("launcher", "told"), [("gpus", True), ("basic", False)])
def test_it_is_said_where_there_is_no_gpu_to_hand_out(callback, tmp_path, capsys, launcher, told):
    config = sweep_config(tmp_path, launcher)
    callback.on_multirun_start(config)
    callback.on_multirun_end(config)
    assert ("no GPU found here: " in capsys.readouterr().out) == told


@pytest.mark.parametrize("name", ["sweep", "a b", "cell=gru,dropout=0", "it's"])
def test_the_folder_is_fixed_for_this_process_and_for_the_runs(tmp_path, name):
    config, folder = sweep_config("sweep"), tmp_path / name
    fix_sweep_folder(config, folder)
    [override] = OverridesParser.create().parse_overrides(list(config.hydra.overrides.hydra))
    assert override.key_or_group == "hydra.sweep.dir"
    value = override.value()
    assert (value if isinstance(value, str) else value.text.replace("\\'", "'")) == str(folder)
