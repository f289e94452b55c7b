import io
import json

import pytest
import torch

from lm.benchmark.comparison import PLAIN, TRAIN, Worker, started
from lm.benchmark.worker import Conversation, Screen, peak_memory
from tests.benchmark.jobs import small_job


def test_orders_are_answered_until_there_are_no_more():
    answers = io.StringIO()
    talk = Conversation(io.StringIO("memory\nmemory\n"), answers)
    assert talk.serve({"memory": lambda: {"bytes": 7}}) is False
    assert [json.loads(line) for line in answers.getvalue().splitlines()] == [{"bytes": 7}] * 2


def test_an_order_can_be_left_to_the_one_who_serves():
    answers = io.StringIO()
    talk = Conversation(io.StringIO("memory\nround\nmemory\n"), answers)
    assert talk.serve({"memory": lambda: 7}, until="round") is True
    assert answers.getvalue() == "7\n"
    assert talk.next_order() == "memory"


def test_a_screen_is_a_terminal_that_shows_nothing(capsys):
    screen = Screen()
    print("progress", file=screen)
    assert screen.isatty()
    assert capsys.readouterr().out == ""


def test_peak_memory_is_at_least_that_of_what_was_just_held():
    before = peak_memory(torch.device("cpu"))
    held = torch.ones(2**24 + before // 4)  # more than ever before
    assert peak_memory(torch.device("cpu")) >= before + 2**26 > held.numel()


def test_a_contender_works_in_a_process_of_its_own_and_ends_with_its_orders():
    with started([PLAIN], small_job()) as workers:
        worker = workers[PLAIN]
        assert len(worker.ask("round")["nats"]) == 5
        assert worker.ask("memory") > 2**20
    assert worker.process.returncode == 0


def test_what_the_user_can_mend_comes_back_as_a_sentence():
    with (
        pytest.raises(ValueError, match="expected a text of at least"),
        started([PLAIN], small_job(steps=4, vocabulary_size=None, source={"name": "synthetic"}, batch_size=10_000)),
    ):
        pass


def test_a_process_that_ends_by_itself_is_told():
    worker = Worker(TRAIN, small_job())
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(RuntimeError, match=r"process of 'lm.train' has ended with status -9"):
        worker.ask("round")
    worker.close()
