from functools import partial

import pytest
import torch

from lm.benchmark.benchmark_job import WARM_UP, Job, random_corpus
from tests.benchmark.jobs import small_job


def test_a_job_survives_the_way_to_another_process():
    job = small_job(dropout=0.25, source={"name": "ptb", "dir": None})
    assert Job.from_json(job.to_json()) == job


def test_every_round_begins_with_steps_that_are_not_counted():
    job = small_job(steps=11, rounds=2)
    assert (job.steps_a_round, job.windows) == (5, 2 * (5 + WARM_UP))


def test_random_ids_fill_all_windows_and_one_more_with_all_words():
    job = small_job(vocabulary_size=50)
    corpus = job.corpus()
    assert len(job.windows_of(corpus)) == job.windows + 1
    assert len(corpus.vocabulary) == 50
    assert set(corpus.splits["train"].tolist()) <= set(range(50))
    assert torch.equal(corpus.splits["train"], job.corpus().splits["train"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 0}, "expected steps to be a whole number of at least 2, found 0: type steps=40"),
        ({"steps": 1}, "expected steps to be a whole number of at least 2, found 1"),
        ({"steps": 2.5}, "found 2.5"),
        ({"rounds": 0}, "expected rounds to be a whole number of at least 1, found 0: type rounds=10"),
        ({"vocabulary_size": 2}, "expected vocabulary_size to be a whole number of at least 3, found 2"),
        ({"batching": "sentences"}, "expected data.batching=streams, found sentences"),
        ({"precision": "bf16-mixed"}, "expected precision=auto or 32-true, found bf16-mixed: type precision=auto"),
        ({"trainer": {"devices": 2}}, "expected one device, found 2: type trainer.devices=1"),
    ],
)
def test_what_cannot_be_measured_is_told(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        small_job(**changes)


@pytest.mark.parametrize(("tokens", "windows"), [(101, 4), (102, 5), (20_000, 999)])
def test_a_text_that_is_too_short_is_told_with_the_most_that_it_is_enough_for(monkeypatch, tokens, windows):
    monkeypatch.setattr("lm.benchmark.benchmark_job.load_corpus", lambda source: random_corpus(30, tokens))
    job = partial(small_job, vocabulary_size=None, source={"name": "synthetic"})
    with pytest.raises(
        ValueError, match=f"at least 1030 windows for steps=1000 and rounds=10, found {windows}:"
    ) as told:
        job(steps=1000, rounds=10).corpus()
    words = str(told.value).partition(": type ")[2].split(", or")[0].split()
    enough = {name: int(value) for name, value in (word.split("=") for word in words)}
    assert job(**enough).windows == windows
    assert job(**enough).corpus().name == "random"


def test_a_text_that_is_too_short_for_any_step_is_told(monkeypatch):
    monkeypatch.setattr("lm.benchmark.benchmark_job.load_corpus", lambda source: random_corpus(30, 81))
    with pytest.raises(ValueError, match="found 3: give a longer text"):
        small_job(vocabulary_size=None, source={"name": "synthetic"}).corpus()
