import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lm.sweeps.subprocesses import run_in_subprocess

JOBS = "tests.sweeps.jobs"


def never():
    return False


@pytest.mark.parametrize(
    ("work", "arguments", "status"), [("end", [0], 0), ("end", [3], 3), ("be_killed", [], -signal.SIGKILL)]
)
def test_how_a_process_ended_is_known_and_this_one_lives_on(work, arguments, status):
    assert run_in_subprocess(f"{JOBS}:{work}", *arguments, stop=never) == status


def test_each_process_has_this_ones_environment_as_it_is_now(tmp_path, monkeypatch):
    found = []
    for value in ("one", "other"):
        monkeypatch.setenv("LM_FOR_A_TEST", value)
        assert run_in_subprocess(f"{JOBS}:write", tmp_path / value, "LM_FOR_A_TEST", stop=never) == 0
        found.append((tmp_path / value).read_text())
    assert found == ["one", "other"]


def test_a_process_is_told_once_to_stop_and_waited_for(tmp_path):
    started, told = tmp_path / "started", tmp_path / "told"
    assert run_in_subprocess(f"{JOBS}:wait_until_told", started, told, stop=started.exists) == 0
    assert told.read_text() == "SIGTERM"


def test_a_process_is_told_to_end_when_the_one_that_waits_for_it_is_killed(tmp_path):
    started, told = tmp_path / "started", tmp_path / "told"
    program = (
        "from pathlib import Path; from lm.sweeps.subprocesses import run_in_subprocess; "
        f"run_in_subprocess('{JOBS}:wait_until_told', Path('{started}'), Path('{told}'), stop=lambda: False)"
    )
    waiting = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    wait_for(started)
    os.kill(waiting.pid, signal.SIGKILL)
    waiting.wait()
    wait_for(told)


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
