"""One long stream of ids -> batches of T words by B columns, for truncated back-propagation through time.

The stream `a b c d e f g h i j k` has ten targets, `b` to `k`. They are divided among three columns as evenly as
possible, and every column is read downwards, `seq_len` rows at a time:

    inputs         targets
    a  e  h        b  f  i
    b  f  i        c  g  j      <- with seq_len=2 the first batch ends here
    c  g  j        d  h  k
    d  .  .        e  .  .      <- the first column is one longer; dots are padding, never scored

The hidden state is carried from batch to batch, so a column is one unbroken text. To score all columns almost as one
text, `warmup_tokens=2` lets each but the first read two more words before its own, unscored, to build up a state:

    inputs         targets
    a  d  g        b  .  .
    b  e  h        c  .  .
    c  f  i        d  g  j
    d  g  j        e  h  k
    e  h  .        f  i  .

Two options give every epoch other batches. `random_seq_len` varies the rows of a batch around `seq_len`.
`partial_shuffle` starts each column at a random row; behind its end it continues at its beginning, so that every target
still occurs once. Here the columns start at rows 1, 2 and 0, and the batch has all rows:

    inputs         targets
    b  g  h        c  h  i
    c  e  i        d  f  j
    d  f  j        e  g  k
    a  .  .        b  .  .
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lm.data.resumable import Resumable
from lm.data.shard import UNSHARDED, Shard

IGNORE_INDEX = -100
"""The target of padding: PyTorch's default `ignore_index`."""


class Batch(NamedTuple):
    """Words of the stream, `inputs_TB`, and the word after each, `targets_TB`; both int64."""

    inputs_TB: Tensor
    targets_TB: Tensor


class BPTTBatches(Resumable[Batch]):
    """A sized, resumable iterable over the batches of a stream, in which every target occurs exactly once.

    Args:
        ids: the stream, [N], any integer type; it may be memory-mapped.
        batch_size: number of columns.
        seq_len: rows of a batch; the last batch may have fewer.
        shard: the columns to return, by default all.
        warmup_tokens: rows that all columns but the first read without being scored.
        name: the stream's, for error messages.
        random_seq_len: draw the number of rows of each batch, as `random_edges` does.
        partial_shuffle: rotate each column by a random number of rows.
        seed: of what is drawn in each epoch; it is the same on all devices.

    Raises:
        ValueError: if there are fewer targets than columns, warm-up tokens excluded.
    """

    def __init__(
        self,
        ids: Tensor,
        batch_size: int,
        seq_len: int,
        shard: Shard = UNSHARDED,
        warmup_tokens: int = 0,
        name: str = "text",
        random_seq_len: bool = False,
        partial_shuffle: bool = False,
        seed: int = 1,
    ) -> None:
        self.ids, self.batch_size, self.seq_len = ids, batch_size, seq_len
        self.random_seq_len, self.partial_shuffle, self.seed = random_seq_len, partial_shuffle, seed
        self.state = f"carried, after {warmup_tokens} words" if warmup_tokens else "carried"
        self.num_targets = len(ids) - 1
        if (scored := self.num_targets - warmup_tokens) < batch_size:
            smaller = f"type batch_size={scored} or less, or " if scored > 0 else ""
            raise ValueError(
                f"expected the {name} to have more words than batch_size={batch_size}, found {len(ids)}: "
                f"{smaller}use a longer text"
            )
        columns = shard.take(torch.arange(batch_size))
        if not len(columns):  # more devices than columns: all take every step, this one with padding alone
            columns = torch.tensor([batch_size])
        self._columns = columns
        length, longer = divmod(self.num_targets - warmup_tokens, batch_size)
        self._rows = warmup_tokens + length + (longer > 0)  # of the whole batch: all devices have as many batches
        self._starts_B = columns * length + columns.clamp(max=longer)
        self._unscored_B = warmup_tokens * (columns > 0)
        self._lengths_B = (warmup_tokens + length + (columns < longer).long()) * (columns < batch_size)
        self.set_epoch(0)

    def __len__(self) -> int:
        """Return the number of batches, the same in every epoch."""
        return len(self._edges) - 1

    def batches_from(self, first: int) -> Iterator[Batch]:
        """Yield the batches of the epoch from this one on."""
        return map(self.batch, range(first, len(self)))

    def batch(self, index: int) -> Batch:
        """Return batch `index` of the epoch, counted from 0."""
        rows_T1 = torch.arange(self._edges[index], self._edges[index + 1])[:, None]
        rows_TB = rows_T1
        if self.partial_shuffle:
            rows_TB = (rows_T1 + self._offsets_B) % self._lengths_B.clamp(min=1)
        positions_TB = (self._starts_B + rows_TB).clamp(max=self.num_targets - 1)
        unscored_TB = (rows_T1 < self._unscored_B) | (rows_T1 >= self._lengths_B)
        targets_TB = self.ids[positions_TB + 1].long().masked_fill(unscored_TB, IGNORE_INDEX)
        return Batch(self.ids[positions_TB].long(), targets_TB)

    def set_epoch(self, epoch: int) -> None:
        """Draw the lengths and offsets of an epoch, counted from 0; the next iteration uses them."""
        self._epoch = epoch
        self._edges = [*range(0, self._rows, self.seq_len), self._rows]
        if self.random_seq_len:
            self._edges = random_edges(self._rows, self.seq_len, np.random.default_rng([self.seed, epoch, 0]))
        if self.partial_shuffle:
            fractions = np.random.default_rng([self.seed, epoch, 1]).random(self.batch_size + 1)
            self._offsets_B = (torch.from_numpy(fractions)[self._columns] * self._lengths_B).long()


def random_edges(rows: int, seq_len: int, generator: np.random.Generator) -> list[int]:
    """Return the rows at which batches of random lengths begin, and the last one's end.

    The lengths are those of Merity et al. (2017, arXiv:1708.02182): normal around `seq_len`, or in one of 20 batches
    around half of it, with a standard deviation of 5, and at least 5. They are then scaled by a factor near 1, so that
    every epoch has the same number of batches, on which schedules depend.
    """
    batches = max(1, round(rows / (0.95 * seq_len + 0.05 * seq_len / 2)))
    means = np.where(generator.random(batches) < 0.95, seq_len, seq_len / 2)
    lengths = generator.normal(means, 5).astype(int).clip(min=5)
    edges = np.rint(lengths.cumsum() * (rows / lengths.sum()))
    return [0, *(int(edge) for edge in edges)]
