from itertools import count

import pytest
import torch

from lm.benchmark.baseline import PlainLanguageModel
from lm.benchmark.timing import DATA, EMBEDDING, LOOP, PARTS, RECURRENT, SOFTMAX, UPDATE, Clock, attach
from lm.models.language_model import LanguageModel
from tests.benchmark.jobs import SETTINGS


@pytest.fixture
def clock(monkeypatch):
    """A clock on which every note is a second later than the one before."""
    seconds = count()
    monkeypatch.setattr(Clock, "_now", lambda self: float(next(seconds)))
    return Clock(torch.device("cpu"))


def test_time_belongs_to_the_part_that_ends_it_and_what_is_left_to_the_loop(clock):
    clock.start()
    for part in (DATA, EMBEDDING, EMBEDDING, SOFTMAX):
        clock.lap(part)
    clock.end_step()
    clock.lap(UPDATE)
    clock.end_step()
    assert clock.milliseconds() == [
        {DATA: 1000, EMBEDDING: 2000, RECURRENT: 0, SOFTMAX: 1000, UPDATE: 0, LOOP: 1000},
        {DATA: 0, EMBEDDING: 0, RECURRENT: 0, SOFTMAX: 0, UPDATE: 1000, LOOP: 1000},
    ]


def test_a_start_forgets_what_was_before(clock):
    clock.lap(DATA)
    clock.end_step()
    clock.start()
    clock.end_step()
    assert clock.milliseconds() == [dict.fromkeys(PARTS, 0.0) | {LOOP: 1000}]


@pytest.mark.parametrize("kind", ["ours", "plain"])
def test_a_model_notes_the_borders_of_its_parts_forward_and_backward(clock, kind):
    model = LanguageModel(9, **SETTINGS.model_arguments()) if kind == "ours" else PlainLanguageModel(9, SETTINGS)
    attach(clock, model, model.embedding)
    clock.start()
    hidden_TBH, _ = model(torch.zeros(5, 4, dtype=torch.long), None)
    assert [part for part, _ in clock._notes] == ["", LOOP, EMBEDDING, RECURRENT]
    clock.start()
    hidden_TBH.sum().backward()
    assert [part for part, _ in clock._notes] == ["", SOFTMAX, RECURRENT]
