"""The same sweep under every launcher: the same results, stopped and resumed alike."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from tests.processes import run_of, start, statuses, wait_for_file
from tests.test_resume import untimed

GRID = ("cell=lstm,gru", "dropout=0.25", "num_threads=1")


LONG = "epochs=15"
"""So that there is time to stop it."""


@pytest.fixture(scope="module")
def is_sequential(tmp_path_factory, corpus_folder):
    """The grid's sweep, one run after the other."""
    return swept(tmp_path_factory.mktemp("sweeps") / "short", *words_of(corpus_folder))


@pytest.fixture(scope="module")
def long_in_turn(tmp_path_factory, corpus_folder):
    return swept(tmp_path_factory.mktemp("sweeps") / "long", *words_of(corpus_folder), LONG)


def swept(sweep, *words):
    process = start(*words, f"hydra.sweep.dir={sweep}")
    told = process.communicate()[0]
    assert process.returncode == 0, told
    return sweep


def words_of(corpus_folder):
    data = ("data=text", f"data.dir={corpus_folder}")
    return ("-m", *GRID, *data, "epochs=3", "hidden_size=16", "batch_size=4", "seq_len=5", "trainer.accelerator=cpu")


def assert_same(sweep, other):
    """RunDir by run, all but the times is equal to the last bit."""
    for cell in ("lstm", "gru"):
        run, expected = (run_of(folder, f"cell={cell}") for folder in (sweep, other))
        for name in ("best", "last"):
            weights, same = (each.checkpoint(name)["state_dict"] for each in (run, expected))
            assert all(torch.equal(weights[key], same[key]) for key in same)
        assert untimed(run.epochs) == untimed(expected.epochs)
        assert run.results["best"] == expected.results["best"]


@pytest.mark.parametrize("launcher", ["local", "gpus"])
def test_results_are_those_of_runs_one_after_the_other(is_sequential, corpus_folder, tmp_path, launcher):
    sweep = tmp_path / "a folder, of=words"
    process = start(*words_of(corpus_folder), f"hydra/launcher={launcher}", f"hydra.sweep.dir='{sweep}'")
    told = process.communicate()[0]
    assert process.returncode == 0, told
    assert_same(sweep, is_sequential)
    assert (sweep / "table.csv").read_text() == (is_sequential / "table.csv").read_text()
    assert (launcher == "gpus") == ("no GPU found here: " in told)


@pytest.mark.parametrize("launcher", ["basic", "local", "gpus"])
def test_ctrl_c_stops_all_runs_with_a_checkpoint_and_the_sweep_goes_on_exactly(
    long_in_turn, corpus_folder, tmp_path, launcher
):
    words, sweep = (*words_of(corpus_folder), LONG, f"hydra/launcher={launcher}"), tmp_path / "sweep"
    process = start(*words, f"hydra.sweep.dir={sweep}")
    wait_for_file(process, sweep, "cell=lstm*/checkpoints/last.ckpt")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
    told = process.communicate()[0]
    assert process.returncode == 1, told
    assert "the runs stop, each with a checkpoint" in told, told
    assert "Traceback" not in told, told
    assert run_of(sweep, "cell=lstm").results["status"] == "interrupted", told
    assert "running or interrupted" not in told, told
    assert "finished" not in statuses(sweep).values(), told
    assert_same(swept(sweep, *words), long_in_turn)


def test_ctrl_c_while_a_worker_is_between_two_runs_ends_as_at_any_other_time(corpus_folder, tmp_path):
    """It is there when it writes the report, which takes longer than to start a run."""
    sweep = tmp_path / "sweep"
    process = start(*words_of(corpus_folder), "seed=1,2,3", "hydra/launcher=local", f"hydra.sweep.dir={sweep}")
    wait_for_file(process, sweep, "*/results.json")
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate()[0]
    assert process.returncode == 1, told
    assert "the runs stop, each with a checkpoint" in told, told
    assert "To resume, type the same again" in told, told


def test_a_cluster_of_two_nodes_trains_on_both(is_sequential, corpus_folder, tmp_path):
    """Each node has one core and a cache of its own, so that each leaves a trace."""
    cluster = subprocess.Popen(
        [sys.executable, "-m", "tests.ray_cluster", str(tmp_path)],
        cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = cluster.stdout.readline().strip()
        sweep = tmp_path / "sweep"
        words = (*words_of(corpus_folder), "hydra/launcher=cluster", "gpus_per_run=0")
        process = start(*words, f"hydra.launcher.ray.init.address={address}", f"hydra.sweep.dir={sweep}")
        told = process.communicate()[0]
    finally:
        cluster.communicate("end\n")
    assert process.returncode == 0, told
    assert_same(sweep, is_sequential)
    for node in ("head", "worker"):
        assert list((tmp_path / node / "corpora").iterdir())


def test_slurm_gets_a_job_for_each_run_with_a_gpu_a_time_and_a_way_back(corpus_folder, tmp_path):
    """There is no SLURM here: `sbatch` is a program that only takes the script."""
    for name, line in {
        "sbatch": 'cp "$1" $TAKEN; echo Submitted batch job 12',
        "srun": "true",
        "sacct": "true",
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    taken, sweep = tmp_path / "taken.sh", tmp_path / "sweep"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    words = ("hydra/launcher=slurm", "hydra.launcher.partition=gpu", f"hydra.sweep.dir={sweep}")
    process = start(*words_of(corpus_folder), *words, PATH=path, TAKEN=str(taken))
    wait_for_file(process, tmp_path, "taken.sh")
    while "srun" not in taken.read_text():
        assert process.poll() is None
    process.kill()  # it would wait for the jobs
    process.communicate()
    script = taken.read_text()
    for line in (
        "#SBATCH --array=0-1%2",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --time=240",
        "#SBATCH --requeue",
        "#SBATCH --partition=gpu",
        "#SBATCH --signal=USR2@120",
        "#SBATCH --job-name=train",
    ):
        assert line in script.splitlines()
    assert f"{sys.executable} -u -m submitit.core._submit" in script


@pytest.mark.parametrize(
    ("launcher", "plugin", "extra"),
    [
        ("local", "joblib", "local"),
        ("gpus", "ray", "ray"),
        ("cluster", "ray", "ray"),
        ("slurm", "submitit_slurm", "slurm"),
    ],
)
def test_a_launcher_whose_package_is_missing_says_what_to_install(
    run_command, small, monkeypatch, capsys, launcher, plugin, extra
):
    Plugins.instance()  # which register what they have
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], f"{plugin}.yaml")
    assert run_command("lm.train", "-m", *small, f"hydra/launcher={launcher}") == 1
    error = capsys.readouterr().err.strip()
    assert error == (
        f"error: expected the package of Hydra's launcher {plugin}, found none: type pip install -e '.[{extra}]'"
    )
