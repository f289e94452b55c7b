"""Every random mask: which elements are dropped, and by how much the others are scaled up."""

import torch
from torch import Tensor, nn

VALUES = 2**16
"""The number of values of 16 random bits: a probability is rounded to a multiple of 1 / 65,536."""


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, which on a CPU draws its masks from 16 random bits per element, four times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Zero each element with probability `p` and scale up the others, in training."""
        if not self.training or self.p in (0, 1) or x.device.type != "cpu":
            return super().forward(x)
        return x * scaled_mask(x, self.p)


def scaled_mask(x: Tensor, p: float) -> Tensor:
    """Return a mask like `x`, a tensor on a CPU: 0 with probability `p`, between 0 and 1, and else 1 / (1 - p)."""
    values_kept = max(round((1 - p) * VALUES), 1)
    kept = _random_int16(x).le_(values_kept - 1 - VALUES // 2)
    return kept.to(x.dtype).mul_(VALUES / values_kept)


def _random_int16(x: Tensor) -> Tensor:
    """Return uniform int16 values in the shape of `x`; the generator is called once for four of them."""
    fours = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    return fours.view(torch.int16)[: x.numel()].view(x.shape)
