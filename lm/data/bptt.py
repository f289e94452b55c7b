"""One long stream of ids -> windows of T words by B columns, for truncated back-propagation through time.

The stream `a b c d e f g h i j k` has ten targets, `b` to `k`. Three columns share them out, as evenly as they go,
and every column is read downwards, a window of `seq_len` rows at a time:

    inputs         targets
    a  e  h        b  f  i
    b  f  i        c  g  j      <- with seq_len=2 the first window ends here
    c  g  j        d  h  k
    d  .  .        e  .  .      <- the first column is one longer; dots are padding, never scored

The hidden state is carried from a window to the next, so a column is one unbroken text. With `warmup_tokens=2` all of them
are, nearly: each but the first reads two more words before its own, unscored, and begins in the state that they leave.

    inputs         targets
    a  d  g        b  .  .
    b  e  h        c  .  .
    c  f  i        d  g  j
    d  g  j        e  h  k
    e  h  .        f  i  .
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lm.data.shard import UNSHARDED, Shard

IGNORE_INDEX = -100
"""The target where there is none: PyTorch's `ignore_index`."""


class Batch(NamedTuple):
    """A window of the stream: `inputs_TB` and, a word later, `targets_TB`, both int64."""

    inputs_TB: Tensor
    targets_TB: Tensor


class BPTTBatches:
    """A sized, resumable iterable over the windows of a stream, in which every target stands exactly once.

    Args:
        ids: the stream, [N], any integer type; it may be memory-mapped.
        batch_size: columns.
        seq_len: rows of a window; the last window may have fewer.
        share: of the columns that are given out.
        warmup_tokens: rows in which all columns but the first read without being scored.

    Raises:
        ValueError: where there are fewer targets than columns, those of the lead-in left out.
    """

    def __init__(
        self, ids: Tensor, batch_size: int, seq_len: int, share: Shard = UNSHARDED, warmup_tokens: int = 0
    ) -> None:
        self.ids, self.batch_size, self.seq_len = ids, batch_size, seq_len
        self.state = f"carried, after {warmup_tokens} words" if warmup_tokens else "carried"
        self.num_targets = len(ids) - 1
        if self.num_targets - warmup_tokens < batch_size:
            raise ValueError(
                f"expected a split with more words than batch_size={batch_size}, found {len(ids)}: "
                f"type batch_size={max(1, self.num_targets)} or less, or give a longer text"
            )
        columns = share.of(torch.arange(batch_size))
        length, longer = divmod(self.num_targets - warmup_tokens, batch_size)
        self._rows = warmup_tokens + length + (longer > 0)  # of the whole batch: all devices have as many windows
        self._starts_B = columns * length + columns.clamp(max=longer)
        self._unscored_B = warmup_tokens * (columns > 0)
        self._lengths_B = warmup_tokens + length + (columns < longer).long()
        self._next_window = self._resume_at = 0

    def __len__(self) -> int:
        """How many windows there are."""
        return -(-self._rows // self.seq_len)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the windows in order; the first time after `load_state_dict`, from its position on."""
        first, self._resume_at = self._resume_at, 0
        for index in range(first, len(self)):
            self._next_window = index + 1
            yield self.window(index)

    def window(self, index: int) -> Batch:
        """Return window `index`, counted from 0."""
        rows_T1 = torch.arange(index * self.seq_len, min((index + 1) * self.seq_len, self._rows))[:, None]
        positions_TB = (self._starts_B + rows_T1).clamp(max=self.num_targets - 1)
        unscored_TB = (rows_T1 < self._unscored_B) | (rows_T1 >= self._lengths_B)
        targets_TB = self.ids[positions_TB + 1].long().masked_fill(unscored_TB, IGNORE_INDEX)
        return Batch(self.ids[positions_TB].long(), targets_TB)

    def state_dict(self) -> dict[str, Any]:
        """Return the position: the next window's index."""
        return {"next_window": self._next_window}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a position that `state_dict` gave; after the last window that is the first one."""
        self._next_window = self._resume_at = state["next_window"] % len(self)
