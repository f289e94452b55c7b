"""What the machine offers to training: precision, threads, memory; and its description for the results."""

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
    """Tell the C library's allocator to keep freed memory for the next step, instead of faulting it in anew.

    Only glibc has the switch (mallopt(3)); elsewhere nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the most it takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@contextmanager
def explain_out_of_memory() -> Iterator[None]:
    """Say in one sentence that memory is used up, whoever asked for it: Python, PyTorch on the CPU, or CUDA.

    Raises:
        MemoryError: in place of theirs.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        asked = re.search(r"allocate ([\d.]+ \w+)", str(error))
        found = f"it too small for {asked[1]}" if asked else "it used up"
        raise MemoryError(
            f"expected the model and its batches to fit into memory, found {found}: "
            "type a smaller hidden_size or batch_size"
        ) from error


def resolve_device(accelerator: str) -> torch.device:
    """Return where Lightning computes with this accelerator: on a GPU if it may and there is one."""
    wanted = accelerator in ("auto", "gpu", "cuda")
    return torch.device("cuda" if wanted and torch.cuda.is_available() else "cpu")


def set_precision(precision: str, device: torch.device) -> tuple[str, str]:
    """Choose how a device computes matrix products; return Lightning's precision and a sentence that says what it is.

    `auto` keeps weights, states, gradients and sums in float32 and lets products of matrices round their factors where
    the hardware has that: to bfloat16 (`lm.models.bf16_matmul`), on a GPU to TensorFloat-32
    (`torch.set_float32_matmul_precision`), in cuDNN's layers, too. All else is Lightning's own.

    Raises:
        ValueError: for 16-mixed, whose scaled gradients have another norm than the one that is to be clipped.
    """
    if str(precision) in ("16", "16-mixed"):
        raise ValueError(f"expected a precision without scaled gradients, found {precision}: type precision=bf16-mixed")
    fast, on_gpu = precision == "auto" and supports_reduced_matmul(device), device.type == "cuda"
    reduce_matmul_precision(on_cpu=fast and not on_gpu, on_gpu=fast and on_gpu)
    if fast:
        kind = "TensorFloat-32" if on_gpu else "bf16"
        return "32-true", f"float32 with {kind} matrix multiplication (precision=32-true: without)"
    return ("32-true", "float32") if precision == "auto" else (precision, precision)


def describe_device(device: torch.device, devices: int = 1) -> str:
    """Return a device in words, as `cpu (x86_64, AVX512, 2 threads)`, or several of them, as `2 x cpu (...)`."""
    if devices > 1:
        return f"{devices} x {describe_device(device)}"
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{device.type} ({platform.machine()}, {capability}, {threads} thread{'s' if threads > 1 else ''})"


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, and the commit of the code where it is known."""
    packages = ("torch", "pytorch-lightning", "hydra-core", "torchmetrics")
    return {"commit": _commit(), "python": platform.python_version()} | {name: version(name) for name in packages}


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
