"""The LightningDataModule: a corpus's splits in batches."""

import logging
from typing import Any

import pytorch_lightning as pl
import torch

from lm.data.batching import Batches, Batching
from lm.data.corpus import Corpus
from lm.data.shard import Shard

log = logging.getLogger(__name__)


class CorpusDataModule(pl.LightningDataModule):
    """The training and validation batches of a corpus; with several devices, the columns of each.

    Raises:
        ValueError: if the training split is too short for the batch size.
    """

    def __init__(self, corpus: Corpus, batching: Batching) -> None:
        super().__init__()
        self.corpus, self.batching = corpus, batching
        self.train, self.valid = batching.training(corpus), batching.validation(corpus)
        if self.valid.batch_size < batching.batch_size:
            log.info(
                "the validation split has too few words for this batch size: "
                f"it is read with batch size {self.valid.batch_size}"
            )

    @property
    def shard(self) -> Shard:
        """This device's part, which is known once all devices are started."""
        assert self.trainer is not None
        return Shard(self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self) -> Batches:
        """Return the training batches."""
        return self.batching.training(self.corpus, self.shard)

    def val_dataloader(self) -> Batches:
        """Return the validation batches."""
        return self.batching.validation(self.corpus, self.shard)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the batch on the device; a GPU copies it asynchronously from pinned memory."""
        if device.type == "cpu":
            return batch  # Lightning would search through its fields at every step
        if device.type == "cuda":
            batch = type(batch)(*(part_TB.pin_memory() for part_TB in batch))
        return super().transfer_batch_to_device(batch, device, dataloader_idx)
