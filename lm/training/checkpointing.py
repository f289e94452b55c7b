"""Runs that can be stopped at any time: checkpoints within an epoch, and a last one when the process is told to end."""

import logging
import math
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from lightning_fabric.utilities.types import _PATH
from torch import Tensor

from lm.atomic_files import write_atomically
from lm.training.distributed import all_reduce_max, all_reduce_sum
from lm.training.lightning_module import LanguageModelModule
from lm.training.signals import Interrupted

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TIME = 1
"""The reason for a checkpoint where it is no signal: less than the number of each, as the largest counts."""


class Diverged(Exception):
    """The loss is no longer a finite number."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints whole or not at all; Lightning's own way leads through what may be another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """Write beside `path`, then rename.

        Raises:
            OSError: where that fails, as on a full disk.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(Path(path), "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # PyTorch puts its own, of positions in the file, above the system's
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise


class LastCheckpoint(pl.Callback):
    """Keeps `last.ckpt` young: after each epoch, every few minutes within one, and at once on SIGINT and SIGTERM.

    Signals are taken between two steps, so that a checkpoint never holds half an update; a second SIGINT ends at once.
    With several devices, one that has had a signal stops them all.

    Args:
        path: of the checkpoint.
        minutes: between two checkpoints within an epoch.
        every: steps after which several GPUs ask each other, as each has to wait for it; on CPUs it is every step.

    Raises:
        Interrupted: from `Trainer.fit`, where a signal has come.
    """

    def __init__(self, path: Path, minutes: float, every: int) -> None:
        self.path, self.seconds, self.every = path, 60 * minutes, every
        self._saved_at, self._signal = 0.0, 0
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock and listen for signals."""
        self._saved_at, self._signal = time.monotonic(), 0
        if threading.current_thread() is threading.main_thread():  # elsewhere Python refuses
            self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS}

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back to whom they belonged."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        # Clusters may send several SIGTERM, and Lightning would have each wait for other devices, which do not listen.
        if number == signal.SIGINT:
            signal.signal(number, self._handlers[number])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a checkpoint if it is time; after an epoch's last step it is left to the epoch's end."""
        on_gpus = trainer.world_size > 1 and pl_module.device.type != "cpu"
        if trainer.is_last_batch or (on_gpus and trainer.global_step % self.every):
            return
        wanted = self._signal or (TIME if time.monotonic() - self._saved_at > self.seconds else 0)
        if wanted := all_reduce_max(wanted, pl_module.device):
            steps = f"{batch_idx + 1:,} of {trainer.num_training_batches:,} steps"
            log.info(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {steps}, checkpoint")
            self._save(trainer, wanted)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a checkpoint."""
        self._save(trainer, all_reduce_max(self._signal or TIME, pl_module.device))

    def _save(self, trainer: pl.Trainer, reason: int) -> None:
        trainer.save_checkpoint(self.path)
        self._saved_at = time.monotonic()
        if reason != TIME:
            raise Interrupted(signal.Signals(reason).name)


class StopOnNonFiniteLoss(pl.Callback):
    """Ends a run whose loss is not finite.

    Args:
        every: steps from one look to the next on a GPU, which has to wait for it; on a CPU every step is looked at.

    Raises:
        Diverged: from `Trainer.fit`; it says where, what was last finite, and what to try.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self._last_finite: tuple[float, Tensor] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss."""
        assert isinstance(pl_module, LanguageModelModule)
        every = 1 if outputs["loss"].device.type == "cpu" else self.every
        if trainer.global_step % every and not trainer.is_last_batch:
            return
        nats = float(all_reduce_sum(outputs["loss"])) / trainer.world_size / len(batch.targets_TB)
        if not math.isfinite(nats):
            raise Diverged(
                f"expected a finite loss, found {nats} at step {trainer.global_step} ({self._before()}): "
                f"type lr={pl_module.config.lr / 2:g} or max_grad_norm={pl_module.config.max_grad_norm / 2:g}"
            )
        self._last_finite = nats, pl_module.last_norm

    def _before(self) -> str:
        if self._last_finite is None:
            return "no step was finite"
        nats, norm = self._last_finite
        return f"last finite: perplexity {math.exp(min(nats, 700)):.4g}, gradient norm {norm:.4g}"
