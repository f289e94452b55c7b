"""The variants side by side, each in a process of its own, taking turns round by round.

`lm.train` sets the allocator and the matmul precision of its whole process, so the baseline needs another one. Taking
turns, all variants are slowed down alike by whatever else the machine does; waiting takes no CPU time.
"""

import io
import multiprocessing
import signal
import tempfile
import threading
import traceback
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import torch
from tqdm import tqdm

from lm.benchmark.benchmark_job import Job
from lm.benchmark.loops import LOOPS, Recorder, Round
from lm.training.hardware import explain_out_of_memory


def run_variants(job: Job) -> dict[str, dict[str, Any]]:
    """Run all variants; return the `rounds` of each and what its loop returns.

    Raises:
        ValueError, OSError, MemoryError: if the job asks for what its corpus or this machine does not have.
    """
    with ExitStack() as stack:
        variants = {}
        for name in LOOPS:
            variants[name] = Variant(name, job)
            stack.callback(variants[name].close)
        for variant in variants.values():
            variant.report()  # it is ready
        rounds: dict[str, list[Round]] = {name: [] for name in variants}
        for _ in tqdm(range(job.rounds), desc="rounds", disable=None, leave=False):
            for name, variant in variants.items():
                rounds[name].append(variant.resume())
        return {name: {"rounds": rounds[name]} | variant.resume() for name, variant in variants.items()}


class Variant:
    """The process of one variant, which waits after each report until it is resumed.

    Its reports are None when it is ready, then each round, then what its loop returns. An error of the process is
    raised here, with its traceback as a note.
    """

    def __init__(self, name: str, job: Job) -> None:
        self.name, self._temporary = name, tempfile.TemporaryDirectory()
        multiprocessing.set_start_method("spawn", force=True)  # workers of joblib have one that only joblib knows
        self._connection, connection = multiprocessing.Pipe()
        arguments = (name, job, connection, self._temporary.name)
        self._process = multiprocessing.Process(target=work, args=arguments, daemon=True)
        resource_tracker.ensure_running()  # now, because it unblocks SIGINT
        # The new process inherits the mask: Ctrl-C is for this process, which then ends the others.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        connection.close()  # otherwise `recv` would wait forever for a process that has died

    def resume(self) -> Any:
        """Resume the variant, and return its next report."""
        with suppress(BrokenPipeError):  # it has died: see `report`
            self._connection.send(None)
        return self.report()

    def report(self) -> Any:
        """Wait for a report and return it."""
        try:
            report = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise ChildProcessError(
                f"expected the process of {self.name} to continue, found exit status "
                f"{self._process.exitcode}: if it ran out of memory, type a smaller hidden_size or batch_size"
            ) from None
        if isinstance(report, Exception):
            raise report
        return report

    def close(self) -> None:
        """End the process, and remove its temporary files."""
        self._connection.close()
        self._process.kill()
        self._process.join()
        self._temporary.cleanup()


def work(name: str, job: Job, connection: Connection, temporary: str) -> None:
    """Run a variant in its process, and report."""
    tempfile.tempdir = temporary
    tqdm.set_lock(threading.RLock())  # the default is a semaphore, which outlives a process that is killed

    def take_turn(finished: Round | None) -> None:
        connection.send(finished)
        connection.recv()

    report: Any
    try:
        with redirect_stdout(HiddenTerminal()) as terminal, redirect_stderr(terminal), explain_out_of_memory():
            if job.machine.num_threads:
                torch.set_num_threads(job.machine.num_threads)
            report = LOOPS[name](job, job.corpus(), Recorder(job, take_turn))
    except (EOFError, BrokenPipeError):
        return  # nobody waits for the report
    except Exception as error:
        error.add_note(f"In the process of {name}:\n{traceback.format_exc()}")
        report = error
    with suppress(BrokenPipeError):
        connection.send(report)


class HiddenTerminal(io.StringIO):
    """A terminal that shows nothing, so that the progress bar of `lm.train` is drawn and measured."""

    def isatty(self) -> bool:
        """Return True."""
        return True
