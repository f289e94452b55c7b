"""Runs that are really killed in the middle of an epoch, and go on as if nothing had happened."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import lm.sweeps.training_job
from lm.generation.log_samples import LogSamples
from lm.run_dir import RunDir

TIMES = ("seconds", "tokens_per_second")


def start(folder, words, checkpoint_every_minutes=1e-9):
    """Start a run in a process of its own that writes a checkpoint after every step, or so many minutes."""
    options = (f"hydra.run.dir={folder}", f"checkpoint_every_minutes={checkpoint_every_minutes}")
    command = [sys.executable, "-m", "lm.train", *words, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    root = Path(__file__).parents[1]
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_epochs(process, run, epochs):
    """Wait until so many epochs are written, and a little longer: then the process is within the next one."""
    deadline = time.monotonic() + 300
    while not run.epochs_path.is_file() or len(run.epochs) < epochs:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.05)


def untimed(rows):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def assert_same(run, reference):
    """All but the times is equal to the last bit."""
    for name in ("best", "last"):
        found, expected = (each.checkpoint(name)["state_dict"] for each in (run, reference))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in found)
    assert untimed(run.epochs) == untimed(reference.epochs)
    found, expected = ({k: v for k, v in each.results.items() if k not in TIMES} for each in (run, reference))
    assert found == expected


@pytest.mark.parametrize(
    ("cell", "number"),
    [("lstm", signal.SIGKILL), ("gru", signal.SIGKILL), ("lstm", signal.SIGINT), ("gru", signal.SIGTERM)],
)
def test_a_killed_run_ends_as_if_it_had_not_been(run_command, small, tmp_path, monkeypatch, cell, number):
    words = (*small, f"cell={cell}", "dropout=0.25", "epochs=12", "num_threads=1")
    threads = torch.get_num_threads()
    run, reference = RunDir(tmp_path / "killed"), RunDir(tmp_path / "whole")
    process = start(run.folder, words)
    wait_for_epochs(process, run, 3)
    process.send_signal(number)
    output = process.communicate()[0]
    assert process.returncode != 0
    assert not re.search("weights_only|available", output)  # what Lightning says of itself
    assert 3 <= len(run.epochs) < 12
    if number != signal.SIGKILL:
        assert run.results["status"] == "interrupted"
        assert f"python -m lm.train resume='{run.folder}'" in output
    try:
        assert run_command("lm.train", f"resume={run.folder}") == 0
        assert run_command("lm.train", *words, f"hydra.run.dir={reference.folder}") == 0
    finally:
        torch.set_num_threads(threads)
    assert_same(run, reference)


def signal_at(step):
    """Return a callback that sends this process SIGTERM during a step, counted from 1."""

    class SignalAt(LogSamples):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == step - 1:
                os.kill(os.getpid(), signal.SIGTERM)

    return SignalAt


@pytest.mark.parametrize("step", [1, 25, 49, 50, 51, 149, 150])
def test_it_does_not_matter_at_which_of_fifty_steps_an_epoch_is_left(run_command, small, tmp_path, monkeypatch, step):
    words = (*small, "cell=gru", "dropout=0.25", "epochs=3")
    with monkeypatch.context() as patch:
        patch.setattr(lm.sweeps.training_job, "LogSamples", signal_at(step))
        assert run_command("lm.train", *words, "hydra.run.dir=stopped") == 1
    run, reference = RunDir(tmp_path / "stopped"), RunDir(tmp_path / "whole")
    assert run.checkpoint("last")["global_step"] == step
    assert run_command("lm.train", "resume=stopped") == 0
    assert run_command("lm.train", *words, "hydra.run.dir=whole") == 0
    assert_same(run, reference)


def test_a_folder_that_is_no_run_is_not_resumed(run_command, tmp_path, capsys):
    assert run_command("lm.train", "resume=nowhere") == 1
    assert capsys.readouterr().err.startswith(
        "error: expected a run folder with checkpoints/last.ckpt, found none in 'nowhere': type the folder of a run"
    )
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_not_trained_again(run_command, small, tmp_path):
    run_command("lm.train", *small, "hydra.run.dir=run")
    before = (tmp_path / "run" / "results.json").stat().st_mtime_ns
    assert run_command("lm.train", "resume=run") == 0
    assert (tmp_path / "run" / "results.json").stat().st_mtime_ns == before


def test_a_run_can_be_given_more_epochs_but_no_other_cell(run_command, small, tmp_path, capsys):
    run_command("lm.train", *small, "hydra.run.dir=run")
    assert run_command("lm.train", "resume=run", "epochs=3") == 0
    assert len(RunDir(tmp_path / "run").epochs) == 3
    assert run_command("lm.train", "resume=run", "epochs=2") == 1
    assert run_command("lm.train", "resume=run", "cell=gru") == 1
    assert "expected options of the run to go on, found cell=" in capsys.readouterr().err


def test_a_run_given_more_epochs_goes_on_to_them_without_being_told_again(
    run_command, small, tmp_path, monkeypatch, capsys
):
    run_command("lm.train", *small, "epochs=1", "hydra.run.dir=run")
    with monkeypatch.context() as patch:
        patch.setattr(lm.sweeps.training_job, "LogSamples", signal_at(step=60))  # of fifty in an epoch
        assert run_command("lm.train", "resume=run", "epochs=3") == 1
    run = RunDir(tmp_path / "run")
    assert (len(run.epochs), run.saved_config().epochs) == (1, 3)
    # The second epoch has begun: its weights are not those of one epoch.
    assert run_command("lm.train", "resume=run", "epochs=1") == 1
    assert f"expected epochs=3 as '{run.folder}' was trained with, found 1" in capsys.readouterr().err
    assert run_command("lm.train", "resume=run") == 0
    assert (len(run.epochs), run.results["epochs"]) == (3, 3)


def test_a_run_whose_folder_was_moved_keeps_its_best_weights(run_command, small, tmp_path):
    words = (*small, "lr=0.5", "epochs_at_full_rate=1", "lr_decay_factor=0.01")  # the first epoch is the best
    run_command("lm.train", *words, "epochs=2", "hydra.run.dir=run")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert run_command("lm.train", "resume=moved", "epochs=3") == 0
    assert run_command("lm.train", *words, "epochs=3", "hydra.run.dir=whole") == 0
    moved, whole = RunDir(tmp_path / "moved"), RunDir(tmp_path / "whole")
    assert moved.results["best_epoch"] == 1
    assert moved.results["best"] == whole.results["best"]
    assert_same(moved, whole)


def test_a_sweep_started_again_skips_resumes_and_runs_what_is_missing(run_command, small, tmp_path):
    words = ("-m", *small, "hydra.sweep.dir=sweep")
    run_command("lm.train", *words, "seed=1,2")
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").glob("*/results.json")}
    broken_off = next(path for path in finished if "seed=2" in str(path))
    broken_off.unlink()
    assert run_command("lm.train", *words, "seed=1,2,3") == 0
    untouched = [path for path, changed in finished.items() if path.stat().st_mtime_ns == changed]
    assert [path.parent.name[-6:] for path in untouched] == ["seed=1"]
    with (tmp_path / "sweep" / "table.csv").open() as file:
        assert next(csv.DictReader(file))["seeds"] == "3"


def left_by(sweep):
    """Return all that matters of a sweep's runs."""
    return {path: path.read_bytes() for path in sweep.glob("*/*") if path.suffix in (".json", ".csv")} | {
        path: path.read_bytes() for path in (*sweep.glob("*/checkpoints/*"), *sweep.glob("*/.hydra/*"))
    }


