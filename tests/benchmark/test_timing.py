import os
import subprocess
import sys
from itertools import count

import pytest
import torch

from lm.benchmark.loops import BaselineModel
from lm.benchmark.timing import Clock, Part, add_timing_hooks, peak_flops, peak_memory, seconds_to_first_step, timed
from lm.models.language_model import LanguageModel
from tests.benchmark.jobs import CONFIG

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second at every lap."""
    seconds = count()
    monkeypatch.setattr(Clock, "_now", lambda self: float(next(seconds)))
    return Clock(CPU)


def test_time_belongs_to_the_part_that_ends_it_and_the_rest_to_the_loop(clock):
    clock.start()
    for part in (Part.DATA, Part.EMBEDDING, Part.EMBEDDING, Part.SOFTMAX):
        clock.lap(part)
    clock.end_step()
    clock.lap(Part.UPDATE)
    clock.end_step()
    nothing = dict.fromkeys(Part, 0.0)
    assert clock.milliseconds() == [
        nothing | {Part.DATA: 1000, Part.EMBEDDING: 2000, Part.SOFTMAX: 1000, Part.LOOP: 1000},
        nothing | {Part.UPDATE: 1000, Part.LOOP: 1000},
    ]


def test_a_start_forgets_the_steps_before(clock):
    clock.lap(Part.DATA)
    clock.end_step()
    clock.start()
    clock.end_step()
    assert clock.milliseconds() == [dict.fromkeys(Part, 0.0) | {Part.LOOP: 1000}]


def test_on_a_gpu_the_laps_are_cuda_events_that_nothing_waits_for_within_a_round(monkeypatch):
    waits, times = [], count(step=2)

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.time = next(times)

        def elapsed_time(self, other):
            assert waits  # it is defined only after the device has reached both
            return other.time - self.time

    monkeypatch.setattr("torch.cuda.Event", Event)
    monkeypatch.setattr("torch.cuda.synchronize", lambda: waits.append(True))
    clock = Clock(torch.device("cuda"))
    clock.lap(Part.DATA)
    clock.end_step()
    assert not waits
    assert clock.milliseconds() == [dict.fromkeys(Part, 0.0) | {Part.DATA: 2, Part.LOOP: 2}]


@pytest.mark.parametrize("kind", ["ours", "baseline"])
def test_a_model_ends_its_parts_forward_and_backward(clock, kind):
    model = LanguageModel(9, **CONFIG.model_arguments()) if kind == "ours" else BaselineModel(9, CONFIG)
    add_timing_hooks(clock, model, model.embedding)
    clock.start()
    hidden_TBH, _ = model(torch.zeros(5, 4, dtype=torch.long), None)
    assert [part for part, _ in clock._laps[1:]] == [Part.LOOP, Part.EMBEDDING, Part.RECURRENT]
    clock.start()
    hidden_TBH.sum().backward()
    assert [part for part, _ in clock._laps[1:]] == [Part.SOFTMAX, Part.RECURRENT]


def test_a_timed_function_does_the_same_and_is_counted_for_its_part(clock):
    clock.start()
    assert timed(lambda a, b: a - b, clock, Part.DATA)(3, 1) == 2
    clock.end_step()
    assert clock.milliseconds() == [dict.fromkeys(Part, 0.0) | {Part.LOOP: 2000, Part.DATA: 1000}]


def test_peak_flops_are_those_of_a_matrix_product(monkeypatch):
    class FakeTimer:
        def __init__(self, statement, globals, num_threads):
            exec(statement, {"torch": torch} | globals)
            assert torch.equal(globals["result"], globals["left"] @ globals["right"])
            assert num_threads == torch.get_num_threads()

        def blocked_autorange(self, min_run_time):
            return self

        times = (3.0, 0.5)

    monkeypatch.setattr("torch.utils.benchmark.Timer", FakeTimer)
    assert peak_flops(CPU) == 2 * 2048**3 / 0.5


def test_peak_memory_includes_what_was_held_a_moment_ago():
    before = peak_memory(CPU)
    held = torch.ones(2**24 + before // 4)  # more than ever before
    del held
    assert peak_memory(CPU) >= before + 2**26


class Command(subprocess.Popen):
    """A command that writes `epochs.csv` and then goes on, or ends before, in place of lm.train."""

    def __init__(self, command, **options):
        assert command[:4] == [sys.executable, "-m", "lm.train", "cell=gru"]
        folder = command[-1].removeprefix("hydra.run.dir=")
        write = f"import os, time; os.makedirs({folder!r}); open({folder!r} + '/epochs.csv', 'w'); time.sleep(60)"
        super().__init__([sys.executable, "-c", self.program or write], **options)
        type(self).started.append(self)


@pytest.mark.parametrize("program", ["", "pass"])
def test_the_first_step_is_done_when_its_epoch_is_written(monkeypatch, program):
    monkeypatch.setattr(Command, "program", program, raising=False)
    monkeypatch.setattr(Command, "started", [], raising=False)
    monkeypatch.setattr("subprocess.Popen", Command)
    if program:
        with pytest.raises(ValueError, match=r"found the end of 'lm.train cell=gru': type startup_repeats=0"):
            seconds_to_first_step(["cell=gru"])
    else:
        assert 0 < seconds_to_first_step(["cell=gru"]) < 50
    (process,) = Command.started
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
