"""A run that stops when its validation perplexity no longer improves."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason


class StopWithoutImprovement(EarlyStopping):
    """Lightning's `EarlyStopping` on the validation perplexity, for runs that resume."""

    def __init__(self, patience: int) -> None:
        super().__init__("valid_ppl", patience=patience, check_finite=False, check_on_train_epoch_end=False)

    @property
    def stopped(self) -> bool:
        """Whether it has stopped training."""
        return self.stopping_reason == EarlyStoppingReason.PATIENCE_EXHAUSTED

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if training had stopped before it was interrupted, during the final evaluation."""
        trainer.should_stop = self.stopped


def stopped_early(trainer: pl.Trainer) -> bool:
    """Return whether training has stopped because validation no longer improved."""
    callbacks = trainer.early_stopping_callbacks
    return any(callback.stopped for callback in callbacks if isinstance(callback, StopWithoutImprovement))
