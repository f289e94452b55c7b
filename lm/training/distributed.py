"""Collective operations of a run's processes, one per device. With one device they return their argument.

All processes must call them, or those that do wait for ever.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, distributed

from lm.data.shard import Shard

T = TypeVar("T")


def is_alone() -> bool:
    """Return whether this is the only process, with or without a strategy for several."""
    return not distributed.is_initialized() or distributed.get_world_size() == 1


def all_reduce_sum(value: Tensor) -> Tensor:
    """Return the sum over all processes."""
    if is_alone():
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total


def all_reduce_max(number: int, device: torch.device) -> int:
    """Return the maximum over all processes; `device` is that of this process."""
    if is_alone():
        return number
    found = torch.tensor(number, device=device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found)


def all_gather(value: T) -> list[T]:
    """Return the values of all processes in the order of their ranks, tensors on the CPU."""
    here: T = apply_to_collection(value, Tensor, Tensor.cpu)
    if is_alone():
        return [here]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, here)
    return values


def concat_states(states: Sequence[Any]) -> Any:
    """Concatenate the hidden states of all devices, in any nesting, along the batch: [1, B, H]."""
    first = states[0]
    if isinstance(first, Tensor):
        return torch.cat(list(states), dim=1)
    if isinstance(first, dict):
        return {key: concat_states([state[key] for state in states]) for key in first}
    return type(first)(concat_states(parts) for parts in zip(*states, strict=True))


def shard_states(states: Any, shard: Shard, device: torch.device) -> Any:
    """Return the shard of a device from the output of `concat_states`, saved with any number of devices."""
    return apply_to_collection(states, Tensor, lambda state: shard.take(state, dim=1).contiguous().to(device))
