"""The random states of the devices: saved in checkpoints, restored on resume, different on each device."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

CPU, CUDA = "rng_state", "cuda_rng_state"


def rng_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of the random generators that training on this device uses, by name."""
    states = {CPU: torch.get_rng_state()}
    return states | {CUDA: torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def saved_rng_states(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the states in a checkpoint by name, each [devices, bytes]."""
    return {name: checkpoint[name] for name in (CPU, CUDA) if name in checkpoint}


def restore_rng(saved: Mapping[str, Tensor], seed: int, rank: int, device: torch.device) -> None:
    """Restore the saved states of a device. Without any, each device but the first gets a seed of its own."""
    if rank > 0:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0]))
    # A copy, since PyTorch reads beyond the end of a view.
    own = {name: states[rank].clone().cpu() for name, states in saved.items() if rank < len(states)}
    if CPU in own:
        torch.set_rng_state(own[CPU])
    if CUDA in own and device.type == "cuda":
        torch.cuda.set_rng_state(own[CUDA], device)
