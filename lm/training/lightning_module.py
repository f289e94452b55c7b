"""The LightningModule: how a language model is trained and validated, whatever the cell."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torchmetrics import MeanMetric

from lm.config import Config
from lm.data.bptt import IGNORE_INDEX, Batch
from lm.data.sentences import SentenceBatch
from lm.data.shard import UNSHARDED, Shard
from lm.evaluation.perplexity import Perplexity
from lm.models.language_model import LanguageModel, State, detach_states
from lm.training.distributed import all_gather, concat_states, shard_states
from lm.training.optimizers import OPTIMIZERS, clip_gradients, make_optimizer
from lm.training.rng import restore_rng, rng_states, saved_rng_states
from lm.training.schedules import make_scheduler
from lm.training.sgd import total_norm

SUMS = ("train_perplexity.", "valid_perplexity.")
"""Where a checkpoint's weights begin so, they are running sums, of each device its own."""


class LanguageModelModule(pl.LightningModule):
    """Trains by plain gradient descent with truncated back-propagation through time (Zaremba et al., 2014).

    On a stream the hidden state is carried from window to window, and starts each epoch at zero; every sentence has one
    of its own.

    Args:
        model: what is trained.
        config: rates, epochs and clipping.
        metadata: plain values that a checkpoint carries along, so that it can be read without the corpus.
    """

    def __init__(self, model: LanguageModel, config: Config, metadata: dict[str, Any]) -> None:
        super().__init__()
        self.model, self.config, self.metadata = model, config, metadata
        self.train_perplexity, self.valid_perplexity = Perplexity(), Perplexity()
        self.grad_norm = MeanMetric(nan_strategy="disable", sync_on_compute=False)  # it is the same on all devices
        self.grad_norm.persistent(True)
        self.last_norm = torch.zeros(())
        self._states: dict[str, list[State]] = {}
        self._rng_states: dict[str, Tensor] = {}

    @property
    def share(self) -> Shard:
        """Which of the devices this is that train together; the only one, where no trainer is at work."""
        return UNSHARDED if self._trainer is None else Shard(self._trainer.global_rank, self._trainer.world_size)

    def training_step(self, window: Batch | SentenceBatch, batch_idx: int) -> Tensor:
        """Return the window's nats a column: their mean times the window's length, as Zaremba's clipping expects it.

        A batch of sentences is divided by as many columns, also where it has fewer: so a word weighs the same in all
        batches, and what it weighs in a stream, and a learning rate means the same for both.

        With several devices it is the mean of what each returns, as is the gradient.
        """
        loss, nats, tokens = self._shared_step("train", window, batch_idx)
        self.train_perplexity.update(nats, tokens)
        return loss * self.share.devices / self.config.batch_size

    def validation_step(self, window: Batch | SentenceBatch, batch_idx: int) -> None:
        """Add the window to the validation perplexity."""
        _, nats, tokens = self._shared_step("valid", window, batch_idx)
        self.valid_perplexity.update(nats, tokens)

    def _shared_step(self, stream: str, window: Batch | SentenceBatch, batch_idx: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is to be minimised, the nats and the number of targets; keep a stream's state for its next one.

        A predicted length counts among the nats of its sentence as it is predicted before the first word. So that it
        can be predicted after a prompt, what is minimised has it as predicted before each of the others, too.
        """
        tokens = (window.targets_TB != IGNORE_INDEX).sum()
        if isinstance(window, SentenceBatch):
            found = self.model.sentence_loss(window)
            return found.words + found.length_auxiliary, found.words + found.lengths, tokens
        # Not in on_train_epoch_start: a run resumed from an epoch's last window skips that hook.
        before = None if batch_idx == 0 else self._states[stream]
        nats, after = self.model.total_nats(window.inputs_TB, window.targets_TB, before)
        self._states[stream] = detach_states(after)
        return nats, nats, tokens

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimiser and the schedule that the config names."""
        config = self.config
        optimizer = make_optimizer(
            config.optimizer, self.model.parameters(), self.device, config.lr, **config.optimizer_options
        )
        # Sparse gradients would stall a GPU, and gradients that several devices share are dense.
        on_one_cpu = self.device.type == "cpu" and self.share == UNSHARDED
        self.model.embedding.sparse = on_one_cpu and OPTIMIZERS[config.optimizer].sparse and not config.tie_weights
        return {
            "optimizer": optimizer,
            "lr_scheduler": make_scheduler(config.schedule, config, optimizer, self._steps_per_epoch),
        }

    def _steps_per_epoch(self) -> int:
        return int(self.trainer.estimated_stepping_batches) // self.config.epochs

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the gradients of any optimiser to `max_grad_norm`, and keep the norm that they had."""
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        norm = total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        self.grad_norm.update(norm)
        self.last_norm = norm
        by_grad_scale = OPTIMIZERS[self.config.optimizer].grad_scale
        clip_gradients(optimizer, self.config.max_grad_norm, norm, by_grad_scale)

    def on_train_epoch_start(self) -> None:
        """Start the epoch's sums at zero."""
        self.train_perplexity.reset()
        self.grad_norm.reset()

    def on_validation_epoch_start(self) -> None:
        """Start the validation's sums at zero."""
        self.valid_perplexity.reset()

    def on_validation_epoch_end(self) -> None:
        """Give the validation perplexity to the checkpoints and the progress bar."""
        # The same on all devices already; Lightning asks to be told so.
        self.log("valid_ppl", self.valid_perplexity.compute().float(), prog_bar=True, logger=False, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what an exact continuation needs beyond the weights, and what the checkpoint is of.

        Hidden states are those of all columns; of each device there are the random numbers' states and the sums.
        """
        checkpoint["metadata"] = self.metadata
        checkpoint["states"] = concat_states(all_gather(self._states))
        checkpoint |= _stacked(all_gather(rng_states(self.device)))
        checkpoint["state_dict"] |= _stacked(all_gather(self._sums(checkpoint["state_dict"])))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up this device's sums; hidden and random states are taken up last of all, when training starts."""
        self._states = checkpoint["states"]
        self._rng_states = saved_rng_states(checkpoint)
        for name, sums in self._sums(checkpoint["state_dict"]).items():
            # With more devices than there were, some have none; with fewer, some have several.
            own = sums.reshape(-1)[self.share.rank :: self.share.devices]
            checkpoint["state_dict"][name] = own.sum()

    @staticmethod
    def _sums(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value for name, value in state_dict.items() if name.startswith(SUMS)}

    def on_train_start(self) -> None:
        """Go on with the hidden states and the random numbers of the interrupted run; each device has its own."""
        self._states = shard_states(self._states, self.share, self.device)
        restore_rng(self._rng_states, self.config.seed, self.share.rank, self.device)


def _stacked(values: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([value[name] for value in values]) for name in values[0]}
