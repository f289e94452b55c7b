"""The precision of float32 matrix multiplications in this process: full, bf16 on a CPU, or TensorFloat-32 on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lm.models.bf16_matmul import allow_bf16_matmul, bf16_matmul_allowed

FULL = "float32"


def supports_reduced_matmul(device: torch.device) -> bool:
    """Return whether the device has hardware for bf16 matrix multiplication."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    return torch.cpu._is_avx512_bf16_supported()


def reduce_matmul_precision(on_cpu: bool, on_gpu: bool) -> None:
    """Allow bf16 multiplication on the CPU and TensorFloat-32 on GPUs, or neither."""
    allow_bf16_matmul(on_cpu)
    torch.set_float32_matmul_precision("high" if on_gpu else "highest")
    torch.backends.cudnn.allow_tf32 = on_gpu  # cuDNN's layers have a switch of their own, which is on by default


def matmul_precision(device: torch.device) -> str:
    """Return the precision now in force on a device, in words for the protocol."""
    if device.type == "cuda":
        return "TensorFloat-32" if torch.get_float32_matmul_precision() == "high" else FULL
    return "bf16 (fp32 accumulation)" if bf16_matmul_allowed() else FULL


@contextmanager
def full_precision_matmul() -> Iterator[None]:
    """Multiply in full float32 within the block, then restore the precision."""
    before = bf16_matmul_allowed(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    reduce_matmul_precision(on_cpu=False, on_gpu=False)
    try:
        yield
    finally:
        allow_bf16_matmul(before[0])
        torch.set_float32_matmul_precision(before[1])
        torch.backends.cudnn.allow_tf32 = before[2]
