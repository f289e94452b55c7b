"""Matrix multiplication in bfloat16 on a CPU, which hardware computes at least twice as fast as in float32.

Sums within a product are accumulated in float32 and the result is rounded to bfloat16; what is computed from it should
be in float32 again. `torch.set_float32_matmul_precision("medium")` does this only on processors with AMX; on others it
sends every product, also the small ones of each time step, through a slower library that gains nothing.
"""

import torch
from torch import Tensor

BLOCK_ELEMENTS = 2**21
"""Elements of a product that is added to a wider total at once: 4 MB of bfloat16, which still lie in the cache then."""

_allowed = False


def allow_bf16_matmul(allowed: bool) -> None:
    """Set whether this process computes its float32 matrix products on a CPU in bfloat16; at the start it does not."""
    global _allowed
    _allowed = allowed


def bf16_matmul_allowed() -> bool:
    """Return whether this process computes its float32 matrix products on a CPU in bfloat16."""
    return _allowed


def uses_bf16(x: Tensor) -> bool:
    """Return whether a matrix product with this factor is computed in bfloat16."""
    return _allowed and x.dtype == torch.float32 and x.device.type == "cpu"


def to_matmul_dtype(x: Tensor) -> Tensor:
    """Return `x` as a matrix product reads it: rounded to bfloat16, or unchanged."""
    return x.bfloat16() if uses_bf16(x) else x


def add_matmul(total: Tensor, left: Tensor, right: Tensor, start: bool = False) -> None:
    """Add `left @ right` to `total`, or overwrite it if `start`; `total` may be of a wider dtype than the factors."""
    if total.dtype == left.dtype:
        total.addmm_(left, right, beta=0 if start else 1)
        return
    size = max(1, BLOCK_ELEMENTS // total.shape[1])
    for rows in (slice(row, row + size) for row in range(0, len(total), size)):
        if start:
            total[rows] = left[rows] @ right
        else:
            total[rows] += left[rows] @ right
