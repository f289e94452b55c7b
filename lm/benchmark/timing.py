"""Where the time of a step goes: notes at the borders of its parts."""

import functools
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

DATA, EMBEDDING, RECURRENT, SOFTMAX, UPDATE, LOOP = PARTS = (
    "data",
    "embedding",
    "recurrent layers",
    "projection and loss",
    "clip and update",
    "loop",
)
"""The parts of a step, forward and backward; `loop` is all that is none of the others."""


class Clock:
    """Adds up the time of each part of each step.

    A part ends with `lap`: all time since the note before it belongs to that part. So the parts of a step add up to the
    whole of it. On a GPU the notes are events in its stream, so that nothing waits for it before a round is over.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start()

    def start(self) -> None:
        """Forget everything; the first step begins."""
        self._steps: list[list[tuple[str, Any]]] = []
        self._notes = [("", self._now())]

    def lap(self, part: str) -> None:
        """End a part."""
        self._notes.append((part, self._now()))

    def end_step(self) -> None:
        """End the step; the next one begins."""
        self.lap(LOOP)
        self._steps.append(self._notes)
        self._notes = self._notes[-1:]

    def milliseconds(self) -> list[dict[str, float]]:
        """Return the time of each part of each step that has ended."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return [self._parts(notes) for notes in self._steps]

    def _parts(self, notes: list[tuple[str, Any]]) -> dict[str, float]:
        parts = dict.fromkeys(PARTS, 0.0)
        for (_, before), (part, after) in pairwise(notes):
            parts[part] += before.elapsed_time(after) if self.device.type == "cuda" else (after - before) * 1000
        return parts

    def _now(self) -> Any:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event


def attach(clock: Clock, model: nn.Module, embedding: nn.Module) -> None:
    """Have a model note when its embedding and its hidden states are there, and when their gradients are, if they are.

    Args:
        clock: takes the notes.
        model: gives hidden states first, and something else second.
        embedding: the part of it that comes first.
    """

    def after_embedding(module: nn.Module, args: Any, embedded_TBE: Tensor) -> None:
        clock.lap(EMBEDDING)
        when_its_gradient_is_there(embedded_TBE, RECURRENT)

    def after_model(module: nn.Module, args: Any, output: tuple[Tensor, Any]) -> None:
        clock.lap(RECURRENT)
        when_its_gradient_is_there(output[0], SOFTMAX)

    def when_its_gradient_is_there(tensor: Tensor, part: str) -> None:
        if tensor.requires_grad:
            tensor.register_hook(lambda _: clock.lap(part))  # type: ignore[no-untyped-call]

    embedding.register_forward_pre_hook(lambda *_: clock.lap(LOOP))
    embedding.register_forward_hook(after_embedding)
    model.register_forward_hook(after_model)


def noted(function: Callable[..., Any], clock: Clock, part: str) -> Callable[..., Any]:
    """Return a function whose time belongs to a part, and the time before it to the loop."""

    @functools.wraps(function)
    def wrapped(*args: Any) -> Any:
        clock.lap(LOOP)
        result = function(*args)
        clock.lap(part)
        return result

    return wrapped
