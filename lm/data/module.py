"""The LightningDataModule: a corpus's splits as streams of windows."""

import pytorch_lightning as pl

from lm.data.corpus import Corpus
from lm.data.streams import Streams

EVALUATION_WINDOW = 4096
"""Words in a window where no gradient is needed: any length gives the same number, and long ones are faster."""


def evaluation_streams(corpus: Corpus, split: str, batch_size: int) -> Streams:
    """Return a split's windows for scoring: the same columns as in training, cut into longer windows."""
    return Streams(corpus.splits[split], batch_size, seq_len=max(1, EVALUATION_WINDOW // batch_size))


class StreamsDataModule(pl.LightningDataModule):
    """Batches a corpus as Zaremba et al. do: columns of one long stream, read window by window.

    Args:
        corpus: the three splits.
        batch_size: columns of the training and the validation stream.
        seq_len: words a training window.

    Raises:
        ValueError: where a split is too short for that many columns.
    """

    def __init__(self, corpus: Corpus, batch_size: int, seq_len: int) -> None:
        super().__init__()
        self.train = Streams(corpus.splits["train"], batch_size, seq_len)
        self.valid = evaluation_streams(corpus, "valid", batch_size)

    def train_dataloader(self) -> Streams:
        """Return the training windows."""
        return self.train

    def val_dataloader(self) -> Streams:
        """Return the validation windows."""
        return self.valid
