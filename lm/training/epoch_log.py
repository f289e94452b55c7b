"""What a run shows while it trains: a progress bar, `epochs.csv`, one line per epoch, the loggers."""

import logging
import time
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from lm.data.bptt import IGNORE_INDEX
from lm.evaluation.perplexity import perplexity
from lm.output import short
from lm.run_dir import RunDir
from lm.training.distributed import all_reduce_sum
from lm.training.lightning_module import LanguageModelModule

log = logging.getLogger(__name__)

METRIC_NAMES = {
    "train_online_ppl": "perplexity/train",
    "valid_ppl": "perplexity/valid",
    "lr": "optimiser/learning_rate",
    "grad_norm": "optimiser/gradient_norm",
    "tokens_per_second": "speed/tokens_per_second",
}
"""They are logged against the step, so that TensorBoard hides points after the step from which a run resumed."""


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the running perplexity of the epoch, which is computed only when the bar is drawn."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=20)

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Show the epoch, counted from 1."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Clear the bars, so that the message that follows has a line of its own."""
        for bar in (self._val_progress_bar, self._train_progress_bar):
            if bar is not None:
                bar.leave = False
                bar.close()

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what the bar shows on its right."""
        assert isinstance(pl_module, LanguageModelModule)
        shown: dict[str, Any] = {name: short(value) for name, value in trainer.progress_bar_metrics.items()}
        # Of this device alone: the others draw no bar, and would not take part in a reduction.
        so_far = pl_module.train_perplexity
        return shown | {"ppl": short(perplexity(float(so_far.nats), int(so_far.tokens)))}


class EpochLog(pl.Callback):
    """Writes one row per epoch to `epochs.csv`, and the same to the log and to the loggers.

    The loggers also get the training loss every `loss_every` steps.
    """

    def __init__(self, run: RunDir, loss_every: int) -> None:
        self.run, self.loss_every = run, loss_every
        self.rows: list[dict[str, float | None]] = []
        self._epoch_started = self._training_ended = self._lr = 0.0
        self._seconds_before = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, so that a resumed run's table has each epoch once, and the seconds of this epoch."""
        return {"rows": self.rows, "seconds": time.monotonic() - self._epoch_started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows and the seconds."""
        self.rows, self._seconds_before = state_dict["rows"], state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Delete earlier results, now that training continues; resume the clock of an interrupted epoch."""
        self._epoch_started = time.monotonic() - self._seconds_before
        if not trainer.is_global_zero:
            return
        self.run.delete_results()
        self.run.delete_temporary_files()
        self.run.save_epochs(trainer.max_epochs or 0)
        if trainer.global_step:
            epoch, step = divmod(trainer.global_step, int(trainer.num_training_batches))
            log.info(f"resuming from epoch {epoch + 1}, step {step:,} of {trainer.num_training_batches:,}")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._epoch_started = time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Keep the learning rate: after the last step of an epoch it is already that of the next epoch."""
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock of training, which excludes validation; add a point to the loss curve."""
        assert isinstance(pl_module, LanguageModelModule)
        self._training_ended = time.monotonic()
        if trainer.global_step % self.loss_every == 0 and trainer.loggers:
            nats = float(all_reduce_sum(outputs["loss"])) / trainer.world_size * pl_module.config.batch_size
            tokens = int(all_reduce_sum((batch.targets_TB != IGNORE_INDEX).sum()))
            for logger in trainer.loggers:
                logger.log_metrics({"loss/train": nats / tokens}, trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the row of the epoch."""
        assert isinstance(pl_module, LanguageModelModule)
        row = self._row(trainer, pl_module)
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        self.run.write_epochs(self.rows)
        values = {label: row[name] for name, label in METRIC_NAMES.items()}
        measured = {label: value for label, value in values.items() if value is not None}
        for logger in trainer.loggers:
            logger.log_metrics(measured, trainer.global_step)
        log.info(self._line(row, trainer.current_epoch + 1, trainer.max_epochs or 0))

    def _row(self, trainer: pl.Trainer, module: LanguageModelModule) -> dict[str, float | None]:
        training_seconds = self._training_ended - self._epoch_started
        return {
            "epoch": trainer.current_epoch + 1,
            "lr": self._lr,
            "train_online_ppl": float(module.train_perplexity.compute()),
            "valid_ppl": module.validation_perplexity(),
            "grad_norm": float(module.grad_norm.compute()),
            "tokens_per_second": round(int(all_reduce_sum(module.train_perplexity.tokens)) / training_seconds),
            "seconds": round(time.monotonic() - self._epoch_started, 2),
        }

    def _line(self, row: dict[str, Any], epoch: int, epochs: int) -> str:
        left = timedelta(seconds=round(row["seconds"] * (epochs - epoch)))
        valid = "not measured" if row["valid_ppl"] is None else short(row["valid_ppl"])
        return (
            f"epoch {epoch}/{epochs}: train {short(row['train_online_ppl'])}, valid {valid}, "
            f"lr {row['lr']:.3g}, {row['tokens_per_second']:,.0f} tokens/s, {left} left"
        )
