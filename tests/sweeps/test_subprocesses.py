import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lm.sweeps.subprocesses import start_process
from tests.processes import ROOT, children_of, wait_until

JOBS = "tests.sweeps.jobs"


@pytest.mark.parametrize(
    ("function", "arguments", "status"), [("end", [0], 0), ("end", [3], 3), ("be_killed", [], -signal.SIGKILL)]
)
def test_the_exit_code_of_a_process_is_known_and_this_one_continues(function, arguments, status):
    process = start_process(f"{JOBS}:{function}", *arguments)
    process.join()
    assert process.exitcode == status


def test_each_process_has_the_environment_of_its_start(tmp_path, monkeypatch):
    for value in ("one", "other"):
        monkeypatch.setenv("LM_FOR_A_TEST", value)
        start_process(f"{JOBS}:write", tmp_path / value, "LM_FOR_A_TEST").join()
        assert (tmp_path / value).read_text() == value


def test_a_terminals_signals_are_left_to_the_first_process(tmp_path):
    start_process(f"{JOBS}:write_ignored_signals", tmp_path / "ignored").join()
    assert (tmp_path / "ignored").read_text() == "SIGINT SIGHUP"


def test_signals_are_blocked_only_while_a_process_starts(tmp_path):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    start_process(f"{JOBS}:end", 0).join()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_ctrl_c_while_the_fork_server_starts_reaches_the_first_process_alone(tmp_path):
    """All processes of a terminal get the signal, the fork server while it loads its modules."""
    program = (
        "import os, signal; from pathlib import Path; from lm.sweeps.subprocesses import start_process; "
        "signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True)); "
        f"process = start_process('{JOBS}:write', Path('{tmp_path}/started'), 'HOME'); "
        "os.killpg(0, signal.SIGINT); process.join(); print(process.exitcode)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, start_new_session=True, capture_output=True, text=True
    )
    assert ended.stdout == "interrupted\n0\n", ended.stderr
    assert ended.stderr == ""
    assert (tmp_path / "started").exists()


def test_processes_get_sigterm_when_the_one_that_started_them_is_killed(tmp_path):
    started, stopped = tmp_path / "started", tmp_path / "stopped"
    program = (
        "from pathlib import Path; from lm.sweeps.subprocesses import start_process; "
        f"start_process('{JOBS}:wait_for_sigterm', Path('{started}'), Path('{stopped}')).join()"
    )
    first = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    wait_until(started.exists)
    descendants = children_of(first.pid)
    assert descendants
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    wait_until(lambda: stopped.exists() and stopped.read_text())  # it is empty before it is written
    assert stopped.read_text() == "SIGTERM"
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in descendants))
