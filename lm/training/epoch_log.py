"""What a run shows while it trains: a progress bar, `epochs.csv`, a line an epoch, TensorBoard."""

import logging
import time
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from lm.data.bptt import IGNORE_INDEX
from lm.evaluation.perplexity import perplexity
from lm.run_dir import RunDir
from lm.training.distributed import all_reduce_sum
from lm.training.lightning_module import LanguageModelModule

log = logging.getLogger(__name__)


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the epoch's running perplexity, read only when the bar is drawn."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=20)

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Name the epoch, counted from 1."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return what stands at the bar's end."""
        assert isinstance(pl_module, LanguageModelModule)
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        # Of this device's columns alone, for the others draw no bar and would not answer.
        so_far = pl_module.train_perplexity
        return metrics | {"ppl": f"{perplexity(float(so_far.nats), int(so_far.tokens)):.2f}"}


class EpochLog(pl.Callback):
    """Writes a row an epoch to `epochs.csv`, a line to the log and the same to TensorBoard.

    Args:
        run: the run's folder.
        loss_every: steps between two points of the loss curve.
    """

    def __init__(self, run: RunDir, loss_every: int) -> None:
        self.run, self.loss_every = run, loss_every
        self.rows: list[dict[str, float]] = []
        self._epoch_started = self._training_ended = self._lr = 0.0
        self._seconds_before = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Keep the rows in the checkpoint, so that a resumed run's table has each epoch once, and the epoch's time."""
        return {"rows": self.rows, "seconds": time.monotonic() - self._epoch_started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows and the time."""
        self.rows, self._seconds_before = state_dict["rows"], state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on with the clock of an epoch that was broken off."""
        self._epoch_started = time.monotonic() - self._seconds_before

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._epoch_started = time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the rate: after the epoch's last step it is already the next epoch's."""
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop the clock of training proper, which excludes the validation; add a point to the loss curve."""
        assert isinstance(pl_module, LanguageModelModule)
        self._training_ended = time.monotonic()
        if trainer.global_step % self.loss_every == 0 and trainer.logger is not None:
            nats = float(all_reduce_sum(outputs["loss"])) / trainer.world_size * pl_module.config.batch_size
            tokens = int(all_reduce_sum((batch.targets_TB != IGNORE_INDEX).sum()))
            trainer.logger.log_metrics({"loss/train": nats / tokens}, trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the epoch's row wherever it is read."""
        assert isinstance(pl_module, LanguageModelModule)
        row = self._row(trainer, pl_module)
        self.rows.append(row)
        if not trainer.is_global_zero:
            return
        self.run.write_epochs(self.rows)
        if trainer.logger is not None:
            trainer.logger.log_metrics(_tensorboard_names(row), int(row["epoch"]))
        log.info(self._line(row, trainer.max_epochs or 0))

    def _row(self, trainer: pl.Trainer, task: LanguageModelModule) -> dict[str, float]:
        training_seconds = self._training_ended - self._epoch_started
        return {
            "epoch": trainer.current_epoch + 1,
            "lr": self._lr,
            "train_online_ppl": float(task.train_perplexity.compute()),
            "valid_ppl": float(task.valid_perplexity.compute()),
            "grad_norm": float(task.grad_norm.compute()),
            "tokens_per_second": round(int(all_reduce_sum(task.train_perplexity.tokens)) / training_seconds),
            "seconds": round(time.monotonic() - self._epoch_started, 2),
        }

    def _line(self, row: dict[str, float], epochs: int) -> str:
        left = timedelta(seconds=round(row["seconds"] * (epochs - row["epoch"])))
        return (
            f"epoch {row['epoch']:.0f}/{epochs}: train {row['train_online_ppl']:.2f}, valid {row['valid_ppl']:.2f}, "
            f"rate {row['lr']:.3g}, {row['tokens_per_second']:,.0f} tokens/s, {left} left"
        )


def _tensorboard_names(row: dict[str, float]) -> dict[str, float]:
    return {
        "perplexity/train": row["train_online_ppl"],
        "perplexity/valid": row["valid_ppl"],
        "optimiser/learning_rate": row["lr"],
        "optimiser/gradient_norm": row["grad_norm"],
        "speed/tokens_per_second": row["tokens_per_second"],
    }
