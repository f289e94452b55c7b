"""Runs that are interrupted at any time, and resume as if nothing had happened."""

import csv
import os
import re
import shutil
import signal

import pytest
import torch
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

import lm.sweeps.training_job
import lm.training.trainer
from lm.generation.log_samples import LogSamples
from lm.run_dir import RunDir
from lm.training.checkpointing import LastCheckpoint
from tests.interruptions import assert_same, at_step, send, start_run, wait_for_epochs

pytestmark = pytest.mark.usefixtures("terminal_signals")


@pytest.fixture(scope="module")
def trained_runs():
    """The runs that `whole` has trained, by the words of their commands."""
    return {}


@pytest.fixture
def whole(run_command, tmp_path_factory, trained_runs):
    """Return a function that trains a run without an interruption, once for all tests that only read it."""

    def train(*words):
        if words not in trained_runs:
            folder = tmp_path_factory.mktemp("whole") / "run"
            assert run_command("lm.train", *words, f"hydra.run.dir={folder}") == 0
            trained_runs[words] = RunDir(folder)
        return trained_runs[words]

    return train


@pytest.fixture
def finished(whole, small, tmp_path):
    """A finished run of its own for a test, in the folder `run`."""
    return RunDir(shutil.copytree(whole(*small).folder, tmp_path / "run"))


@pytest.mark.parametrize(
    ("cell", "number"),
    [("lstm", signal.SIGKILL), ("gru", signal.SIGKILL), ("lstm", signal.SIGINT), ("gru", signal.SIGTERM)],
)
def test_a_killed_run_ends_as_if_it_had_not_been(run_command, whole, small, tmp_path, cell, number):
    words = (*small, f"cell={cell}", "dropout=0.25", "epochs=6", "num_threads=1")
    threads = torch.get_num_threads()
    run = RunDir(tmp_path / "killed")
    process = start_run(run.folder, words)
    wait_for_epochs(process, run, 1)
    process.send_signal(number)
    output = process.communicate()
    assert process.returncode != 0
    assert not re.search("weights_only|available", output)  # messages of Lightning
    assert 1 <= len(run.epochs) < 6
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert run.results["status"] == "interrupted"
        assert f"\nstopped by {number.name}; to resume, type: python -m lm.train resume={run.folder}" in output
    try:
        assert run_command("lm.train", f"resume={run.folder}") == 0
        assert_same(run, whole(*words))
    finally:
        torch.set_num_threads(threads)


def expire(trainer):
    """Let the time limit be over."""
    [callback] = [callback for callback in trainer.callbacks if isinstance(callback, LastCheckpoint)]
    callback._deadline = 0


def set_should_stop(trainer):
    trainer.should_stop = True


def crash(trainer):
    raise RuntimeError("a bug")


@pytest.fixture
def train_until(run_command, monkeypatch):
    """Return a function that trains as `run_command`, with an action during a step, and returns the exit status."""

    def train(step, action, *words):
        with monkeypatch.context() as patch:
            patch.setattr(lm.sweeps.training_job, "LogSamples", at_step(step, action))
            return run_command("lm.train", *words)

    return train


@pytest.mark.parametrize("step", [1, 49, 50, 51, 150])
def test_a_run_can_stop_at_any_of_fifty_steps_of_an_epoch(run_command, train_until, whole, small, tmp_path, step):
    words = (*small, "cell=gru", "dropout=0.25", "epochs=3")
    assert train_until(step, send(signal.SIGTERM), *words, "hydra.run.dir=stopped") == 143
    run = RunDir(tmp_path / "stopped")
    assert run.checkpoint("last")["global_step"] == step
    assert run_command("lm.train", "resume=stopped") == 0
    assert_same(run, whole(*words))


REGULARISED = (
    "dropout_type=locked", "embedding_dropout=0.1", "weight_dropout=0.3", "activation_penalty=2", "temporal_penalty=1",
)  # fmt: skip
WINDOWS = ("seq_len=10", "random_seq_len=true", "partial_shuffle=true")
NOISY = ("cell=gru", "dropout=0", "lr=1")
"""Validation rises after the second and the fourth epoch."""

