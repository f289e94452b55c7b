"""The precision of float32 matrix multiplication in this process: full, bf16 on a CPU, or TensorFloat-32 on a GPU.

A CPU with hardware for it multiplies at least twice as fast in bfloat16 as in float32. Sums within a product are
accumulated in float32 and the result is rounded to bfloat16; what is computed from it should be in float32 again.
`torch.set_float32_matmul_precision("medium")` does this only on processors with AMX; on others it sends every product,
also the small ones of each time step, through a slower library that gains nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

FULL = "float32"

BLOCK_ELEMENTS = 2**21
"""Elements of a product that is added to a wider total at once: 4 MB of bfloat16, which still lie in the cache then."""

_bf16_on_cpu = False


def supports_reduced_matmul(device: torch.device) -> bool:
    """Return whether the device has hardware for bf16 matrix multiplication."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    return torch.cpu._is_avx512_bf16_supported()


def reduce_matmul_precision(on_cpu: bool, on_gpu: bool) -> None:
    """Allow bf16 multiplication on the CPU and TensorFloat-32 on GPUs, or neither; at the start neither is allowed."""
    global _bf16_on_cpu
    _bf16_on_cpu = on_cpu
    torch.set_float32_matmul_precision("high" if on_gpu else "highest")
    torch.backends.cudnn.allow_tf32 = on_gpu  # cuDNN's layers have a switch of their own, which is on by default


def matmul_precision(device: torch.device) -> str:
    """Return the precision now in force on a device, in words for the protocol."""
    if device.type == "cuda":
        return "TensorFloat-32" if torch.get_float32_matmul_precision() == "high" else FULL
    return "bf16 (fp32 accumulation)" if _bf16_on_cpu else FULL


@contextmanager
def full_precision_matmul() -> Iterator[None]:
    """Multiply in full float32 within the block, then restore the precision."""
    global _bf16_on_cpu
    before = _bf16_on_cpu, torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    reduce_matmul_precision(on_cpu=False, on_gpu=False)
    try:
        yield
    finally:
        _bf16_on_cpu = before[0]
        torch.set_float32_matmul_precision(before[1])
        torch.backends.cudnn.allow_tf32 = before[2]


def uses_bf16(x: Tensor) -> bool:
    """Return whether a matrix product with this factor is computed in bfloat16."""
    return _bf16_on_cpu and x.dtype == torch.float32 and x.device.type == "cpu"


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
