"""The columns of a batch, shared out among the devices that train one model together.

Of seven columns, three devices have

    a b c d e f g   ->   a b c | d e | f g

A column keeps its device, and so does its hidden state; the devices' batches side by side are the whole batch.
"""

from typing import NamedTuple

from torch import Tensor


class Shard(NamedTuple):
    """What one of several devices has: `rank`, counted from 0, of `devices`."""

    rank: int = 0
    devices: int = 1

    def of(self, columns: Tensor, dim: int = 0) -> Tensor:
        """Return the columns of this device, out of all along a dimension; none where there are fewer than devices."""
        return columns.tensor_split(self.devices, dim)[self.rank]


UNSHARDED = Shard()
