"""Runs that diverge end early, with advice."""

import math
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from lm.data.bptt import IGNORE_INDEX
from lm.output import short
from lm.training.distributed import all_reduce_sum
from lm.training.lightning_module import LanguageModelModule

FIRST_EPOCH_FACTOR = 2
"""Early steps of the first epoch may be worse than the uniform distribution, and the run may still end well."""


class Diverged(Exception):
    """Training has left the range in which a perplexity means something."""


class StopOnNonFiniteLoss(pl.Callback):
    """Ends a run that has diverged.

    That is: a loss or a perplexity is not finite; or the training perplexity of a whole epoch is above the vocabulary
    size, which is the perplexity of the uniform distribution, and does not fall. In the first epoch the limit is
    twice the vocabulary size, so that a slow start is no divergence.

    Args:
        every: steps between two checks of the loss on a GPU, which has to wait for it; on a CPU every step is checked.

    Raises:
        Diverged: from `Trainer.fit`.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.previous_ppl: float | None = None
        self._last_finite: tuple[float, Tensor, Tensor] | None = None

    def state_dict(self) -> dict[str, float | None]:
        """Return the training perplexity of the previous epoch."""
        return {"previous_ppl": self.previous_ppl}

    def load_state_dict(self, state_dict: dict[str, float | None]) -> None:
        """Restore the training perplexity of the previous epoch."""
        self.previous_ppl = state_dict["previous_ppl"]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the loss."""
        assert isinstance(pl_module, LanguageModelModule)
        every = 1 if outputs["loss"].device.type == "cpu" else self.every
        if trainer.global_step % every and not trainer.is_last_batch:
            return
        loss = float(all_reduce_sum(outputs["loss"])) / trainer.world_size
        if not math.isfinite(loss):
            found = f"found {loss} at step {trainer.global_step} ({self._before(pl_module, trainer.world_size)})"
            raise Diverged(f"expected a finite loss, {found}: {_advice(pl_module)}")
        self._last_finite = loss, pl_module.last_norm, batch.targets_TB

    def _before(self, module: LanguageModelModule, devices: int) -> str:
        if self._last_finite is None:
            return "no step was finite"
        loss, norm, targets_TB = self._last_finite
        tokens = devices * max(1, int((targets_TB != IGNORE_INDEX).sum()))
        nats = loss * module.config.batch_size / tokens
        return f"last finite: perplexity {short(math.exp(min(nats, 700)))}, gradient norm {norm:.4g}"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the perplexities of the epoch."""
        assert isinstance(pl_module, LanguageModelModule)
        found = float(pl_module.train_perplexity.compute())
        uniform = pl_module.model.vocabulary_size
        limit = FIRST_EPOCH_FACTOR * uniform if self.previous_ppl is None else max(uniform, self.previous_ppl)
        self.previous_ppl = found
        if not found <= limit:
            raise Diverged(
                f"expected a training perplexity of at most {short(limit)} (that of the uniform distribution is "
                f"{uniform:,}), found {short(found)} in epoch {trainer.current_epoch + 1}: {_advice(pl_module)}"
            )
        valid_ppl = pl_module.validation_perplexity()
        if valid_ppl is not None and not math.isfinite(valid_ppl):
            raise Diverged(
                f"expected a finite validation perplexity, found {valid_ppl} after epoch {trainer.current_epoch + 1}: "
                f"{_advice(pl_module)}"
            )


def _advice(module: LanguageModelModule) -> str:
    lr, max_grad_norm = module.config.lr / 10, module.config.max_grad_norm / 10
    return f"type lr={lr:g} or max_grad_norm={max_grad_norm:g}, or less if that diverges too"


def check_finite(scored: dict[str, Any]) -> None:
    """Raise `Diverged` unless all perplexities are finite."""
    for weights in ("best", "last"):
        for name, value in scored[weights].items():
            if value is not None and not math.isfinite(value):
                raise Diverged(
                    f"expected a finite perplexity, found {name} {value} with the {weights} weights: type a smaller lr"
                )
