"""Steps in rounds, without Lightning."""

from abc import ABC, abstractmethod
from typing import TypedDict

import torch
from torch import Tensor

from lm.benchmark.benchmark_job import WARM_UP, Job
from lm.benchmark.timing import Clock


class Round(TypedDict):
    """What a round gives: milliseconds of each part of each step that counts, and the nats a token of every step."""

    steps: list[dict[str, float]]
    nats: list[float]


def finished_round(clock: Clock, losses: list[Tensor], job: Job) -> Round:
    """Return a round of steps that have ended, with their losses: nats a column."""
    nats = (torch.stack(losses) / job.settings.seq_len).tolist()
    return {"steps": clock.milliseconds()[WARM_UP:], "nats": nats}


class Loop(ABC):
    """Steps over the training windows in their order, a round at a time."""

    def __init__(self, job: Job) -> None:
        self.job, self.clock = job, Clock(job.device())
        self._next = 0

    @abstractmethod
    def step(self, index: int) -> Tensor:
        """Train on a window, counted from 0; return its nats a column, without their graph."""

    def round(self) -> Round:
        """Go on with the next round."""
        losses = []
        self.clock.start()
        for index in range(self._next, self._next + WARM_UP + self.job.steps_a_round):
            losses.append(self.step(index))
            self.clock.end_step()
        self._next += len(losses)
        return finished_round(self.clock, losses, self.job)
