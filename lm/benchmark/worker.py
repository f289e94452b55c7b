"""A process of its own for each contender, so that none has another's memory, allocator or precision.

    python -m lm.benchmark.worker CONTENDER JOB     # started by lm.benchmark.comparison

It reads an order a line and answers each with a line of JSON; waiting for the next it costs no processor time.
"""

import io
import json
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import torch

from lm.benchmark.benchmark_job import Job
from lm.benchmark.loop import Loop, Round

Order = Callable[[], Any]


class Screen(io.TextIOBase):
    """A terminal that nobody looks at: what is written for one is written, and the answers are left alone."""

    def isatty(self) -> bool:
        """Say so, for there is no progress bar elsewhere."""
        return True

    def write(self, text: str) -> int:
        """Take it."""
        return len(text)


class Conversation:
    """Orders in, answers out; the end of the orders is None."""

    def __init__(self, orders: TextIO, answers: TextIO) -> None:
        self.orders, self.answers = orders, answers

    def next_order(self) -> str | None:
        """Wait for the next order."""
        return self.orders.readline().strip() or None

    def answer(self, value: Any) -> None:
        """Answer the last order."""
        self.answers.write(json.dumps(value) + "\n")
        self.answers.flush()

    def serve(self, orders: dict[str, Order], until: str | None = None) -> bool:
        """Answer orders until there are no more, or until a certain one comes, which is left to the caller: True."""
        while (order := self.next_order()) is not None:
            if order == until:
                return True
            self.answer(orders[order]())
        return False


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that the process has held at a time: on the GPU if it computes there, else in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # where it is there, for getrusage counts the process that started this one, too
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def work(contender: str, job: Job, talk: Conversation) -> None:
    """Be a contender until there are no more orders."""
    if job.threads:
        torch.set_num_threads(job.threads)
    corpus = job.corpus()
    orders: dict[str, Order] = {"memory": lambda: peak_memory(job.device())}
    if contender == "lm.train":
        _work_in_lightning(job, corpus, talk, orders)
        return
    loop = _loop(contender, job, corpus, orders)
    talk.answer("ready")
    talk.serve(orders | {"round": loop.round})


def _work_in_lightning(job: Job, corpus: Any, talk: Conversation, orders: dict[str, Order]) -> None:
    from lm.benchmark.with_trainer import Enough, train_in_rounds  # here, that the plain loop's process is a plain one

    def between_rounds(finished: Round | None) -> None:
        talk.answer("ready" if finished is None else finished)
        if not talk.serve(orders, until="round"):
            raise Enough

    with tempfile.TemporaryDirectory() as folder:
        train_in_rounds(job, corpus, Path(folder), between_rounds)


def _loop(contender: str, job: Job, corpus: Any, orders: dict[str, Order]) -> Loop:
    if contender == "plain":
        from lm.benchmark.baseline import PlainLoop

        return PlainLoop(job, corpus)
    from lm.benchmark.no_trainer import StepByHand

    loop = StepByHand(job, corpus)
    orders |= {"machine": loop.machine, "evaluate": loop.evaluate, "ceiling": loop.ceiling}
    return loop


def main() -> None:
    """Work; what the user can mend goes back as a sentence."""
    talk = Conversation(sys.stdin, sys.stdout)
    stderr, screen = sys.stderr, Screen()
    sys.stdout = sys.stderr = screen
    try:
        work(sys.argv[1], Job.from_json(sys.argv[2]), talk)
    except (ValueError, OSError) as error:
        talk.answer({"error": str(error)})
    except Exception:
        traceback.print_exc(file=stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