RECIPES = {
    "streams": (*REGULARISED, "cell=mogrifier_lstm", "tie_weights=true", "embedding_size=12"),
    "windows": (*WINDOWS, "epochs=4", "optimizer=adamw", "cell=min_lstm"),
    "sentences": (*REGULARISED, "cell=gru", "data.batching=sentences"),
    "adamw": ("optimizer=adamw", "weight_decay=0.01", "schedule=cosine", "cell=gru"),
    "ema": ("averaging=ema", "averaging.decay=0.9", "tie_weights=true", "schedule=one_cycle"),
    "nt_asgd": ("averaging=nt_asgd", "averaging.patience=1", *NOISY, "lr_decay_factor=1", "epochs=6"),
    "plateau": ("schedule=plateau", *NOISY, "epochs=5"),
    "asgd": ("optimizer=asgd", "optimizer.lambd=0.01", "cell=rnn_tanh", "softmax=adaptive", "cutoffs=[4,8]"),
    "rmsprop": ("optimizer=rmsprop", "data.batching=sentences", "softmax=adaptive"),
}


@pytest.mark.parametrize(
    ("recipe", "step"),
    [
        ("adamw", 30), ("adamw", 100), ("ema", 75), ("nt_asgd", 275), ("plateau", 200), ("plateau", 225), ("asgd", 75),
        ("rmsprop", 30), ("streams", 30), ("windows", 75), ("sentences", 75),
    ],
)  # fmt: skip
def test_a_run_of_any_recipe_resumes_exactly_where_it_stopped(
    run_command, train_until, whole, small, tmp_path, recipe, step
):
    words = (*small, *RECIPES[recipe])
    if "data.batching=sentences" in words:  # which read no sequence length
        words = tuple(word for word in words if not word.startswith("seq_len="))
    assert train_until(step, send(signal.SIGTERM), *words, "hydra.run.dir=stopped") == 143
    run = RunDir(tmp_path / "stopped")
    assert run.checkpoint("last")["global_step"] == step
    assert ("trained_weights" in run.checkpoint("last")) == (recipe in ("ema", "nt_asgd", "asgd"))
    assert run_command("lm.train", "resume=stopped") == 0
    assert_same(run, whole(*words))


def test_a_schedule_that_ends_with_the_last_epoch_is_not_resumed_with_more_epochs(run_command, small, capsys):
    words = (*small, "schedule=cosine", "hydra.run.dir=run")
    assert run_command("lm.train", *words) == 0
    assert run_command("lm.train", "resume=run", "epochs=3") == 1
    assert "was trained, found 3: type epochs=2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("action", "reason", "status"),
    [
        (expire, "trainer.max_time", 1),
        (set_should_stop, "a callback", 1),
        (send(signal.SIGINT), "SIGINT", 130),
        (send(signal.SIGHUP), "SIGHUP", 129),
        (send(signal.SIGUSR1), "SIGUSR1", 138),
    ],
    ids=["max_time", "callback", "SIGINT", "SIGHUP", "SIGUSR1"],
)
def test_whatever_stops_training_within_an_epoch_it_resumes_exactly_there(
    run_command, train_until, whole, small, tmp_path, capsys, action, reason, status
):
    words = (*small, "trainer.max_time=00:10:00:00")
    assert train_until(60, action, *words, "hydra.run.dir=stopped") == status
    run = RunDir(tmp_path / "stopped")
    assert run.results == {"status": "interrupted", "error": f"stopped by {reason}"}
    assert f"stopped by {reason}; to resume, type: python -m lm.train resume=" in capsys.readouterr().err
    assert len(run.epochs) == 1
    assert run_command("lm.train", "resume=stopped") == 0
    assert "resuming from epoch 2, step 10 of 50\n" in capsys.readouterr().out
    assert_same(run, whole(*words))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_steps_stops_the_run_after_the_next_step(
    run_command, small, tmp_path, monkeypatch, number
):
    class SignalAfterStep60(LastCheckpoint):
        def on_train_batch_end(self, trainer, *arguments):
            super().on_train_batch_end(trainer, *arguments)
            if trainer.global_step == 60:
                os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(lm.training.trainer, "LastCheckpoint", SignalAfterStep60)
        assert run_command("lm.train", *small, "hydra.run.dir=stopped") == 128 + number
    run = RunDir(tmp_path / "stopped")
    assert run.results == {"status": "interrupted", "error": f"stopped by {number.name}"}
    assert run.checkpoint("last")["global_step"] == 61


