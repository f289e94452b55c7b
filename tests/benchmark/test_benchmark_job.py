import math
import pickle
from functools import partial

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lm.benchmark.benchmark_job import WARMUP_STEPS, Job, random_corpus
from lm.cli import CONFIGS
from tests.benchmark.jobs import small_job


def test_a_job_can_be_sent_to_another_process():
    job = small_job(dropout=0.25, source={"name": "ptb", "dir": None})
    assert pickle.loads(pickle.dumps(job)) == job


@pytest.mark.parametrize(("steps", "rounds", "expected"), [(4, 2, [2, 2]), (5, 2, [3, 2]), (11, 4, [3, 3, 3, 2])])
def test_the_rounds_have_as_many_steps_as_were_asked_for(steps, rounds, expected):
    job = small_job(steps=steps, rounds=rounds)
    assert job.steps_per_round == expected
    assert job.num_batches == steps + rounds * WARMUP_STEPS


def test_random_ids_fill_one_batch_more_than_is_read_with_all_words():
    job = small_job(vocabulary_size=50)
    corpus = job.corpus()
    assert len(corpus.splits["train"]) == (job.num_batches + 1) * 20 + 1
    assert len(corpus.vocabulary) == 50
    assert set(corpus.splits["train"].tolist()) <= set(range(50))
    assert torch.equal(corpus.splits["train"], job.corpus().splits["train"])


def test_random_ids_are_as_frequent_as_the_words_of_a_text():
    """By Zipf's law the ids below n have a share of log(n + 1) / log(V + 1)."""
    ids = random_corpus(10_000, 100_000).splits["train"]
    for n in (1, 10, 1000, 10_000):
        assert float((ids < n).double().mean()) == pytest.approx(math.log(n + 1, 10_001), abs=0.01)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 1}, "expected steps to be a whole number of at least 2, found 1: type steps=200"),
        ({"precision": "bf16-mixed"}, "expected precision to be one of auto, 32-true, found 'bf16-mixed': type"),
        ({"batching": "sentences"}, "expected data.batching to be one of streams, found 'sentences': type"),
        ({"optimizer": "adamw"}, "expected optimizer to be one of sgd, found 'adamw': type"),
        ({"random_seq_len": True, "seq_len": 10}, "found random_seq_len=true: leave it out"),
        ({"partial_shuffle": True}, "found partial_shuffle=true: leave it out"),
        ({"trainer": {"devices": 2}}, "expected one device, found 2: type trainer.devices=1"),
    ],
)
def test_a_job_that_cannot_be_measured_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        small_job(**changes)


@pytest.mark.parametrize(("tokens", "batches"), [(101, 4), (102, 5), (20_000, 999)])
def test_a_text_that_is_too_short_is_refused_with_the_most_steps_that_it_allows(monkeypatch, tokens, batches):
    monkeypatch.setattr("lm.benchmark.benchmark_job.load_corpus", lambda source: random_corpus(30, tokens))
    job = partial(small_job, vocabulary_size=None, source={"name": "synthetic"})
    expected = f"at least 1030 batches for steps=1000 and rounds=10, found {batches}:"
    with pytest.raises(ValueError, match=expected) as refusal:
        job(steps=1000, rounds=10).corpus()
    advice = str(refusal.value).partition(": type ")[2].split(", or")[0].split()
    enough = {name: int(value) for name, value in (option.split("=") for option in advice)}
    assert job(**enough).num_batches == batches
    assert job(**enough).corpus().name == "random"


def test_a_text_that_is_too_short_for_any_step_is_refused(monkeypatch):
    monkeypatch.setattr("lm.benchmark.benchmark_job.load_corpus", lambda source: random_corpus(30, 81))
    with pytest.raises(ValueError, match="found 3: use a longer text"):
        small_job(vocabulary_size=None, source={"name": "synthetic"}).corpus()


@pytest.fixture(scope="module")
def config():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("benchmark")


BAD = ["abc", "", True, 1.5, -1, math.nan, math.inf, [1, 2], {"a": 1}, 10**20]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("steps", "rounds", "vocabulary_size", "startup_repeats") for value in BAD]
    + [(name, None) for name in ("steps", "rounds", "startup_repeats")]
    + [(name, 0) for name in ("steps", "rounds", "vocabulary_size")]
    + [("vocabulary_size", 2), ("steps", 9), ("rounds", 201)],
)
def test_a_bad_value_of_its_own_options_is_refused_in_one_sentence(config, name, value):
    expected = "steps" if name == "rounds" and value == 201 else name
    with pytest.raises(ValueError, match=f"^expected {expected} to be a whole number of at .*: type {expected}="):
        Job.from_hydra(OmegaConf.merge(config, {name: value}))
