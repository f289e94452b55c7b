"""Precision, memory and device of a run, and their description for the results."""

import ctypes
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch

from lm.models.matmul_precision import reduce_matmul_precision, supports_reduced_matmul

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def configure_malloc() -> None:
    """Let glibc's malloc keep freed memory for the next step, which avoids page faults (mallopt(3)).

    With other C libraries nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the largest value allowed
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Turn the out-of-memory errors of Python, PyTorch on the CPU and CUDA into one sentence.

    Raises:
        MemoryError: instead of theirs.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(
            sign in str(error) for sign in ("allocate memory", "CUDA error: out of memory", "ALLOC_FAILED")
        ):
            raise
        asked = re.search(r"allocate ([\d.]+ \w+)", str(error))
        found = f"too little for {asked[1]} more" if asked else "too little"
        raise MemoryError(
            f"expected memory for the model and its batches, found {found}: type a smaller hidden_size or batch_size"
        ) from error


def resolve_device(accelerator: str) -> torch.device:
    """Return the device that Lightning uses with this accelerator."""
    wanted = accelerator in ("auto", "gpu", "cuda")
    return torch.device("cuda" if wanted and torch.cuda.is_available() else "cpu")


def set_precision(precision: str, device: torch.device) -> tuple[str, str]:
    """Set the precision of matrix multiplication; return Lightning's precision and a description.

    With `auto`, weights, states, gradients and sums are float32. If the hardware supports it, matrices are multiplied
    in bf16 or, on a GPU, in TensorFloat-32, also in cuDNN's layers (`lm.models.matmul_precision`). All other values are
    Lightning's own.

    Raises:
        ValueError: for 16-mixed, which scales gradients and so changes the norm that is clipped.
    """
    if str(precision) in ("16", "16-mixed"):
        raise ValueError(f"expected a precision without scaled gradients, found {precision}: type precision=bf16-mixed")
    fast, on_gpu = precision == "auto" and supports_reduced_matmul(device), device.type == "cuda"
    mixed = precision == "bf16-mixed" and supports_reduced_matmul(device)  # the parts that autocast leaves in float32
    reduce_matmul_precision(on_cpu=fast and not on_gpu, on_gpu=(fast or mixed) and on_gpu)
    if fast:
        kind = "TensorFloat-32" if on_gpu else "bf16"
        return "32-true", f"float32 with {kind} matrix multiplication (precision=32-true: without)"
    return ("32-true", "float32") if precision == "auto" else (precision, precision)


def describe_device(device: torch.device, devices: int = 1) -> str:
    """Return a description such as `cpu (x86_64, AVX512, 2 threads)`, or `2 x cpu (...)` for several devices."""
    if devices > 1:
        return f"{devices} x {describe_device(device)}"
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{device.type} ({platform.machine()}, {capability}, {threads} thread{'s' if threads > 1 else ''})"


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, and the commit of the code if it is known."""
    packages = ("torch", "pytorch-lightning", "hydra-core", "torchmetrics")
    return {"commit": _commit(), "python": platform.python_version()} | {name: version(name) for name in packages}


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