def test_a_sweep_of_another_configuration_is_refused_and_left_as_it_was(run_command, small, tmp_path, capsys):
    words = ("-m", "seed=1,2", *small, "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *words) == 0
    before = left_by(tmp_path / "sweep")
    assert run_command("lm.train", *words, "lr=0.5") == 1
    refusal = capsys.readouterr().err
    assert refusal.startswith("error: expected no lr= as '")
    assert "found 0.5: leave it out, or another hydra.sweep.dir=" in refusal
    assert left_by(tmp_path / "sweep") == before


def test_a_sweep_of_another_corpus_is_refused_and_left_as_it_was(run_command, small, corpus_folder, tmp_path, capsys):
    words = ("-m", "seed=1,2", *small, "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *words) == 0
    before = left_by(tmp_path / "sweep")
    other = shutil.copytree(corpus_folder, tmp_path / "other")
    (other / "test.txt").write_text("ada sees alan\n" * 20)
    assert run_command("lm.train", *words, f"data.dir={other}") == 1
    assert "error: expected the corpus text (" in capsys.readouterr().err
    assert left_by(tmp_path / "sweep") == before


def test_a_run_that_diverges_stops_and_says_what_to_try(run_command, small, tmp_path, capsys):
    assert run_command("lm.train", *small, "cell=rnn_relu", "lr=1e6", "max_grad_norm=1e9", "hydra.run.dir=run") == 1
    error = capsys.readouterr().err
    assert "expected a finite loss, found" in error
    assert "type lr=500000" in error
    assert RunDir(tmp_path / "run").results["status"] == "diverged"
