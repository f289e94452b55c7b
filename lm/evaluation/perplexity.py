"""Perplexity: exp(total nats / total tokens)."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric


def perplexity(nats: float, tokens: int) -> float:
    """Return exp(nats / tokens); infinity if that is too large for a float, NaN without tokens."""
    try:
        return math.exp(nats / tokens)
    except OverflowError:
        return math.inf
    except ZeroDivisionError:
        return math.nan


class Perplexity(Metric):
    """Sums nats (in float64) and tokens over the batches of a text, and over devices."""

    nats: Tensor
    tokens: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("nats", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum", persistent=True)
        self.add_state("tokens", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum", persistent=True)

    def update(self, nats: Tensor, tokens: Tensor | int) -> None:
        """Add the summed nats of some tokens."""
        self.nats += nats.detach()
        self.tokens += tokens

    def compute(self) -> Tensor:
        """Return the perplexity of everything added, a float64 scalar; NaN if there is nothing."""
        return torch.exp(self.nats / self.tokens)
