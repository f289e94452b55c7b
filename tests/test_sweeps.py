"""Sweeps as users type them, under the launchers of this machine."""

import json

import pytest

from tests.processes import start


def finished(sweep):
    """Return the finished runs below a sweep's folder, with the times at which they finished."""
    paths = [path for path in sweep.rglob("results.json") if json.loads(path.read_text())["status"] == "finished"]
    return {str(path.parent.relative_to(sweep)): path.stat().st_mtime_ns for path in paths}


def test_the_same_sweep_in_another_order_finds_its_finished_runs(run_command, tiny, tmp_path):
    assert run_command("lm.train", "-m", "cell=gru", "seed=1,2", "lr=0.5", *tiny, "hydra.sweep.dir=sweep") == 0
    before = finished(tmp_path / "sweep")
    assert before.keys() == {"seed=1", "seed=2"}
    assert run_command("lm.train", "-m", *tiny, "lr=0.50", "cell=gru", "seed=2,1", "hydra.sweep.dir=sweep") == 0
    assert finished(tmp_path / "sweep") == before


def test_groups_are_swept_by_globs_on_several_cores_into_any_subfolders(run_command, tiny, tmp_path, capfd):
    options = ("hydra/launcher=local", "hydra.sweep.subdir=${cell.name}/${hydra.job.num}", "hydra.sweep.dir=sweep")
    assert run_command("lm.train", "-m", "cell=glob(rnn_*)", "seed=1,1", *tiny, *options) == 0
    assert finished(tmp_path / "sweep").keys() == {"rnn_relu/0", "rnn_tanh/1"}
    assert "seed= has equal values: the sweep trains each of 1 once" in capfd.readouterr().out
    assert "run 1 of 2: 0" in (tmp_path / "sweep" / "rnn_relu" / "0" / "train.log").read_text()
    assert "run 2 of 2: 1" in (tmp_path / "sweep" / "rnn_tanh" / "1" / "train.log").read_text()
    assert "rnn_tanh" in (tmp_path / "sweep" / "report.md").read_text()


PLUGIN = r'''
import re
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

class OwnSweeper(BasicSweeper):
    """Chooses the end of each interval."""

    def sweep(self, arguments):
        return super().sweep([re.sub(r"interval\(.*,(.*)\)", r"\1", argument) for argument in arguments])

node = {"_target_": "hydra_plugins.own.OwnSweeper", "max_batch_size": None, "params": None}
ConfigStore.instance().store(group="hydra/sweeper", name="own", node=node)
'''


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_globs_and_intervals_are_swept_by_a_plugin_of_the_user(tiny, tmp_path, launcher):
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "own.py").write_text(PLUGIN)
    swept = ("cell=glob(rnn_*)", "dropout=interval(0,0.5)", "hydra/sweeper=own", f"hydra/launcher={launcher}")
    process = start("-m", *swept, *tiny, f"hydra.sweep.dir={tmp_path / 'sweep'}", PYTHONPATH=str(tmp_path))
    output = process.communicate()
    assert process.returncode == 0, output
    assert "training runs in " in output  # how many is the sweeper's choice
    assert finished(tmp_path / "sweep").keys() == {f"cell={cell},dropout=0.5" for cell in ("rnn_relu", "rnn_tanh")}


def test_a_sweep_that_is_refused_leaves_nothing(run_command, tiny, tmp_path, capfd):
    assert run_command("lm.train", "-m", *tiny, "seed=1,2", "trainer.devices=2") == 1
    assert capfd.readouterr().err.startswith("error: expected one device for each run of a sweep")
    assert not list(tmp_path.iterdir())
