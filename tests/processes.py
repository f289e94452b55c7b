"""Commands in processes of their own, and what their sweeps leave."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from lm.run_dir import RunDir

ROOT = Path(__file__).parents[1]


def start(*overrides, prepare=None, **environment):
    """Start `python -m lm.train <overrides>` in a process group of its own, as a terminal does."""

    def in_child():
        for number in (signal.SIGINT, signal.SIGHUP):  # the tests themselves may run with signals ignored
            signal.signal(number, signal.SIG_DFL)
        if prepare:
            prepare()

    command = [sys.executable, "-m", "lm.train", *map(str, overrides)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"} | environment
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=env, **pipe, preexec_fn=in_child, start_new_session=True)


def run_of(sweep, value):
    """Return the run of a sweep whose name has this option first."""
    [folder] = [path for path in sweep.iterdir() if path.name.split(",")[0] == value]
    return RunDir(folder)


def statuses(sweep):
    """Return the status of each run by the first option of its name."""
    paths = sweep.glob("*/results.json")
    return {path.parent.name.split(",")[0]: json.loads(path.read_text())["status"] for path in paths}


def wait_until(condition, process=None):
    """Wait until a condition holds, while the process runs."""
    deadline = time.monotonic() + 300
    while not condition():
        assert process is None or process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_file(process, folder, pattern):
    """Wait until the process has written a file of that name."""
    wait_until(lambda: list(folder.glob(pattern)), process)


def children_of(pid):
    """Return the ids of all processes that a process has started, directly or not."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def process_of(run):
    """Return the id of the process that trains a run. The first process, which is older, writes to its log too."""
    log = run.folder / "train.log"
    return max(int(path.name) for path in Path("/proc").glob("[0-9]*") if log in _open_files(path))


def _open_files(process):
    try:
        return [link.readlink() for link in (process / "fd").iterdir()]
    except OSError:  # it has ended meanwhile
        return []
