"""The contenders side by side, taking turns, and what they come to.

Each is a process of its own (`lm.benchmark.worker`). Nothing else would compare with a loop as a user writes it: the
allocator's settings, which this project changes, can't be changed back within a process. They take turns, a round each,
so that whatever else slows the machine down slows all of them; who waits for its turn takes no processor time. What
counts is the median step, and the median of the rounds' ratios.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from lm.benchmark.benchmark_job import Job
from lm.benchmark.loop import Round

PLAIN, BY_HAND, TRAIN = CONTENDERS = ("plain", "by hand", "lm.train")


def same_modules() -> dict[str, str]:
    """Return the environment in which another Python finds the modules that this one finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Worker:
    """One contender's process.

    Raises:
        ValueError: from `ask`, where the contender can't do what the job says.
        RuntimeError: from `ask`, where its process has ended; what it ended of is on the terminal.
    """

    def __init__(self, contender: str, job: Job) -> None:
        self.contender = contender
        self.process = process = subprocess.Popen(
            [sys.executable, "-m", "lm.benchmark.worker", contender, job.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=same_modules(),
            start_new_session=True,  # Ctrl-C is for this process, which then ends the others
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self.orders, self.answers = process.stdin, process.stdout

    def ask(self, order: str) -> Any:
        """Give an order and wait for its answer."""
        with suppress(BrokenPipeError):  # where it has ended, there is no answer
            self.orders.write(f"{order}\n")
            self.orders.flush()
        return self.answer()

    def answer(self) -> Any:
        """Wait for an answer."""
        line = self.answers.readline()
        if not line:
            raise RuntimeError(f"the process of '{self.contender}' has ended with status {self.process.wait()}")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def close(self) -> None:
        """End it."""
        self.answers.close()
        with suppress(BrokenPipeError):
            self.orders.close()  # it ends when there are no more orders
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def started(contenders: Sequence[str], job: Job) -> Iterator[dict[str, Worker]]:
    """Start the contenders' processes, wait until all are ready, and end them after the block."""
    with ExitStack() as stack:
        workers = {}
        for contender in contenders:
            workers[contender] = Worker(contender, job)
            stack.callback(workers[contender].close)
        for worker in workers.values():
            worker.answer()
        yield workers


@dataclass(frozen=True)
class Contest:
    """What was measured, as it was measured.

    `machine` describes what lm.train runs on; `rounds` and `peak_memory` (bytes) are by contender; `evaluations` are
    tokens a second by kind, a dict each time; `ceiling` is in floating-point operations a second.
    """

    machine: dict[str, Any]
    rounds: dict[str, list[Round]]
    peak_memory: dict[str, int]
    evaluations: list[dict[str, float]]
    ceiling: dict[str, float]


def contest(job: Job) -> Contest:
    """Have the contenders take turns, round by round; show how far they are.

    Raises:
        ValueError: where the job asks for what can't be had.
    """
    rounds: dict[str, list[Round]] = {contender: [] for contender in CONTENDERS}
    with started(CONTENDERS, job) as workers:
        for _ in tqdm(range(job.rounds), desc="rounds", disable=None, leave=False):
            for contender, worker in workers.items():
                rounds[contender].append(worker.ask("round"))
        memory = {contender: worker.ask("memory") for contender, worker in workers.items()}
        machine = workers[BY_HAND].ask("machine")
        ceiling = workers[BY_HAND].ask("ceiling")
        evaluations = [workers[BY_HAND].ask("evaluate") for _ in range(min(3, job.rounds))]
    return Contest(machine, rounds, memory, evaluations, ceiling)
