"""Commands in processes of their own, and what their sweeps leave."""

import atexit
import json
import multiprocessing
import multiprocessing.util
import os
import runpy
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from lm.run_dir import RunDir

ROOT = Path(__file__).parents[1]


class Command:
    """`python -m lm.train` in a session of its own, as from a terminal, with the interface of `subprocess.Popen`.

    It is forked from a process that has loaded PyTorch: to start Python anew would take seconds for each command.
    """

    def __init__(self, overrides, prepare, environment):
        context = multiprocessing.get_context("forkserver")
        multiprocessing.set_forkserver_preload(["lm.sweeps.training_job"])
        self._output, output = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(overrides, prepare, environment, output))
        self._process.start()
        output.close()
        self.pid, self.kill = self._process.pid, self._process.kill

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def communicate(self):
        """Return what it and all processes that it starts have printed, once they have ended."""
        with open(self._output.fileno(), encoding="utf-8", closefd=False) as file:
            output = file.read()
        self._process.join()
        return output


def start(*overrides, prepare=None, **environment):
    """Start `python -m lm.train <overrides>`, after a call of `prepare` in its process."""
    quiet = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return Command([str(override) for override in overrides], prepare, os.environ | quiet | environment)


def _run(overrides, prepare, environment, output):
    os.setsid()
    _default_signals()  # the tests themselves may run with signals ignored
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    os.chdir(ROOT)
    os.environ |= environment
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["lm.train", *overrides]
    multiprocessing.util.spawnv_passfds = _fork
    if prepare:
        prepare()
    try:
        runpy.run_module("lm.train", run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()


def _fork(path, arguments, open_files):
    """Fork this process with its modules, where `multiprocessing` would start Python anew for a fork server."""
    if pid := os.fork():
        return pid
    try:
        for number in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, *open_files}:
            with suppress(OSError):
                os.close(number)
        _default_signals()
        exec(arguments[-1], {})
    finally:
        os._exit(0)


def _default_signals():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


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
        assert process is None or process.poll() is None, process.communicate()
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
