"""What the processes of one run on several devices tell each other; with one device there is nothing to tell.

Every process has to take part: one that asks alone waits for ever.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, distributed

from lm.data.shard import Shard

T = TypeVar("T")


def all_reduce_sum(value: Tensor) -> Tensor:
    """Return the sum of all processes' values."""
    if not distributed.is_initialized():
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total


def all_reduce_max(number: int, device: torch.device) -> int:
    """Return the largest of all processes' numbers; `device` is where this one computes."""
    if not distributed.is_initialized():
        return number
    found = torch.tensor(number, device=device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found)


def all_gather(value: T) -> list[T]:
    """Return all processes' values in the order of their ranks, tensors on the CPU."""
    here: T = apply_to_collection(value, Tensor, Tensor.cpu)
    if not distributed.is_initialized():
        return [here]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, here)
    return values


def concat_states(states: Sequence[Any]) -> Any:
    """Return the hidden states of all columns, [1, B, H], out of those of each device, however they are nested."""
    first = states[0]
    if isinstance(first, Tensor):
        return torch.cat(list(states), dim=1)
    if isinstance(first, dict):
        return {key: concat_states([state[key] for state in states]) for key in first}
    return type(first)(concat_states(parts) for parts in zip(*states, strict=True))


def shard_states(states: Any, share: Shard, device: torch.device) -> Any:
    """Return a device's share of what `concat_states` gave, whatever number of devices that had been."""
    return apply_to_collection(states, Tensor, lambda state: share.take(state, dim=1).contiguous().to(device))
