from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest

pytest.importorskip("optuna", reason="needs the extra search")

from lm.study import OVERRIDES, open_study
from lm.sweeps.pruning import TrialReport
from lm.training.lightning_module import LanguageModelModule
from lm.training.signals import Interrupted

ABOVE_100 = {"_target_": "optuna.pruners.ThresholdPruner", "upper": 100, "n_warmup_steps": 1}
OF_THE_TRIAL = ["lr=0.5", "seed=1"]


@pytest.fixture
def report(tmp_path):
    """The callback of a run whose trial is the second one that is running."""
    study = open_study(tmp_path)
    for overrides in (["lr=0.4"], OF_THE_TRIAL):
        study.ask().set_user_attr(OVERRIDES, overrides)
    return TrialReport(tmp_path, ["seed=1", "lr=0.50"], ABOVE_100)  # in another order, and as it may be typed


def end_epoch(report, number, valid_ppl, epochs=4):
    trainer = SimpleNamespace(current_epoch=number - 1, max_epochs=epochs, should_stop=False)
    module = create_autospec(LanguageModelModule, instance=True)
    module.validation_perplexity.return_value = valid_ppl
    report.on_train_epoch_end(trainer, module)
    return trainer.should_stop


def trial_in(folder):
    return open_study(folder).trials[1]


def test_each_epoch_is_reported_and_a_bad_one_stops_the_run(tmp_path, report):
    assert not end_epoch(report, 1, 300.0)  # pruners may start later
    assert not end_epoch(report, 2, 90.0)
    assert report.pruned == ""
    assert end_epoch(report, 3, 120.0)
    assert report.pruned == "validation perplexity 120.00 after epoch 3"
    assert trial_in(tmp_path).intermediate_values == {0: 300.0, 1: 90.0, 2: 120.0}


def test_the_last_epoch_is_not_pruned(report):
    assert not end_epoch(report, 4, 120.0)


def test_an_epoch_without_validation_is_not_reported(tmp_path, report):
    assert not end_epoch(report, 1, None)
    assert trial_in(tmp_path).intermediate_values == {}


def test_an_epoch_that_is_trained_again_after_a_kill_is_reported_once(tmp_path, report):
    end_epoch(report, 1, 90.0)
    again = TrialReport(tmp_path, OF_THE_TRIAL, ABOVE_100)
    end_epoch(again, 1, 90.0)
    assert end_epoch(again, 2, 120.0)


def test_a_run_that_was_killed_after_it_was_pruned_trains_no_further(tmp_path, report):
    report.on_train_start(None, None)
    end_epoch(report, 2, 120.0)
    with pytest.raises(Interrupted):
        TrialReport(tmp_path, OF_THE_TRIAL, ABOVE_100).on_train_start(None, None)


def test_a_run_without_a_trial_trains_as_usual(tmp_path, report):
    other = TrialReport(tmp_path, ["lr=0.7"], ABOVE_100)
    assert not end_epoch(other, 2, 120.0)
    assert other.pruned == ""
