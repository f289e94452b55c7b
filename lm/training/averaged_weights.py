"""Averages of the weights, which are validated, kept as best and scored in place of the trained weights.

Not Lightning's `WeightAveraging`: it copies the whole LightningModule and saves the copy's running sums of nats.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from lm.training.lightning_module import LanguageModelModule

log = logging.getLogger(__name__)


class AveragedWeights(pl.Callback):
    """Validates with averages of the weights once there are any.

    In a checkpoint, `state_dict` has the averages, so that whatever reads it scores and generates with them, and
    `trained_weights` has the weights with which training resumes.
    """

    def __init__(self) -> None:
        self._trained: list[Tensor] = []

    def averages(self, trainer: pl.Trainer) -> list[Tensor]:
        """Return the average of each parameter, or an empty list before the first one."""
        raise NotImplementedError

    def swap_in(self, trainer: pl.Trainer) -> None:
        """Put the averages into the model."""
        if averages := self.averages(trainer):
            weights = _weights(trainer.lightning_module)
            self._trained = [weight.clone() for weight in weights]
            _copy(averages, weights)

    def swap_out(self, trainer: pl.Trainer) -> None:
        """Put the trained weights back."""
        if self._trained:
            _copy(self._trained, _weights(trainer.lightning_module))
            self._trained = []

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate with the averages."""
        self.swap_in(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train with the trained weights."""
        self.swap_out(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the averages as the model's weights, and the trained weights beside them."""
        if averages := self.averages(trainer):
            weights = checkpoint["state_dict"]
            checkpoint["trained_weights"] = {name: weights[name] for name in weights if name.startswith("model.")}
            of = {id(weight): average for weight, average in zip(_weights(pl_module), averages, strict=True)}
            # A tied matrix has two names.
            for name, weight in pl_module.named_parameters(remove_duplicate=False):
                weights[name] = of[id(weight)]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the trained weights; the model has been given the averages."""
        if trained := checkpoint.get("trained_weights"):
            pl_module.load_state_dict(trained, strict=False)


class OptimizerAverage(AveragedWeights):
    """The averages that `lm.training.asgd.ASGD` computes, and that checkpoints have in the optimiser's state."""

    def averages(self, trainer: pl.Trainer) -> list[Tensor]:
        """Return the averages after the first step."""
        optimizer = trainer.optimizers[0]
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        return [optimizer.state[weight]["ax"] for weight in weights] if optimizer.state else []


class RunningAverage(AveragedWeights):
    """Averages the weights after each step.

    The averages are float32 at least: in bf16 a small change would be rounded away.

    Args:
        update: changes a list of averages, given a list of weights and the number of steps before.
    """

    def __init__(self, update: Callable[[list[Tensor], list[Tensor], int], None]) -> None:
        super().__init__()
        self._averages: list[Tensor] = []
        self._update, self.steps = update, 0

    def averages(self, trainer: pl.Trainer) -> list[Tensor]:
        """Return the averages so far."""
        return self._averages

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Add the weights to the averages; the first averages are the weights themselves."""
        weights = [weight.detach() for weight in _weights(pl_module)]
        if self._averages:
            weights = [weight.to(mean.dtype) for weight, mean in zip(weights, self._averages, strict=True)]
            self._update(self._averages, weights, self.steps)
        else:
            self._averages = [
                weight.to(torch.promote_types(weight.dtype, torch.float32), copy=True) for weight in weights
            ]
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps; the averages are in the checkpoint's `state_dict`."""
        return {"steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of steps."""
        self.steps = state_dict["steps"]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the averages and the trained weights."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        if "trained_weights" in checkpoint:
            self._averages = [checkpoint["state_dict"][name].clone() for name, _ in pl_module.named_parameters()]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move restored averages to the device of the model."""
        self._averages = [average.to(pl_module.device) for average in self._averages]


class ExponentialAverage(RunningAverage):
    """The exponential moving average: `decay` times the average so far, plus 1 - `decay` times the weights."""

    def __init__(self, decay: float) -> None:
        super().__init__(get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


class NonMonotonicAverage(RunningAverage):
    """The mean of the weights since validation stopped improving.

    NT-ASGD (Merity et al., 2017, arXiv:1708.02182, algorithm 1): averaging starts after a validation that is worse than
    the best of all but the last `patience` before it.
    """

    def __init__(self, patience: int) -> None:
        super().__init__(get_swa_multi_avg_fn())  # type: ignore[no-untyped-call]
        self.patience, self.started = patience, False
        self.previous: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any) -> None:
        """Add the weights to the mean once it has started."""
        if self.started:
            super().on_train_batch_end(trainer, pl_module, *arguments)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Decide whether to start."""
        super().on_validation_end(trainer, pl_module)
        assert isinstance(pl_module, LanguageModelModule)
        found = pl_module.validation_perplexity()
        assert found is not None
        earlier = self.previous[: -self.patience]
        if not self.started and earlier and found > min(earlier):
            log.info(f"epoch {trainer.current_epoch + 1}: validation stopped improving, the weights are averaged")
            self.started = True
        self.previous.append(found)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps, the validation perplexities, and whether averaging has started."""
        return super().state_dict() | {"previous": self.previous, "started": self.started}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        super().load_state_dict(state_dict)
        self.previous, self.started = state_dict["previous"], state_dict["started"]


@contextmanager
def averaged(trainer: pl.Trainer) -> Iterator[None]:
    """Return a context in which the model has the averages that are validated, if any."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    averaging = [callback for callback in callbacks if isinstance(callback, AveragedWeights)]
    for callback in averaging:
        callback.swap_in(trainer)
    yield
    for callback in averaging:
        callback.swap_out(trainer)


def _weights(module: pl.LightningModule) -> list[Tensor]:
    return list(module.parameters())


@torch.no_grad()
def _copy(values: list[Tensor], weights: list[Tensor]) -> None:
    for value, weight in zip(values, weights, strict=True):
        weight.copy_(value)
