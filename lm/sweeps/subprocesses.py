"""A process for each run, so that one that is killed, for example because it is out of memory, ends no other run.

A fork server loads all modules once. Each process is then forked from it within milliseconds.
"""

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from pkgutil import resolve_name
from typing import Any

TERMINAL_SIGNALS = {signal.SIGINT, signal.SIGHUP}
"""A terminal sends these to all processes. The sweep's first process answers them, and stops the runs by SIGTERM."""


def start_process(function: str, *arguments: Any) -> BaseProcess:
    """Call a "module:function" in a process of its own, which gets SIGTERM when this process ends.

    The module is loaded once for all processes. The `exitcode` is negative if a signal has killed the process.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.partition(":")[0]])
    process = context.Process(target=_call, args=(dict(os.environ), function, arguments))
    ensure_running()  # it unblocks SIGINT when it starts a process of its own
    # Blocked signals stay blocked in the fork server, which SIGINT would end while it loads its modules.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def ignore_terminal_signals() -> None:
    """Ignore the signals that a terminal sends, for the rest of this process."""
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _call(environment: dict[str, str], function: str, arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment)  # the fork server has started with an earlier one
    ignore_terminal_signals()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resolve_name(function)(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
