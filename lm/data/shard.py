"""The columns of a batch, split across the devices that train one model together.

Of seven columns, three devices have

    a b c d e f g   ->   a b c | d e | f g

A column keeps its device, and so does its hidden state; the devices' batches side by side are the whole batch.
"""

from typing import NamedTuple

from torch import Tensor


class Shard(NamedTuple):
    """The part of a batch on one of several devices: `rank`, counted from 0, of `devices`."""

    rank: int = 0
    devices: int = 1

    def take(self, columns: Tensor, dim: int = 0) -> Tensor:
        """Return this device's columns, out of all along `dim`; none if there are fewer columns than devices."""
        return columns.tensor_split(self.devices, dim)[self.rank]


UNSHARDED = Shard()
