"""Steps as `python -m lm.train` takes them: under Lightning, with the progress bar, TensorBoard and the checks."""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from lm.benchmark.benchmark_job import WARM_UP, Job
from lm.benchmark.loop import Round, finished_round
from lm.benchmark.timing import DATA, EMBEDDING, LOOP, SOFTMAX, UPDATE, Clock, attach, noted
from lm.data.bptt import BPTTBatches
from lm.data.corpus import Corpus
from lm.run_dir import RunDir
from lm.training.hardware import configure_malloc, set_precision
from lm.training.lightning_module import LanguageModelModule
from lm.training.trainer import fit

UNTIL_ROUNDS_END = {"devices": 1, "max_time": None, "max_steps": -1, "limit_val_batches": 0}
"""In place of options that would share training out, end it before its rounds, or interrupt it by a validation."""


class Enough(Exception):
    """All rounds are over."""


class InRounds(pl.Callback):
    """Divides training into rounds, and notes where the time of each step goes.

    Args:
        job: what is measured.
        between_rounds: is given the round that has ended, None before the first; the next one begins as it returns.

    Raises:
        Enough: from `Trainer.fit`, when the last round is over; there is no validation and no checkpoint.
    """

    def __init__(self, job: Job, between_rounds: Callable[[Round | None], None]) -> None:
        self.job, self.between_rounds = job, between_rounds
        self.losses: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put a note at every border between two parts of the step."""
        assert isinstance(pl_module, LanguageModelModule)
        self.clock = Clock(pl_module.device)
        model, windows = pl_module.model, trainer.train_dataloader
        assert isinstance(windows, BPTTBatches)
        attach(self.clock, model, model.embedding)
        windows.window = noted(windows.window, self.clock, DATA)  # type: ignore[method-assign]
        model.total_nats = noted(model.total_nats, self.clock, SOFTMAX)  # type: ignore[method-assign]
        trainer.optimizers[0].register_step_post_hook(lambda *_: self.clock.lap(UPDATE))

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, index: int) -> None:
        """End the step before; it is here that rounds end, when all that belongs to that step is done."""
        if index > 0:
            self.clock.end_step()
        if index % (WARM_UP + self.job.steps_a_round) == 0:
            self.between_rounds(finished_round(self.clock, self.losses, self.job) if index > 0 else None)
            if index == self.job.windows:
                raise Enough
            self.losses = []
            self.clock.start()

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """What lies between forward and backward is Lightning's."""
        self.losses.append(loss.detach())
        self.clock.lap(LOOP)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Last came the gradient of the embedding."""
        self.clock.lap(EMBEDDING)

    def on_before_optimizer_step(self, *_: Any) -> None:
        """What lies between backward and update is Lightning's."""
        self.clock.lap(LOOP)


def train_in_rounds(job: Job, corpus: Corpus, folder: Path, between_rounds: Callable[[Round | None], None]) -> None:
    """Train as `lm.train` does, in a run folder of its own, until the rounds are over."""
    configure_malloc()
    precision, _ = set_precision(job.precision, job.device())
    options = job.trainer | UNTIL_ROUNDS_END | {"precision": precision, "limit_train_batches": job.windows + 1}
    with suppress(Enough):
        fit(job.settings, corpus, RunDir(folder / "run"), options, [InRounds(job, between_rounds)], math.inf)
