"""Signals that ask a process to stop."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Ctrl-C, `kill`, a closed terminal, and what clusters send before the time limit."""


class Interrupted(Exception):
    """Training has stopped early, by `SIGTERM` for instance. It resumes from the last checkpoint, if there is one."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stopped by {reason}")
        # Shells report 128 + the signal's number.
        self.exit_status = 128 + signal.Signals[reason] if reason in signal.Signals.__members__ else 1


class StopRequest:
    """A handler that raises `Interrupted`; while `deferred`, it only records the signal's number."""

    def __init__(self) -> None:
        self.signal, self.deferred = 0, False

    def __call__(self, number: int) -> None:
        """Handle a signal."""
        self.signal = number
        if not self.deferred:
            self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise `Interrupted` if a signal has arrived."""
        if self.signal:
            raise Interrupted(signal.Signals(self.signal).name)


@contextmanager
def on_stop_signals(handler: Callable[[int], None]) -> Iterator[None]:
    """Call `handler` with the number of each stop signal that arrives within the block.

    A signal that is ignored stays ignored, as under `nohup`. A second SIGINT goes to the previous handler, which ends
    the process at once.
    """
    previous: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, previous[number])
        handler(number)

    if threading.current_thread() is threading.main_thread():  # Python refuses handlers in other threads
        heard = [one for one in STOP_SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
        previous |= {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)
