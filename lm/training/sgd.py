"""Plain gradient descent on a processor, where an update costs what it reads and writes.

The gradient is read once for its norm, and once more, scaled by the clipping as it is added to the weights. Of the
embedding, a step's gradient has only the rows of the words that it read: a sparse tensor.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class SGD(torch.optim.SGD):
    """`torch.optim.SGD` without its extras, along gradients divided by `grad_scale`, for dense and sparse ones.

    State dicts interchange with torch.optim.SGD's. A step reads `grad_scale`, for which it would have to
    wait on a GPU.
    """

    grad_scale: Tensor | float = 1.0

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; there is no other way, and no record for PyTorch's profiler, which takes longer."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Compute gradients by `closure`, move every parameter against its own; return what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rate = group["lr"] / float(self.grad_scale)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.add_(parameter.grad, alpha=-rate)
        return loss


def total_norm(gradients: Iterable[Tensor]) -> Tensor:
    """Return the 2-norm of all gradients, dense or sparse, together: a scalar that nothing has waited for, if dense."""
    values = [gradient.coalesce().values() if gradient.is_sparse else gradient for gradient in gradients]
    return torch.nn.utils.get_total_norm(values)
