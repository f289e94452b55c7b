from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

pytest.importorskip("optuna", reason="needs the extra search")

import optuna

from lm.did_you_mean import CONFIGS
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


CURVES = [
    [256, 174, 162, 147, 135, 132, 128, 121],
    [259, 186, 162, 142, 134, 128, 129, 117],
    [265, 189, 163, 147, 141, 132, 125, 121],
    [890, 358, 286, 291, 297, 272, 321, 269],
    [223, 174, 157, 148, 143, 142, 135, 142],
    [265, 200, 168, 147, 137, 130, 126, 121],
    [242, 176, 151, 143, 142, 127, 128, 124],
    [266, 243, 189, 173, 159, 147, 139, 132],
    [247, 187, 159, 149, 140, 134, 130, 122],
    [82403253],
    [245, 169, 156, 144, 138, 132, 138, 130],
    [233, 180, 154, 142, 139, 134, 141, 124],
    [265, 207, 178, 155, 143, 132, 128, 120],
    [266, 199, 173, 158, 149, 147, 144, 136],
    [264, 218, 181, 159, 146, 139, 134, 128],
    [266, 252, 200, 174, 159, 148, 139, 134],
    [234, 205, 166, 143, 137, 143, 127, 124],
    [265, 185, 159, 144, 134, 125, 124, 116],
    [258, 195, 178, 170, 197, 216, 208, 244],
    [266, 191, 165, 149, 139, 129, 124, 116],
]
"""The validation perplexity of each epoch of 20 trials on the demo's corpus (docs/search.md); one has diverged."""


def test_the_pruner_of_the_config_saves_40_percent_of_the_epochs_at_no_worse_best():
    pruner = instantiate(OmegaConf.load(CONFIGS / "hydra" / "sweeper" / "pruner" / "median.yaml"))
    study, finished, trained = optuna.create_study(pruner=pruner), [], 0
    for curve in CURVES:
        trial = study.ask()
        for epoch, ppl in enumerate(curve, start=1):
            trial.report(ppl, epoch - 1)
            trained += 1
            if epoch < len(CURVES[0]) and trial.should_prune():
                break
        if epoch < len(CURVES[0]):
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, min(curve))
            finished.append(min(curve))
    assert trained <= 0.6 * sum(map(len, CURVES))
    assert min(finished) == min(map(min, CURVES))
