"""The contenders train the same model on the same windows, so what is compared is the same work."""

import pytest
import torch

from lm.benchmark.baseline import PlainLoop
from lm.benchmark.no_trainer import EVALUATIONS, StepByHand, product_rate
from lm.benchmark.timing import PARTS
from lm.benchmark.with_trainer import Enough, train_in_rounds
from lm.evaluation.evaluation_loop import evaluate
from lm.models.bf16_matmul import allow_bf16_matmul, bf16_matmul_allowed
from lm.models.matmul_precision import full_precision_matmul
from tests.benchmark.jobs import small_job


@pytest.fixture(autouse=True)
def restored_precision():
    with full_precision_matmul():  # whatever holds now holds again afterwards
        yield


def rounds_of(loop, job):
    return [loop.round() for _ in range(job.rounds)]


def rounds_in_lightning(job, folder):
    rounds = []
    train_in_rounds(job, job.corpus(), folder, lambda finished: rounds.append(finished) if finished else None)
    return rounds


def nats(rounds):
    return [value for one in rounds for value in one["nats"]]


@pytest.mark.parametrize(
    "changes",
    [{"cell": cell} for cell in ("lstm", "gru", "rnn_tanh", "rnn_relu")]
    + [{"num_layers": 1}, {"tie_weights": True}, {"embedding_size": 6}],
    ids=str,
)
def test_the_plain_loop_has_the_same_losses(changes):
    job = small_job(**changes)
    plain, by_hand = (nats(rounds_of(loop(job, job.corpus()), job)) for loop in (PlainLoop, StepByHand))
    assert plain == pytest.approx(by_hand, abs=1e-5)
    assert len(plain) == job.windows
    assert plain[-1] != pytest.approx(plain[0], abs=1e-3)  # it learns


def test_the_step_by_hand_is_the_one_that_lightning_takes(tmp_path):
    job = small_job(dropout=0.5, max_grad_norm=0.1)
    assert nats(rounds_in_lightning(job, tmp_path)) == nats(rounds_of(StepByHand(job, job.corpus()), job))


def test_every_part_of_every_counted_step_takes_its_time(tmp_path):
    job = small_job(vocabulary_size=2000)
    loops = (rounds_of(loop(job, job.corpus()), job) for loop in (PlainLoop, StepByHand))
    for rounds in (rounds_in_lightning(job, tmp_path), *loops):
        assert [len(one["steps"]) for one in rounds] == [job.steps_a_round] * job.rounds
        assert all(set(step) == set(PARTS) for one in rounds for step in one["steps"])
        assert all(step[part] > 0 for one in rounds for step in one["steps"] for part in PARTS)


def test_lightning_ends_without_checkpoints_when_nobody_asks_for_more(tmp_path):
    def no_more(finished):
        raise Enough

    job = small_job()
    train_in_rounds(job, job.corpus(), tmp_path, no_more)
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize(
    "options", [{"max_time": "00:00:00:00"}, {"max_steps": 1}, {"val_check_interval": 1}, {"devices": "auto"}], ids=str
)
def test_lightning_trains_until_its_rounds_are_over_whatever_its_options(tmp_path, options):
    job = small_job(trainer=options)
    assert [len(one["steps"]) for one in rounds_in_lightning(job, tmp_path)] == [job.steps_a_round] * job.rounds


def test_evaluation_is_measured_as_it_is_done_after_an_epoch_and_after_a_run(monkeypatch):
    seen = []

    def noting_score(model, batches):
        seen.append((batches.num_targets, batches.batch_size, batches.state, bf16_matmul_allowed()))
        return evaluate(model, batches)

    monkeypatch.setattr("lm.benchmark.no_trainer.evaluate", noting_score)
    monkeypatch.setattr("lm.benchmark.no_trainer.EVALUATED", 50)
    monkeypatch.setattr("lm.data.batching.WARMUP_TOKENS", 2)
    job = small_job()
    loop = StepByHand(job, job.corpus())
    allow_bf16_matmul(True)
    rates = loop.evaluate()
    assert seen == [(50, 4, "carried", True), (50, 3, "carried, after 2 words", True)]
    assert tuple(rates) == EVALUATIONS
    assert all(rate > 0 for rate in rates.values())


def test_the_ceiling_is_that_of_a_product_of_matrices(monkeypatch):
    monkeypatch.setattr("lm.benchmark.no_trainer._seconds", lambda work, device: work() is None or 0.5)
    assert product_rate(torch.device("cpu"), repetitions=1) == 2 * 2048**3 / 0.5
