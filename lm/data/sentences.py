"""Sentences -> batches of [T, B], one sentence per column, each read from a zero initial hidden state.

The sentences `a b .`, `c d e .` and `f .`, where `.` is `<eos>`, have nine targets: every word and every end. The
first word is predicted from `<eos>`. A shorter sentence is filled up with padding (`-`), on the right or the left:

    inputs      targets             inputs      targets
    .  .  .     a  c  f             -  .  -     -  c  -
    a  c  f     b  d  .             .  c  -     a  d  -
    b  d  -     .  e  -             a  d  .     b  e  f
    -  e  -     -  .  -             b  e  f     .  .  .

With `max_length=3` the second one is truncated to `c d e`, or on the left to `d e .`, of which the first is predicted
from `c`: an input is always the word before its target.

The side of the padding changes no number, because `right_pad` undoes it before the words are read. A batch has
sentences of similar length, so that there is little of it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lm.data.bptt import IGNORE_INDEX, Batch
from lm.data.resumable import Resumable
from lm.data.shard import UNSHARDED, Shard


class SentenceBatch(NamedTuple):
    """Sentences side by side: `inputs_TB`, the word after each, and the number of words from there on; all int64.

    Padding is where `targets_TB` is `IGNORE_INDEX`. `remaining_TB` counts the words from the target on, `<eos>`
    excluded, in the sentence before truncation.
    """

    inputs_TB: Tensor
    targets_TB: Tensor
    remaining_TB: Tensor


AnyBatch = Batch | SentenceBatch
"""A batch of streams, or of sentences."""


class Sentences(Resumable[SentenceBatch]):
    """A sized, resumable iterable over batches of sentences, each of which is in one batch of an epoch.

    Args:
        ids: the text, [N], any integer type, with `<eos>` after every sentence; it may be memory-mapped.
        eos_id: the id of `<eos>`.
        batch_size: number of columns; the last batch in order of length may have fewer.
        max_length: the most targets of a sentence, its `<eos>` included; None for all.
        truncation_side: the side on which a longer one is cut, `left` or `right`.
        padding_side: the side on which a shorter one is filled up, `left` or `right`.
        bucket_width: sentences whose lengths fall into the same bucket of this width are shuffled.
        seed: of the order, which is another one in each epoch (`set_epoch`); None for one order, by length.
        shard: the columns of each batch to return, by default all.
    """

    state = "reset"

    def __init__(
        self,
        ids: Tensor,
        eos_id: int,
        batch_size: int,
        max_length: int | None = None,
        truncation_side: str = "right",
        padding_side: str = "right",
        bucket_width: int = 1,
        seed: int | None = None,
        shard: Shard = UNSHARDED,
    ) -> None:
        self.ids, self.eos_id, self.batch_size = ids, eos_id, batch_size
        self.padding_side, self.bucket_width, self.seed, self.shard = padding_side, bucket_width, seed, shard
        self._ends_S = (ids == eos_id).nonzero()[:, 0] + 1
        whole_S = self._ends_S.diff(prepend=self._ends_S.new_zeros(1))
        self._lengths_S = whole_S if max_length is None else whole_S.clamp(max=max_length)
        self._starts_S = self._ends_S - (whole_S if truncation_side == "right" else self._lengths_S)
        self.num_targets = int(self._lengths_S.sum())
        self.num_truncated = len(ids) - self.num_targets

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._lengths_S) // self.batch_size)

    def batches_from(self, first: int) -> Iterator[SentenceBatch]:
        """Yield the batches of the epoch from this one on."""
        return map(self._own, self.batches(self._epoch)[first:])

    def batches(self, epoch: int) -> list[Tensor]:
        """Return the indices of the sentences in each batch of an epoch."""
        if self.seed is None:
            return list(torch.split(self._lengths_S.argsort(stable=True), self.batch_size))
        generator = np.random.default_rng([self.seed, epoch])
        chance_S = torch.from_numpy(generator.random(len(self._lengths_S)))
        order_S = (self._lengths_S // self.bucket_width + chance_S).argsort()
        by_length = torch.split(order_S, self.batch_size)
        return [by_length[index] for index in generator.permutation(len(by_length))]

    def _own(self, sentences_B: Tensor) -> SentenceBatch:
        own_B = self.shard.take(sentences_B)
        if len(own_B):
            return self.batch(own_B)
        # A device without a sentence takes the step, too, with padding alone.
        batch = self.batch(sentences_B[:1])
        return batch._replace(targets_TB=torch.full_like(batch.targets_TB, IGNORE_INDEX))

    def batch(self, sentences_B: Tensor) -> SentenceBatch:
        """Return the sentences with these indices as a batch."""
        lengths_B = self._lengths_S[sentences_B]
        longest = int(lengths_B.max())
        rows_TB = torch.arange(longest)[:, None] - (longest - lengths_B if self.padding_side == "left" else 0)
        padded_TB = (rows_TB < 0) | (rows_TB >= lengths_B)
        positions_TB = (self._starts_S[sentences_B] + rows_TB).masked_fill(padded_TB, 0)
        # Before the first word is the end of the sentence before; before the whole text, at -1, the end of the text.
        inputs_TB = self.ids[positions_TB - 1].long().masked_fill(padded_TB, self.eos_id)
        targets_TB = self.ids[positions_TB].long().masked_fill(padded_TB, IGNORE_INDEX)
        remaining_TB = (self._ends_S[sentences_B] - 1 - positions_TB).masked_fill(padded_TB, 0)
        return SentenceBatch(inputs_TB, targets_TB, remaining_TB)

    @property
    def padding(self) -> float:
        """The fraction of padding in the first epoch's batches; other epochs differ a little."""
        places = sum(int(self._lengths_S[batch].max()) * len(batch) for batch in self.batches(epoch=0))
        return 1 - self.num_targets / places


def right_pad(batch: SentenceBatch) -> SentenceBatch:
    """Return the batch with the padding of every column moved behind its words, whose states it then can't reach."""
    order_TB = (batch.targets_TB == IGNORE_INDEX).byte().argsort(dim=0, stable=True)
    return SentenceBatch(*(part_TB.gather(0, order_TB) for part_TB in batch))
