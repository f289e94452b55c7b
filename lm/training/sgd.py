"""Stochastic gradient descent that reads and writes as little memory as possible, since that limits a CPU.

A gradient is read once for its norm, and once when it is clipped and added to the weights in one operation. The
gradient of the embedding is sparse: it has only the rows of the words in the batch.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class SGD(torch.optim.SGD):
    """`torch.optim.SGD` without momentum, which divides dense and sparse gradients by `grad_scale`.

    Weight decay is applied to all weights, also if their gradient is sparse, which PyTorch refuses. State dicts are
    those of torch.optim.SGD. On a GPU, a step would wait for `grad_scale`.
    """

    grad_scale: Tensor | float = 1.0

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set all gradients to None, without PyTorch's record for its profiler, which takes longer."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters after calling `closure`, if any; return what it returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rate = group["lr"] / float(self.grad_scale)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    if group["weight_decay"]:
                        parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(parameter.grad, alpha=-rate)
        return loss


def total_norm(gradients: Iterable[Tensor]) -> Tensor:
    """Return the 2-norm of all gradients together, a scalar. For dense gradients it does not wait for the device."""
    values = [gradient.coalesce().values() if gradient.is_sparse else gradient for gradient in gradients]
    return torch.nn.utils.get_total_norm(values)
