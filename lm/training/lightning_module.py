"""The LightningModule: how a language model is trained and validated, whatever the cell."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torchmetrics import MeanMetric

from lm.config import Config
from lm.data.bptt import IGNORE_INDEX
from lm.data.sentences import AnyBatch, SentenceBatch, right_pad
from lm.data.shard import UNSHARDED, Shard
from lm.evaluation.loading import build_model
from lm.evaluation.perplexity import Perplexity
from lm.models.language_model import LanguageModel, State, detach_states
from lm.models.penalties import output_penalty, record_calls
from lm.run_files import read_checkpoint
from lm.training.distributed import all_gather, concat_states, shard_states
from lm.training.optimizers import OPTIMIZERS, clip_gradients, make_optimizer, scaled_lr
from lm.training.rng import restore_rng, rng_states, saved_rng_states
from lm.training.schedules import make_scheduler, update_plateau
from lm.training.sgd import total_norm

SUMS = ("train_perplexity.", "valid_perplexity.")
"""Prefixes of a checkpoint's running sums, of which each device has its own."""


class LanguageModelModule(pl.LightningModule):
    """Trains with truncated back-propagation through time (Zaremba et al., 2014).

    On a stream the hidden state is carried from batch to batch, and is zero at the start of each epoch. Each sentence
    starts with a zero hidden state. Each checkpoint has the `metadata`, plain values, so that it can be read without
    the corpus.
    """

    def __init__(self, model: LanguageModel, config: Config, metadata: dict[str, Any]) -> None:
        super().__init__()
        self.model, self.config, self.metadata = model, config, metadata
        self.train_perplexity, self.valid_perplexity = Perplexity(), Perplexity()
        self.grad_norm = MeanMetric(nan_strategy="disable", sync_on_compute=False)  # it is the same on all devices
        self.grad_norm.persistent(True)
        self.last_norm = torch.zeros(())
        self._validated = False
        self._relative_length = 1.0  # of the window, with `random_seq_len`
        self._states: dict[str, list[State]] = {}
        self._rng_states: dict[str, Tensor] = {}

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: Path | str, map_location: Any = None, strict: bool = True
    ) -> "LanguageModelModule":
        """Return the module of a checkpoint, which records its model and its config: no other argument is needed.

        Raises:
            ValueError: if the file is damaged, or no checkpoint of this project.
        """
        metadata = read_checkpoint(Path(checkpoint_path))["metadata"]
        model, _, config = build_model(metadata)
        arguments = {"model": model, "config": config, "metadata": metadata}
        return super().load_from_checkpoint(checkpoint_path, map_location, None, strict, True, **arguments)

    @property
    def shard(self) -> Shard:
        """The shard of this device; without a trainer, the whole batch."""
        return UNSHARDED if self._trainer is None else Shard(self._trainer.global_rank, self._trainer.world_size)

    def training_step(self, batch: AnyBatch, batch_idx: int) -> Tensor:
        """Return the cross-entropy summed over time and averaged over the batch, the scale of Zaremba's clipping.

        A batch with fewer sentences is still divided by `batch_size`. So a word has the same weight in every batch, of
        sentences and of streams, and a learning rate means the same for both. The penalties are on the same scale.

        With several devices, the loss and the gradient are the means of what each device returns.
        """
        with record_calls(self.model.output_dropout) as outputs:
            loss, nats, tokens = self._shared_step("train", batch, batch_idx)
        self.train_perplexity.update(nats, tokens)
        penalties = self.config.activation_penalty, self.config.temporal_penalty
        if any(penalties):  # on the first outputs: with length conditioning, those that predict the words
            output_TBH, dropped_TBH = outputs[0]
            loss = loss + output_penalty(output_TBH, dropped_TBH, _scored(batch), *penalties)
        return loss * self.shard.devices / self.config.batch_size

    def validation_step(self, batch: AnyBatch, batch_idx: int) -> None:
        """Add the batch to the validation perplexity."""
        _, nats, tokens = self._shared_step("valid", batch, batch_idx)
        self.valid_perplexity.update(nats, tokens)

    def _shared_step(self, stream: str, batch: AnyBatch, batch_idx: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss to minimise, the nats and the number of targets. Keep the hidden states of a stream.

        The nats include a predicted length as it is predicted before the first word of a sentence. The loss also
        includes its prediction before every other word, so that a length can be predicted after a prompt.
        """
        tokens = (batch.targets_TB != IGNORE_INDEX).sum()
        if isinstance(batch, SentenceBatch):
            found = self.model.sentence_loss(batch)
            return found.words + found.length_auxiliary, found.words + found.lengths, tokens
        # Not in on_train_epoch_start, which a run skips that resumes after the last batch of an epoch.
        before = None if batch_idx == 0 else self._states[stream]
        nats, after = self.model.total_nats(batch.inputs_TB, batch.targets_TB, before)
        self._states[stream] = detach_states(after)
        return nats, nats, tokens

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimiser and the schedule of the config."""
        config, parameters = self.config, self.model.parameters()
        optimizer = make_optimizer(
            config.optimizer, parameters, self.device, config.lr, config.weight_decay, **config.optimizer_options
        )
        # Sparse gradients would make a GPU wait, and several devices can only average dense ones.
        on_one_cpu = self.device.type == "cpu" and self.shard == UNSHARDED
        self.model.embedding.sparse = on_one_cpu and OPTIMIZERS[config.optimizer].sparse and not config.tie_weights
        # Not `estimated_stepping_batches`, which makes Lightning forget where to resume in the training split.
        scheduler = make_scheduler(config, optimizer, lambda: int(self.trainer.num_training_batches))
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip the gradients of any optimiser to `max_grad_norm`, and record their norm."""
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        norm = total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        self.grad_norm.update(norm)
        self.last_norm = norm
        by_grad_scale = OPTIMIZERS[self.config.optimizer].grad_scale
        clip_gradients(optimizer, self.config.max_grad_norm, norm, by_grad_scale, self._relative_length)

    def on_train_batch_start(self, batch: AnyBatch, batch_idx: int) -> None:
        """Keep the length of a random window relative to `seq_len`."""
        if self.config.random_seq_len:
            self._relative_length = len(batch.targets_TB) / self.config.seq_len

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Take a step, whose learning rate is scaled by the relative length of a random window."""
        with scaled_lr(optimizer, self._relative_length):
            super().optimizer_step(epoch, batch_idx, optimizer, *args, **kwargs)

    def on_train_epoch_start(self) -> None:
        """Reset the sums of the epoch."""
        self._validated = False
        self.train_perplexity.reset()
        self.grad_norm.reset()

    def on_validation_epoch_start(self) -> None:
        """Reset the sums of the validation."""
        self.valid_perplexity.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the validation perplexity for the checkpoints and the progress bar."""
        self._validated = True
        # The same on all devices already: sync_dist only silences Lightning's warning. Its mean of this one value would
        # be rounded to the precision of the weights; the maximum is not.
        value = self.valid_perplexity.compute()
        self.log("valid_ppl", value, reduce_fx="max", prog_bar=True, logger=False, sync_dist=True)
        update_plateau(self.lr_schedulers(), float(value))

    def validation_perplexity(self) -> float | None:
        """Return the validation perplexity after this epoch, or None if it was not measured."""
        return float(self.valid_perplexity.compute()) if self._validated else None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the metadata, and what an exact continuation needs beyond the weights.

        The hidden states are those of the whole batch. Random states and sums are saved for each device.
        """
        checkpoint["metadata"] = self.metadata
        checkpoint["states"] = concat_states(all_gather(self._states))
        checkpoint |= _stacked(all_gather(rng_states(self.device)))
        checkpoint["state_dict"] |= _stacked(all_gather(self._sums(checkpoint["state_dict"])))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the sums of this device. Hidden and random states are restored when training starts."""
        self._states = checkpoint["states"]
        self._rng_states = saved_rng_states(checkpoint)
        for name, sums in self._sums(checkpoint["state_dict"]).items():
            # With more devices than before, some get none; with fewer, some get several.
            own = sums.reshape(-1)[self.shard.rank :: self.shard.devices]
            checkpoint["state_dict"][name] = own.sum()

    @staticmethod
    def _sums(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value for name, value in state_dict.items() if name.startswith(SUMS)}

    def on_train_start(self) -> None:
        """Restore this device's hidden states and random states of an interrupted run."""
        self._states = shard_states(self._states, self.shard, self.device)
        restore_rng(self._rng_states, self.config.seed, self.shard.rank, self.device)


def _scored(batch: AnyBatch) -> Tensor:
    batch = right_pad(batch) if isinstance(batch, SentenceBatch) else batch
    return batch.targets_TB != IGNORE_INDEX


def _stacked(values: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([value[name] for value in values]) for name in values[0]}
