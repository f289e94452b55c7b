"""Functions for processes of their own."""

import os
import signal
import sys
import time
from pathlib import Path


def write(path, name):
    """Write a variable of the environment."""
    Path(path).write_text(os.environ.get(name, "none"))


def end(status):
    sys.exit(status)


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def write_ignored_signals(path):
    """Write which of the signals that stop a process this one ignores."""
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
    Path(path).write_text(" ".join(one.name for one in numbers if signal.getsignal(one) is signal.SIG_IGN))


def wait_for_sigterm(started, stopped):
    """Write a file, and another one on SIGTERM."""

    def on_signal(number, frame):
        stopped.write_text(signal.Signals(number).name)
        sys.exit(0)

    signal.signal(signal.SIGTERM, on_signal)
    started.touch()
    time.sleep(60)
