"""Work for processes of their own."""

import os
import signal
import sys
import time
from pathlib import Path

import lm.sweeps.training_job  # noqa: F401  # what is loaded first is loaded for all later processes: sweeps' need this, too


def write(path, name):
    """Write a variable of the environment."""
    Path(path).write_text(os.environ.get(name, "none"))


def end(status):
    sys.exit(status)


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def wait_until_told(started, told):
    """Say that it has started, and, when it is told to end by SIGTERM, that it was."""

    def on_signal(number, frame):
        told.write_text(signal.Signals(number).name)
        sys.exit(0)

    signal.signal(signal.SIGTERM, on_signal)
    started.touch()
    time.sleep(60)
