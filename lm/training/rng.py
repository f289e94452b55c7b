"""The random numbers of a device: where they were, so that a run goes on with them; no two devices draw the same."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

CPU, CUDA = "rng_state", "cuda_rng_state"


def rng_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of the generators that training on this device draws from, by name."""
    states = {CPU: torch.get_rng_state()}
    return states | {CUDA: torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def saved_rng_states(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a checkpoint's states of each device, [devices, bytes], by name; earlier versions saved one device's."""
    found = {name: checkpoint[name] for name in (CPU, CUDA) if name in checkpoint}
    return {name: states.reshape(-1, states.shape[-1]) for name, states in found.items()}


def restore_rng(saved: Mapping[str, Tensor], seed: int, rank: int, device: torch.device) -> None:
    """Go on from a device's saved states; without, the first device stays where it is, and others start elsewhere."""
    if rank > 0:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0]))
    # A copy, for PyTorch reads beyond the end of a view.
    own = {name: states[rank].clone().cpu() for name, states in saved.items() if rank < len(states)}
    if CPU in own:
        torch.set_rng_state(own[CPU])
    if CUDA in own and device.type == "cuda":
        torch.cuda.set_rng_state(own[CUDA], device)
