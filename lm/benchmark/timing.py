"""Measurements: the parts of a step, peak FLOP/s, peak memory, and the time from the command to the first step."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lm.models.matmul_precision import to_matmul_dtype


class Part(StrEnum):
    """The parts of a step, forward and backward; `LOOP` is everything else."""

    DATA = "data"
    EMBEDDING = "embedding"
    RECURRENT = "recurrent layers"
    SOFTMAX = "decoder and loss"
    UPDATE = "clipping and update"
    LOOP = "loop"


class Clock:
    """Adds up the time of each part of each step.

    `lap` ends a part: the time since the previous lap belongs to it, so the parts add up to the whole step. On a GPU
    the laps are CUDA events, which are read only when a round is over: no step waits for the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.start()

    def start(self) -> None:
        """Forget all steps and begin the first one."""
        self._steps: list[list[tuple[Part, Any]]] = []
        self._laps = [(Part.LOOP, self._now())]

    def lap(self, part: Part) -> None:
        """End a part of the step."""
        self._laps.append((part, self._now()))

    def end_step(self) -> None:
        """End the step and begin the next one."""
        self.lap(Part.LOOP)
        self._steps.append(self._laps)
        self._laps = self._laps[-1:]

    def milliseconds(self) -> list[dict[Part, float]]:
        """Return the time of each part of each finished step."""
        if self.on_gpu:
            torch.cuda.synchronize()
        return [self._parts(laps) for laps in self._steps]

    def _parts(self, laps: list[tuple[Part, Any]]) -> dict[Part, float]:
        parts = dict.fromkeys(Part, 0.0)
        for (_, before), (part, after) in pairwise(laps):
            parts[part] += before.elapsed_time(after) if self.on_gpu else (after - before) * 1000
        return parts

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event


def add_timing_hooks(clock: Clock, model: nn.Module, embedding: nn.Module) -> None:
    """Have a model end the parts of its forward pass, and those of its backward pass except the last.

    The model returns a pair, hidden states first, and `embedding` is its first layer.
    """

    def after_embedding(module: nn.Module, args: Any, embedded_TBE: Tensor) -> None:
        clock.lap(Part.EMBEDDING)
        lap_at_gradient(embedded_TBE, Part.RECURRENT)

    def after_model(module: nn.Module, args: Any, output: tuple[Tensor, Any]) -> None:
        clock.lap(Part.RECURRENT)
        lap_at_gradient(output[0], Part.SOFTMAX)

    def lap_at_gradient(tensor: Tensor, part: Part) -> None:
        if tensor.requires_grad:
            tensor.register_hook(lambda _: clock.lap(part))  # type: ignore[no-untyped-call]

    embedding.register_forward_pre_hook(lambda *_: clock.lap(Part.LOOP))
    embedding.register_forward_hook(after_embedding)
    model.register_forward_hook(after_model)


def timed(function: Callable[..., Any], clock: Clock, part: Part) -> Callable[..., Any]:
    """Return the function with its time counted for a part, and the time before it for the loop."""

    def wrapper(*args: Any) -> Any:
        clock.lap(Part.LOOP)
        result = function(*args)
        clock.lap(part)
        return result

    return wrapper


def peak_flops(device: torch.device) -> float:
    """Return the most FLOP/s that a product of two large square matrices reaches in the matmul precision set now."""
    from torch.utils.benchmark import Timer  # here, since it takes 5 MB, which would count as the baseline's

    size = 8192 if device.type == "cuda" else 2048
    left, right = (to_matmul_dtype(torch.full((size, size), 0.5, device=device)) for _ in range(2))
    matrices = {"left": left, "right": right, "result": torch.empty_like(left)}
    timer = Timer("torch.mm(left, right, out=result)", globals=matrices, num_threads=torch.get_num_threads())
    return 2 * size**3 / min(timer.blocked_autorange(min_run_time=1).times)


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that this process has held at once, on the GPU if it computes there."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # preferred, because getrusage also counts the process that started this one
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def seconds_to_first_step(overrides: Sequence[str]) -> float:
    """Start `python -m lm.train` and return the seconds until its first step is done.

    After an epoch of one step and one batch of validation the run writes `epochs.csv`; the rest of it is not needed.

    Raises:
        ValueError: if the command ends earlier.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        limits = ("trainer.limit_train_batches=1", "trainer.limit_val_batches=1", f"hydra.run.dir={run}")
        command = [sys.executable, "-m", "lm.train", *overrides, *limits]
        path = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the modules of this process
        started = time.time()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=path, start_new_session=True) as process:
            try:
                while not (run / "epochs.csv").is_file():
                    if process.poll() is not None:
                        raise ValueError(
                            f"expected the first step of a run, found the end of 'lm.train {' '.join(overrides)}': "
                            "type startup_repeats=0 to measure without it"
                        )
                    time.sleep(0.01)
            finally:
                process.kill()
        return (run / "epochs.csv").stat().st_mtime - started
