"""Averaged stochastic gradient descent (Polyak and Juditsky, 1992) under a learning rate schedule."""

from collections.abc import Callable
from typing import Any

import torch


class ASGD(torch.optim.ASGD):
    """`torch.optim.ASGD`, whose step uses the current learning rate.

    PyTorch computes the step size `eta` and the weight `mu` of the average at the end of a step, for the next one. So
    it applies the learning rate of the step before, and leaves the first weights after `t0` out of the average. At a
    constant learning rate the weights are PyTorch's.

    The average, `state[parameter]["ax"]`, is the mean of the weights after each step from step `t0` + 1 on.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters and their averages after calling `closure`, if any; return what it returns."""
        for group in self.param_groups:
            lr, lambd = float(group["lr"]), group["lambd"]
            for state in (self.state[parameter] for parameter in group["params"] if self.state.get(parameter)):
                state["eta"], state["mu"] = state["eta"].float(), state["mu"].float()  # a checkpoint may have cast them
                steps = float(state["step"])
                state["eta"].fill_(lr / (1 + lambd * lr * steps) ** group["alpha"])
                state["mu"].fill_(1 / max(1, steps + 1 - group["t0"]))
        return super().step(closure)
