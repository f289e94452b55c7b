"""A process for each run, so that one that is killed, for want of memory say, takes no other with it.

The first asks for a process that loads all modules once; each is then forked off that one within milliseconds.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pkgutil import resolve_name
from typing import Any

SECONDS = 0.5
"""From one look at whether to stop to the next."""


def run_in_subprocess(work: str, *arguments: Any, stop: Callable[[], bool]) -> int:
    """Call a function with these arguments in a process of its own, and wait for it; return how that ended.

    Args:
        work: the function's name, as `module:function`; the module is loaded once for all processes.
        arguments: what can be pickled.
        stop: asked again and again; where it says yes, the process gets one SIGTERM.

    Returns:
        The exit status: 0, or a negative number where a signal killed it.
    """
    process = _context(work.partition(":")[0]).Process(target=_work, args=(dict(os.environ), work, arguments))
    process.start()
    try:
        return _wait(process, stop)
    except BaseException:  # this process is told to end at once
        process.kill()
        process.join()
        raise


def _context(preload: str) -> ForkServerContext | SpawnContext:
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    # New processes are told the default, too, and joblib's workers have one that nobody else knows.
    multiprocessing.set_start_method("forkserver" if forks else "spawn", force=True)
    multiprocessing.set_forkserver_preload([preload])
    return multiprocessing.get_context("forkserver") if forks else multiprocessing.get_context("spawn")


def _wait(process: BaseProcess, stop: Callable[[], bool]) -> int:
    told = False
    while not wait([process.sentinel], timeout=SECONDS):
        if not told and stop():
            process.terminate()
            told = True
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _work(environment: dict[str, str], work: str, arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment)  # the process that this one is forked off may have started with another
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which then tells its runs
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resolve_name(work)(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
