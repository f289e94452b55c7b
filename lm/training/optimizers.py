"""The optimisers by name. A new one is an entry here and `conf/optimizer/<name>.yaml`, whose further keys it takes.

python -m lm.train optimizer=sgd
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lm.checks import check_choice
from lm.training.sgd import SGD


@dataclass(frozen=True)
class OptimizerEntry:
    """What is true of one optimiser.

    Args:
        on_cpu: its class on a CPU.
        on_gpu: its class on a GPU.
        sparse: whether it takes sparse gradients of the embedding on a CPU.
        grad_scale: whether its step divides gradients by `grad_scale` as it reads them. Other optimisers get gradients
            that have been scaled before.
    """

    on_cpu: Callable[..., torch.optim.Optimizer]
    on_gpu: Callable[..., torch.optim.Optimizer]
    sparse: bool = False
    grad_scale: bool = False


OPTIMIZERS = {
    "sgd": OptimizerEntry(SGD, torch.optim.SGD, sparse=True, grad_scale=True),
}


def make_optimizer(
    name: str, parameters: Iterable[Tensor], device: torch.device, lr: float, **options: Any
) -> torch.optim.Optimizer:
    """Return the optimiser of that name in its fused implementation, which needs fewest passes over the weights.

    Raises:
        ValueError: if no optimiser has that name.
    """
    check_choice("optimizer", name, OPTIMIZERS)
    entry = OPTIMIZERS[name]
    make = entry.on_cpu if device.type == "cpu" else entry.on_gpu
    return make(parameters, lr=lr, fused=True, **options)


def clip_gradients(optimizer: torch.optim.Optimizer, max_norm: float, norm: Tensor, by_grad_scale: bool) -> None:
    """Scale the gradients of any optimiser down to a norm of `max_norm`, given the norm that they have.

    Args:
        optimizer: after its backward pass.
        max_norm: the largest norm allowed.
        norm: of all gradients together, a scalar.
        by_grad_scale: leave the scaling to the optimiser's step, which reads every gradient anyway.
    """
    scale = (norm / max_norm).clamp(min=1.0).float()  # fused optimisers take a float32, whatever the weights are
    if by_grad_scale:
        optimizer.grad_scale = scale  # type: ignore[attr-defined]
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.div_(scale)
