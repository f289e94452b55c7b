"""The LightningDataModule: a corpus's splits in batches."""

from typing import Any

import pytorch_lightning as pl
import torch

from lm.data.batching import Batches, Batching
from lm.data.corpus import Corpus
from lm.data.shard import Shard


class CorpusDataModule(pl.LightningDataModule):
    """Batches a corpus: columns of one long stream as Zaremba et al. have them, or sentences.

    With several devices, each has its share of the columns.

    Args:
        corpus: the three splits.
        batching: how they are cut.

    Raises:
        ValueError: where a split is too short for that many columns.
    """

    def __init__(self, corpus: Corpus, batching: Batching) -> None:
        super().__init__()
        self.corpus, self.batching = corpus, batching
        self.train = batching.training(corpus)
        self.valid = batching.evaluation(corpus, "valid", batching.batch_size)

    @property
    def share(self) -> Shard:
        """The device's share, which is known only when all devices have been started."""
        assert self.trainer is not None
        return Shard(self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self) -> Batches:
        """Return the training batches."""
        return self.batching.training(self.corpus, self.share)

    def val_dataloader(self) -> Batches:
        """Return the validation batches."""
        return self.batching.evaluation(self.corpus, "valid", self.batching.batch_size, self.share)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return a batch on its device; a GPU fetches it by itself, out of pinned memory, and nothing waits for it."""
        if device.type == "cpu":
            return batch  # as it is; Lightning would look through its parts, at every step, to find that out
        if device.type == "cuda":
            batch = type(batch)(*(part_TB.pin_memory() for part_TB in batch))
        return super().transfer_batch_to_device(batch, device, dataloader_idx)
