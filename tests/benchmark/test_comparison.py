import multiprocessing
import os
import signal
import sys
import tempfile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread

import pytest
import torch

from lm.benchmark import comparison
from lm.benchmark.comparison import HiddenTerminal, Variant, run_variants, work
from lm.benchmark.loops import LOOPS
from tests.benchmark.jobs import small_job


@pytest.fixture(autouse=True)
def same_temporary_folder_afterwards(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)


@pytest.fixture
def in_threads(monkeypatch):
    """Have variants work in threads of this process, which take no seconds to start."""

    class Process(Thread):
        def __init__(self, target, args, daemon):
            name, job, connection, temporary = args
            connection = Connection(os.dup(connection.fileno()))
            super().__init__(target=target, args=(name, job, connection, temporary), daemon=daemon)

        def kill(self):
            pass  # it ends with its connection

    monkeypatch.setattr(multiprocessing, "Process", Process)


@pytest.fixture
def loops(monkeypatch):
    """Loops that note whose turn it is instead of training."""
    turns = []

    def loop_of(name):
        def loop(job, corpus, recorder):
            print("progress")
            assert sys.stderr.isatty()
            for index in range(job.rounds + 1):
                recorder._take_turn(f"{name} {index}" if index else None)
                turns.append(name)
            return {"peak_memory": len(name)}

        return loop

    monkeypatch.setattr(comparison, "LOOPS", {name: loop_of(name) for name in LOOPS})
    return turns


def test_variants_take_turns_round_by_round(in_threads, loops, capsys):
    found = run_variants(small_job(rounds=2))
    assert found["baseline"] == {"rounds": ["baseline 1", "baseline 2"], "peak_memory": 8}
    assert loops == list(LOOPS) * 3
    assert "progress" not in capsys.readouterr().out


def test_an_error_of_a_variant_is_raised_with_its_traceback_as_a_note(in_threads, monkeypatch):
    def failing(job, corpus, recorder):
        raise KeyError("no such thing")

    monkeypatch.setattr(comparison, "LOOPS", {"baseline": failing})
    with pytest.raises(KeyError, match="no such thing") as error:
        run_variants(small_job())
    assert "In the process of baseline:\nTraceback" in error.value.__notes__[0]
    assert 'raise KeyError("no such thing")' in error.value.__notes__[0]


def test_running_out_of_memory_is_explained(in_threads, monkeypatch):
    def hungry(job, corpus, recorder):
        raise torch.OutOfMemoryError("Tried to allocate 20 GiB")

    monkeypatch.setattr(comparison, "LOOPS", {"baseline": hungry})
    with pytest.raises(MemoryError, match="found too little for 20 GiB more: type a smaller hidden_size or batch_size"):
        run_variants(small_job())


@pytest.mark.parametrize("hung_up", ["before it is ready", "while it waits"])
def test_a_variant_ends_quietly_when_nobody_waits_for_it(loops, hung_up, tmp_path, capfd):
    here, there = Pipe()
    thread = Thread(target=work, args=("baseline", small_job(), there, tmp_path))
    if hung_up == "while it waits":
        thread.start()
        assert here.recv() is None
        here.close()
    else:
        here.close()
        thread.start()
    thread.join()
    assert capfd.readouterr() == ("", "")


def test_the_number_of_threads_is_set(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    monkeypatch.setattr(comparison, "LOOPS", {"baseline": lambda *_: None})
    work("baseline", small_job(num_threads=3), Pipe()[0], tmp_path)
    assert seen == [3]


def test_a_process_ignores_ctrl_c_and_its_death_is_reported():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    variant = Variant("baseline", small_job())
    try:
        os.kill(variant._process.pid, signal.SIGINT)
        assert variant.report() is None
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
        assert len(variant.resume()["nats"]) == 5
        variant._process.kill()
        with pytest.raises(ChildProcessError, match=r"process of baseline .* status -9: if it ran out of memory, type"):
            variant.resume()
    finally:
        variant.close()
    assert not variant._process.is_alive()
    assert not os.path.exists(variant._temporary.name)


def test_temporary_files_of_a_process_lie_where_they_are_removed_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "LOOPS", {"baseline": lambda *_: tempfile.mkstemp()})
    work("baseline", small_job(), Pipe()[0], str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_hidden_terminal_shows_nothing(capsys):
    terminal = HiddenTerminal()
    print("progress", file=terminal)
    assert terminal.isatty()
    assert capsys.readouterr().out == ""