def test_a_second_ctrl_c_ends_the_process_at_once(train_until, small, tmp_path):
    def interrupt_twice(trainer):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    assert train_until(60, interrupt_twice, *small, "hydra.run.dir=stopped") == 130
    assert RunDir(tmp_path / "stopped").checkpoint("last")["global_step"] == 50


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_final_evaluation_interrupts_the_run(
    run_command, small, tmp_path, monkeypatch, capsys, number
):
    with monkeypatch.context() as patch:
        patch.setattr(lm.sweeps.training_job, "final_results", lambda *_: os.kill(os.getpid(), number))
        assert run_command("lm.train", *small, "hydra.run.dir=run") == 128 + number
    run = RunDir(tmp_path / "run")
    assert run.results["status"] == "interrupted"
    assert f"stopped by {number.name}; to resume, type: python -m lm.train resume=" in capsys.readouterr().err
    assert run_command("lm.train", "resume=run") == 0
    assert RunDir(tmp_path / "run").finished


def steps_in_tensorboard(run, tag):
    """Return the x values of a curve as TensorBoard shows it."""
    return [event.step for event in EventAccumulator(str(run.folder)).Reload().Tensors(tag)]


def test_a_crash_is_recorded_without_tensorboard_too(train_until, small, tmp_path):
    with pytest.raises(RuntimeError, match="a bug"):
        train_until(75, crash, *small, "logger=[]", "hydra.run.dir=run")
    assert RunDir(tmp_path / "run").results == {"status": "failed", "error": "RuntimeError: a bug"}


def test_a_crash_is_recorded_and_its_steps_are_not_twice_in_tensorboard(run_command, train_until, small, tmp_path):
    with pytest.raises(RuntimeError, match="a bug"):
        train_until(75, crash, *small, "hydra.run.dir=run")
    run = RunDir(tmp_path / "run")
    assert run.results == {"status": "failed", "error": "RuntimeError: a bug"}
    assert "ERROR failed: RuntimeError: a bug" in (run.folder / "train.log").read_text()
    assert run.checkpoint("last")["global_step"] == 50
    names = ("checkpoints/.last.ckpt.abcd1234", ".epochs.csv.abcd1234", ".hydra/.config.yaml.abcd1234")
    temporary = [run.folder / name for name in names]
    for path in temporary:
        path.write_bytes(b"of a killed process")
    assert run_command("lm.train", "resume=run") == 0
    assert steps_in_tensorboard(run, "loss/train") == list(range(5, 101, 5))
    assert not any(path.exists() for path in temporary)


