"""Runs of a search report their validation perplexity after each epoch, and end early if Optuna's pruner says so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from optuna import Study, Trial
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from lm.output import short
from lm.study import open_study
from lm.sweeps.sweep_options import options_key
from lm.sweeps.trials import trial_key
from lm.training.lightning_module import LanguageModelModule
from lm.training.signals import Interrupted

REASON = "pruned"
"""The attribute of a trial that says why its run ends. It is stored, so a run that is killed then ends when resumed."""


class TrialReport(pl.Callback):
    """Reports each epoch to the run's trial, and stops training after the checkpoint of an epoch that is pruned."""

    def __init__(self, sweep: Path, overrides: Sequence[str], pruner: dict[str, Any]) -> None:
        self.study = open_study(sweep, sampler=RandomSampler(), pruner=instantiate(pruner))
        self.trial = find_trial(self.study, overrides)

    @property
    def pruned(self) -> str:
        """Why the run ends early, or an empty string."""
        return "" if self.trial is None else str(self.trial.user_attrs.get(REASON, ""))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End a run that was pruned, but killed before this was recorded."""
        if self.pruned:
            raise Interrupted("a callback")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch. Steps are counted from 0, as pruners expect. The last epoch is not pruned."""
        assert isinstance(pl_module, LanguageModelModule)
        epoch, valid_ppl = trainer.current_epoch + 1, pl_module.validation_perplexity()
        if self.trial is None or valid_ppl is None:
            return
        if epoch - 1 not in self.study.trials[self.trial.number].intermediate_values:
            self.trial.report(valid_ppl, step=epoch - 1)
        if epoch != trainer.max_epochs and self.trial.should_prune():
            self.trial.set_user_attr(REASON, f"validation perplexity {short(valid_ppl)} after epoch {epoch}")
            trainer.should_stop = True


def find_trial(study: Study, overrides: Sequence[str]) -> Trial | None:
    """Return the running trial of a run, or None if the study has none."""
    key = options_key(overrides)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return next((Trial(study, trial._trial_id) for trial in running if trial_key(trial) == key), None)
