"""Matrix products on a processor from factors in bfloat16, whose products hardware sums twice as fast and faster.

`torch.set_float32_matmul_precision("medium")` allows it. PyTorch itself then does it on processors with AMX only; with
AVX512-BF16 alone, factors have to be given in bfloat16, and the result is rounded to it, too. Sums within a product are
of float32 either way, and what is computed from its result should be.
"""

import torch
from torch import Tensor


def rounds_factors(x: Tensor) -> bool:
    """Say whether a product with this factor is to be computed in bfloat16."""
    allowed = torch.get_float32_matmul_precision() == "medium"
    return allowed and x.dtype == torch.float32 and x.device.type == "cpu"


def rounded(x: Tensor) -> Tensor:
    """Return `x` as a product is to read it: rounded to bfloat16, or as it is."""
    return x.bfloat16() if rounds_factors(x) else x


def add_product(total: Tensor, left: Tensor, right: Tensor, start: bool = False) -> None:
    """Add the product of two factors to `total`, or `start` it with that; `total` may be of a wider dtype than they."""
    if total.dtype == left.dtype:
        total.addmm_(left, right, beta=0 if start else 1)
    elif start:
        total.copy_(left @ right)
    else:
        total.add_(left @ right)


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return the product of two matrices in their own dtype, however its factors are rounded."""
    return (rounded(left) @ rounded(right)).to(left.dtype)
