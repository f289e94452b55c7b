"""Commands in processes of their own, and what their sweeps leave."""

import atexit
import json
import multiprocessing.forkserver
import multiprocessing.util
import os
import resource
import runpy
import signal
import sys
import time
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import torch
from pytorch_lightning.strategies.launchers import subprocess_script
from pytorch_lightning.utilities import rank_zero_only

from lm.run_dir import RunDir

ROOT = Path(__file__).parents[1]
FORK_SERVER = multiprocessing.get_context("forkserver")

TIME_LIMIT = 600
"""Seconds after which a command is killed, so that none that hangs stops the tests."""


class Command:
    """`python -m lm.train` in a session of its own, as from a terminal, with the interface of `subprocess.Popen`.

    It is forked from a process that has loaded PyTorch: to start Python anew would take seconds for each command.
    """

    def __init__(self, overrides, prepare, environment):
        self._output, output = FORK_SERVER.Pipe(duplex=False)
        self._start(_run_in_session, overrides, environment, prepare, output)
        output.close()

    def _start(self, function, *arguments):
        self._process = FORK_SERVER.Process(target=function, args=arguments)
        self._process.start()
        self.pid, self.kill = self._process.pid, self._process.kill

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self):
        """Return what it and all processes that it starts have printed, once they have ended."""
        with open(self._output.fileno(), encoding="utf-8", closefd=False) as file:
            output = file.read()
        self._process.join()
        return output


class Rank(Command):
    """The process of a further device, which Lightning starts as `python -m lm.train` with the same overrides."""

    def __init__(self, command, env, cwd):
        self._start(_run, command[3:], env)


def start(*overrides, prepare=None, **environment):
    """Start `python -m lm.train <overrides>`, after a call of `prepare` in its process."""
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
    return Command([str(override) for override in overrides], prepare, quiet | environment)


def limit_files(size):
    """Return a function for `prepare` that lets the kernel refuse larger files in a process and all that it starts."""
    return partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size))


def _run_in_session(overrides, environment, prepare, output):
    os.setsid()
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    if prepare:
        prepare()
    multiprocessing.util.spawnv_passfds = _fork
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])  # as `lm.sweeps.subprocesses` does
    multiprocessing.forkserver.ensure_running()
    subprocess_script.subprocess = SimpleNamespace(Popen=Rank)
    _run(overrides, environment)


def _run(overrides, environment):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests themselves may run with signals ignored
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.alarm(TIME_LIMIT)
    os.chdir(ROOT)
    os.environ |= environment
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["lm.train", *overrides]
    rank_zero_only.rank = int(environment.get("LOCAL_RANK", 0))  # which Lightning reads when it is imported
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
        exec(arguments[-1], {})
    finally:
        os._exit(0)


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
