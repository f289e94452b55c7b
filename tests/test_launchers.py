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

from tests.interruptions import untimed
from tests.processes import run_of, start, statuses, wait_for_file

MASKS = ("dropout=0.25", "dropout_type=locked", "embedding_dropout=0.1", "weight_dropout=0.3")
WINDOWS = ("random_seq_len=true", "partial_shuffle=true", "temporal_penalty=1", "max_grad_norm=0.5")
GRID = ("cell=lstm,gru", *MASKS, *WINDOWS, "num_threads=1")


LONG = "epochs=15"
"""Long enough to be stopped."""


@pytest.fixture(scope="module")
def sequential(tmp_path_factory, corpus_folder):
    """The grid's sweep, one run after the other."""
    return swept(tmp_path_factory.mktemp("sweeps") / "short", *overrides_of(corpus_folder))


@pytest.fixture(scope="module")
def long_sequential(tmp_path_factory, corpus_folder):
    return swept(tmp_path_factory.mktemp("sweeps") / "long", *overrides_of(corpus_folder), LONG)


def swept(sweep, *overrides):
    process = start(*overrides, f"hydra.sweep.dir={sweep}")
    output = process.communicate()
    assert process.returncode == 0, output
    return sweep


def overrides_of(corpus_folder):
    data = ("data=text", f"data.dir={corpus_folder}")
    return ("-m", *GRID, *data, "epochs=3", "hidden_size=16", "batch_size=4", "seq_len=10", "trainer.accelerator=cpu")


def assert_same(sweep, other):
    """All but the times of each run is equal to the last bit."""
    for cell in ("lstm", "gru"):
        run, expected = (run_of(folder, f"cell={cell}") for folder in (sweep, other))
        for name in ("best", "last"):
            weights, same = (each.checkpoint(name)["state_dict"] for each in (run, expected))
            assert all(torch.equal(weights[key], same[key]) for key in same)
        assert untimed(run.epochs) == untimed(expected.epochs)
        assert run.results["best"] == expected.results["best"]


def test_results_are_those_of_runs_one_after_the_other(sequential, corpus_folder, tmp_path):
    sweep = tmp_path / "a folder, of=words"
    process = start(*overrides_of(corpus_folder), "hydra/launcher=local", f"hydra.sweep.dir='{sweep}'")
    output = process.communicate()
    assert process.returncode == 0, output
    assert_same(sweep, sequential)
    assert (sweep / "table.csv").read_text() == (sequential / "table.csv").read_text()


@pytest.mark.parametrize("launcher", ["basic", "local", "gpus"])
def test_ctrl_c_stops_all_runs_with_a_checkpoint_and_they_resume_exactly(
    long_sequential, corpus_folder, tmp_path, launcher
):
    overrides, sweep = (*overrides_of(corpus_folder), LONG, f"hydra/launcher={launcher}"), tmp_path / "sweep"
    process = start(*overrides, f"hydra.sweep.dir={sweep}")
    wait_for_file(process, sweep, "cell=lstm*/checkpoints/last.ckpt")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
    output = process.communicate()
    assert process.returncode == 128 + signal.SIGINT, output
    assert "\nSIGINT: the runs stop; those that train write a checkpoint first\n" in output
    assert "Traceback" not in output
    assert statuses(sweep)["cell=lstm"] == "interrupted", output
    assert set(statuses(sweep).values()) <= {"interrupted", "not started"}
    assert ("run 2 of 2" in output) == (statuses(sweep)["cell=gru"] == "interrupted")
    assert "To resume, type python -m lm.train -m " in output
    assert not (sweep / ".stop").exists()
    assert (launcher == "gpus") == ("no GPU found here: " in output)
    assert_same(swept(sweep, *overrides), long_sequential)
    assert (sweep / "table.csv").read_text() == (long_sequential / "table.csv").read_text()


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_ctrl_c_in_the_first_seconds_of_a_sweep_leaves_every_run_with_a_status(corpus_folder, tmp_path, launcher):
    sweep = tmp_path / "sweep"
    process = start(*overrides_of(corpus_folder), f"hydra/launcher={launcher}", f"hydra.sweep.dir={sweep}")
    wait_for_file(process, sweep, "cell=lstm/.hydra/overrides.yaml")
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate()
    assert process.returncode == 128 + signal.SIGINT, output
    assert set(statuses(sweep).values()) <= {"not started", "interrupted"}, output  # some machines start it at once
    assert "Traceback" not in output
    assert not (sweep / ".stop").exists()


def test_a_cluster_of_two_nodes_trains_on_both(sequential, corpus_folder, tmp_path):
    """Each node has one core and a cache of its own, so that each leaves a trace."""
    cluster = subprocess.Popen(
        [sys.executable, "-m", "tests.ray_cluster", str(tmp_path)],
        cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = cluster.stdout.readline().strip()
        sweep = tmp_path / "sweep"
        overrides = (*overrides_of(corpus_folder), "hydra/launcher=cluster", "gpus_per_run=0")
        process = start(*overrides, f"hydra.launcher.ray.init.address={address}", f"hydra.sweep.dir={sweep}")
        output = process.communicate()
    finally:
        cluster.communicate("end\n")
    assert process.returncode == 0, output
    assert_same(sweep, sequential)
    for node in ("head", "worker"):
        assert list((tmp_path / node / "corpora").iterdir())


def test_slurm_gets_a_job_with_a_gpu_for_each_run_and_queues_it_again(corpus_folder, tmp_path):
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
    overrides = ("hydra/launcher=slurm", "hydra.launcher.partition=gpu", f"hydra.sweep.dir={sweep}")
    process = start(*overrides_of(corpus_folder), *overrides, PATH=path, TAKEN=str(taken))
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


def test_a_wrong_number_of_runs_at_a_time_is_one_sentence(run_command, small, capsys):
    words = ("-m", "cell=lstm,gru", *small, "hydra/launcher=local", "hydra.launcher.n_jobs=0")
    assert run_command("lm.train", *words) == 1
    error = capsys.readouterr().err.strip()
    assert error == (
        "error: expected hydra.launcher.n_jobs to be a whole number of at least 1 or null, found 0: "
        "type hydra.launcher.n_jobs=2"
    )


@pytest.mark.parametrize(
    ("launcher", "plugin", "extra"),
    [
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
