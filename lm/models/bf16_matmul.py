"""Matrix products on a processor from factors in bfloat16, whose products hardware sums twice as fast and faster.

Sums within a product are of float32, its result is rounded to bfloat16, and what is computed from that should be in
float32 again. PyTorch's own way, `torch.set_float32_matmul_precision("medium")`, does it on processors with AMX only;
on others it has all products, the small ones of each time step too, go through a slower library that gains nothing.
"""

import torch
from torch import Tensor

BLOCK_ELEMENTS = 2**21
"""Numbers of a product that is added to a wider one: 4 MB of bfloat16, which a processor's cache still holds when they
are read to be added."""

_rounding = False


def allow_bf16_matmul(allowed: bool) -> None:
    """Let this process's float32 products on a processor round their factors, or not, which is how it starts."""
    global _rounding
    _rounding = allowed


def bf16_matmul_allowed() -> bool:
    """Say whether they may."""
    return _rounding


def uses_bf16(x: Tensor) -> bool:
    """Say whether a product with this factor is to be computed in bfloat16."""
    return _rounding and x.dtype == torch.float32 and x.device.type == "cpu"


def to_matmul_dtype(x: Tensor) -> Tensor:
    """Return `x` as a product is to read it: rounded to bfloat16, or as it is."""
    return x.bfloat16() if uses_bf16(x) else x


def add_matmul(total: Tensor, left: Tensor, right: Tensor, start: bool = False) -> None:
    """Add the product of two factors to `total`, or `start` it with that; `total` may be of a wider dtype than they."""
    if total.dtype == left.dtype:
        total.addmm_(left, right, beta=0 if start else 1)
        return
    size = max(1, BLOCK_ELEMENTS // total.shape[1])
    for rows in (slice(row, row + size) for row in range(0, len(total), size)):
        if start:
            total[rows] = left[rows] @ right
        else:
            total[rows] += left[rows] @ right
