"""Runs that stop early: when, with which results, and what a second command does."""

import signal

import pytest
import torch

import lm.sweeps.training_job
from lm.run_dir import RunDir
from lm.training.early_stopping import StopWithoutImprovement
from tests.interruptions import assert_same, send

pytestmark = pytest.mark.usefixtures("terminal_signals")

# With this learning rate the validation perplexity of the toy English also rises, and the run does not diverge.
STOPS = ("epochs=12", "optimizer=adamw", "lr=0.05", "lr_decay_factor=1", "patience=2", "cell=gru", "dropout=0")


def expected_epochs(values, patience):
    """Return the number of epochs after which no better value came for `patience` epochs."""
    for epoch in range(len(values)):
        if epoch >= patience and min(values[epoch - patience + 1 : epoch + 1]) >= min(values[: epoch - patience + 1]):
            return epoch + 1
    return len(values)


def test_a_run_stops_after_so_many_validations_without_a_better_perplexity_and_is_finished(
    run_command, small, tmp_path, capsys
):
    for _ in range(2):
        assert run_command("lm.train", *small, *STOPS, "hydra.run.dir=early") == 0
    assert "finished already" in capsys.readouterr().out
    assert run_command("lm.train", *small, *STOPS, "patience=null", "hydra.run.dir=whole") == 0
    early, whole = RunDir(tmp_path / "early"), RunDir(tmp_path / "whole")
    values = [row["valid_ppl"] for row in whole.epochs]
    expected = expected_epochs(values, 2)
    assert 2 < expected < 12
    assert [row["valid_ppl"] for row in early.epochs] == values[:expected]
    assert (early.results["epochs"], early.results["stopped_early"]) == (expected, True)
    assert (whole.results["epochs"], whole.results["stopped_early"]) == (12, False)
    assert early.results["best_epoch"] == 1 + values.index(min(values[:expected]))


def test_a_run_that_was_interrupted_after_it_stopped_early_trains_no_further_epoch(
    run_command, small, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(lm.sweeps.training_job, "final_results", lambda *_: send(signal.SIGTERM)(None))
        assert run_command("lm.train", *small, *STOPS, "hydra.run.dir=stopped") == 143
    assert run_command("lm.train", "resume=stopped") == 0
    assert run_command("lm.train", *small, *STOPS, "hydra.run.dir=whole") == 0
    assert_same(RunDir(tmp_path / "stopped"), RunDir(tmp_path / "whole"))


def test_the_wait_is_part_of_the_state():
    callback, restored = StopWithoutImprovement(3), StopWithoutImprovement(3)
    callback.wait_count = 2
    restored.load_state_dict(callback.state_dict())
    assert (restored.wait_count, restored.stopped) == (2, False)


@pytest.mark.parametrize("values", [[5.0, 4.0, 4.0, 4.0, 3.0], [5.0, 6.0, 5.5, 4.0], [5.0, 4.0, 4.5, 3.0, 3.5, 3.2]])
def test_an_equal_perplexity_is_no_better_one(values):
    callback, epochs = StopWithoutImprovement(2), 0
    for value in values:
        epochs += 1
        if callback._evaluate_stopping_criteria(torch.tensor(value))[0]:
            break
    assert epochs == expected_epochs(values, 2)
    assert callback.stopped