def test_an_epoch_is_once_in_tensorboard_if_the_run_is_killed_before_its_checkpoint(
    run_command, monkeypatch, small, tmp_path
):
    class AfterRow(LogSamples):  # is called between `EpochLog` and `LastCheckpoint`
        def on_train_epoch_end(self, trainer, pl_module):
            super().on_train_epoch_end(trainer, pl_module)
            if trainer.current_epoch == 1:
                crash(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(lm.sweeps.training_job, "LogSamples", AfterRow)
        with pytest.raises(RuntimeError, match="a bug"):
            run_command("lm.train", *small, "hydra.run.dir=run")
    run = RunDir(tmp_path / "run")
    assert (len(run.epochs), run.checkpoint("last")["global_step"]) == (2, 50)
    assert run_command("lm.train", "resume=run") == 0
    assert steps_in_tensorboard(run, "perplexity/valid") == [50, 100]
    assert steps_in_tensorboard(run, "samples/text_summary") == [50, 100]


def test_a_run_that_resumes_within_its_last_epoch_validates_it(run_command, train_until, small, tmp_path):
    words = (*small, "+trainer.check_val_every_n_epoch=5", "hydra.run.dir=run")
    assert train_until(75, send(signal.SIGTERM), *words) == 143  # of fifty steps in an epoch
    assert run_command("lm.train", "resume=run") == 0
    run = RunDir(tmp_path / "run")
    assert ["valid_ppl" in row for row in run.epochs] == [False, True]
    assert run.results["best_epoch"] == 2


def test_a_checkpoint_that_training_cannot_resume_from_leaves_the_results(run_command, finished, capsys):
    run = finished
    before, checkpoint = run.results_path.read_bytes(), run.checkpoint("last")
    del checkpoint["optimizer_states"]
    torch.save(checkpoint, run.last)
    assert run_command("lm.train", "resume=run", "epochs=3") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: expected everything that training needs to resume in '{run.last}', found ")
    assert error.count("\n") == 1
    assert run.results_path.read_bytes() == before
    assert run.saved_config().epochs == 2


def test_a_finished_run_is_said_to_be_finished_where_nothing_can_be_written(run_command, finished, capsys):
    (finished.folder / "train.log").unlink()
    (finished.folder / "train.log").mkdir()  # so that opening it fails, as on a read-only disk
    capsys.readouterr()
    assert run_command("lm.train", "resume=run") == 0
    shown = capsys.readouterr()
    assert "finished already: " in shown.out
    assert shown.err == ""


def test_a_folder_that_is_no_run_is_not_resumed(run_command, tmp_path, capsys):
    assert run_command("lm.train", "resume=nowhere") == 1
    assert capsys.readouterr().err.startswith(
        "error: expected a run folder with checkpoints/last.ckpt, found none in 'nowhere': type the folder of a run"
    )
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_not_trained_again(run_command, finished):
    before = finished.results_path.stat().st_mtime_ns
    assert run_command("lm.train", "resume=run") == 0
    assert finished.results_path.stat().st_mtime_ns == before


def test_a_run_can_be_given_more_epochs_but_no_other_cell(run_command, finished, capsys):
    assert run_command("lm.train", "resume=run", "epochs=3") == 0
    assert len(finished.epochs) == 3
    assert run_command("lm.train", "resume=run", "epochs=2") == 1
    assert run_command("lm.train", "resume=run", "cell=gru") == 1
    assert "expected cell=lstm, with which 'run' was trained, found gru: type cell=lstm" in capsys.readouterr().err


def test_a_run_given_more_epochs_resumes_to_them_without_typing_them_again(
    run_command, train_until, small, tmp_path, capsys
):
    run_command("lm.train", *small, "epochs=1", "hydra.run.dir=run")
    assert train_until(60, send(signal.SIGTERM), "resume=run", "epochs=3") == 143  # of fifty steps in an epoch
    run = RunDir(tmp_path / "run")
    assert (len(run.epochs), run.saved_config().epochs) == (1, 3)
    # The second epoch has begun: its weights are not those of one epoch.
    assert run_command("lm.train", "resume=run", "epochs=1") == 1
    assert f"expected epochs=3, with which '{run.folder}' was trained, found 1" in capsys.readouterr().err
    assert run_command("lm.train", "resume=run") == 0
    assert (len(run.epochs), run.results["epochs"]) == (3, 3)


def test_a_run_whose_folder_was_moved_keeps_its_best_weights(run_command, small, tmp_path):
    words = (*small, "lr=0.5", "epochs_at_full_rate=1", "lr_decay_factor=0.6")  # the first epoch is the best
    run_command("lm.train", *words, "epochs=2", "hydra.run.dir=run")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert run_command("lm.train", "resume=moved", "epochs=3") == 0
    assert run_command("lm.train", *words, "epochs=3", "hydra.run.dir=whole") == 0
    moved, whole = RunDir(tmp_path / "moved"), RunDir(tmp_path / "whole")
    assert moved.results["best_epoch"] == 1
    assert moved.results["best"] == whole.results["best"]
    assert_same(moved, whole)


def test_a_sweep_started_again_skips_resumes_and_runs_what_is_missing(run_command, tiny, tmp_path):
    words = ("-m", *tiny, "hydra.sweep.dir=sweep")
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


def test_a_sweep_of_another_configuration_is_refused_and_left_as_it_was(run_command, tiny, tmp_path, capsys):
    words = ("-m", "seed=1,2", *tiny, "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *words) == 0
    before = left_by(tmp_path / "sweep")
    assert run_command("lm.train", *words, "lr=0.5") == 1
    refusal = capsys.readouterr().err
    assert refusal.startswith("error: expected no lr=, with which '")
    assert "found 0.5: leave it out, or another hydra.sweep.dir=" in refusal
    assert left_by(tmp_path / "sweep") == before


def test_a_sweep_of_another_corpus_is_refused_and_left_as_it_was(run_command, tiny, corpus_folder, tmp_path, capsys):
    words = ("-m", "seed=1,2", *tiny, "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *words) == 0
    before = left_by(tmp_path / "sweep")
    other = shutil.copytree(corpus_folder, tmp_path / "other")
    (other / "test.txt").write_text("ada sees alan\n" * 20)
    assert run_command("lm.train", *words, f"data.dir={other}") == 1
    assert "error: expected the corpus text (" in capsys.readouterr().err
    assert left_by(tmp_path / "sweep") == before


def test_a_run_that_diverges_stops_and_says_what_to_try(run_command, small, tmp_path, capsys):
    assert run_command("lm.train", *small, "cell=rnn_relu", "lr=1e5", "max_grad_norm=1e9", "hydra.run.dir=run") == 1
    error = capsys.readouterr().err
    assert "expected a finite loss, found" in error
    assert "type lr=10000 or max_grad_norm=1e+08, or less if that diverges too" in error
    assert RunDir(tmp_path / "run").results["status"] == "diverged"
