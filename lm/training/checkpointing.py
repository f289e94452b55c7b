"""The two checkpoints of a run: the best weights, and the last state, from which training resumes."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH
from pytorch_lightning.callbacks import ModelCheckpoint

from lm.atomic_files import write_atomically
from lm.training.distributed import all_reduce_max
from lm.training.early_stopping import stopped_early
from lm.training.signals import STOP_SIGNALS, Interrupted, StopRequest

log = logging.getLogger(__name__)

NOTHING, INTERVAL, CALLBACK, MAX_TIME = range(4)
"""Reasons for a checkpoint, beside signals; the devices agree on the largest."""

REASONS = {CALLBACK: "a callback", MAX_TIME: "trainer.max_time"}
REASONS |= {MAX_TIME + number: number.name for number in STOP_SIGNALS}
"""What stops training after a checkpoint."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint completely or not at all. Lightning's own atomic save uses a temporary folder elsewhere."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """Write a temporary file beside `path`, then rename it.

        Raises:
            OSError: if that fails, for example on a full disk.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(Path(path), "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # PyTorch hides the system's error behind one about positions in the file
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise


class BestCheckpoint(ModelCheckpoint):
    """Keeps the weights with the lowest validation perplexity in `best.ckpt`. The last epoch is always validated."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            "best",
            monitor="valid_ppl",
            mode="min",
            enable_version_counter=False,
            save_on_train_epoch_end=False,  # after validation, so that a run stopped at the end of an epoch has it
        )

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Have the last epoch validated, whose weights may be the best, even with `check_val_every_n_epoch`."""
        if trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best score, even if the run's folder was moved, where Lightning would forget it."""
        best = f"{self.dirpath}/best.ckpt" if state_dict["best_model_path"] else ""
        models = {best: state_dict["best_model_score"]} if best else {}
        paths = {"dirpath": self.dirpath, "best_model_path": best, "kth_best_model_path": best, "best_k_models": models}
        super().load_state_dict({**state_dict, **paths})


class LastCheckpoint(pl.Callback):
    """Writes `last.ckpt` after each epoch, at intervals within an epoch, and before training stops early.

    Training stops early for a signal, for a time limit, or because a callback has set `trainer.should_stop`. It stops
    between two steps, so that a checkpoint never holds half an update. If one of several devices stops, all stop.

    Args:
        path: of the checkpoint.
        interval: seconds between two checkpoints within an epoch.
        time_limit: seconds after which training stops; inf for none.
        every: steps between two agreements of several GPUs, which wait for each other then; CPUs agree at every step.
        stop: the stop signals of this process.

    Raises:
        Interrupted: from `Trainer.fit`, after the checkpoint.
    """

    def __init__(self, path: Path, interval: float, time_limit: float, every: int, stop: StopRequest) -> None:
        self.path, self.interval, self.time_limit, self.every, self.stop = path, interval, time_limit, every, stop
        self._saved_at, self._deadline = 0.0, math.inf

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks. From now on signals wait for the end of a step."""
        self._saved_at = time.monotonic()
        self._deadline = self._saved_at + self.time_limit
        self.stop.deferred = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let signals interrupt at once again."""
        self.stop.deferred = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a checkpoint if there is a reason. After the last step of an epoch, `on_train_epoch_end` does it."""
        on_gpus = trainer.world_size > 1 and pl_module.device.type != "cpu"
        if trainer.is_last_batch or (on_gpus and trainer.global_step % self.every):
            return
        if reason := all_reduce_max(self._reason(trainer), pl_module.device):
            steps = f"{batch_idx + 1:,} of {trainer.num_training_batches:,} steps"
            log.info(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {steps}, checkpoint")
            self._save(trainer, reason)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a checkpoint. After the last epoch only a signal can still stop the run."""
        reason = self._reason(trainer)
        if reason <= MAX_TIME and (trainer.current_epoch + 1 == trainer.max_epochs or stopped_early(trainer)):
            reason = INTERVAL
        self._save(trainer, all_reduce_max(reason, pl_module.device))

    def _reason(self, trainer: pl.Trainer) -> int:
        if self.stop.signal:
            return MAX_TIME + self.stop.signal
        if time.monotonic() > self._deadline:
            return MAX_TIME
        if trainer.should_stop:
            return CALLBACK
        return INTERVAL if time.monotonic() - self._saved_at > self.interval else NOTHING

    def _save(self, trainer: pl.Trainer, reason: int) -> None:
        trainer.save_checkpoint(self.path)
        self._saved_at = time.monotonic()
        if reason in REASONS:
            raise Interrupted(REASONS[reason])
