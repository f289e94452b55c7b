"""The loops train the same model on the same batches, so that the same work is compared."""

import pytest
import torch

from lm.benchmark.loops import (
    LOOPS,
    Recorder,
    measure_machine,
    train_baseline,
    train_with_trainer,
    train_without_trainer,
)
from lm.benchmark.timing import Part
from lm.evaluation.evaluation_loop import evaluate
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel
from lm.models.matmul_precision import full_precision_matmul, reduce_matmul_precision, uses_bf16
from tests.benchmark.jobs import small_job


@pytest.fixture(autouse=True)
def same_precision_afterwards():
    with full_precision_matmul():
        yield


@pytest.fixture(autouse=True)
def small_measurements(monkeypatch):
    monkeypatch.setattr("lm.benchmark.loops.peak_flops", lambda device: 8.0 if uses_bf16(torch.zeros(1)) else 4.0)
    monkeypatch.setattr("lm.benchmark.loops.EVALUATED_TOKENS", 50)


def rounds_of(loop, job):
    rounds = []
    loop(job, job.corpus(), Recorder(job, rounds.append))
    assert rounds[0] is None  # the loop is ready
    return rounds[1:]


def nats(rounds):
    return [value for one in rounds for value in one["nats"]]


@pytest.mark.parametrize(
    "changes",
    [{"cell": name} for name in CELLS]
    + [{"num_layers": 1}, {"tie_weights": True}, {"embedding_size": 6}, {"embedding_size": 6, "tie_weights": True}]
    + [{"last_hidden_size": 6}, {"last_hidden_size": 6, "cell": "min_gru"}, {"softmax": "adaptive", "cutoffs": [10]}],
    ids=str,
)
def test_the_baseline_has_the_same_losses(changes):
    job = small_job(**changes)
    baseline, no_trainer = (nats(rounds_of(loop, job)) for loop in (train_baseline, train_without_trainer))
    assert baseline == pytest.approx(no_trainer, abs=1e-5)
    assert len(baseline) == job.num_batches
    assert baseline[-1] != pytest.approx(baseline[0], abs=1e-3)  # it learns


def test_the_step_without_trainer_is_the_one_that_the_trainer_takes():
    job = small_job(dropout=0.5, max_grad_norm=0.1)
    assert nats(rounds_of(train_with_trainer, job)) == nats(rounds_of(train_without_trainer, job))


@pytest.mark.parametrize("name", LOOPS)
def test_every_part_of_every_measured_step_takes_time(name):
    job = small_job(vocabulary_size=2000, steps=5, rounds=2)
    rounds = rounds_of(LOOPS[name], job)
    assert [len(one["steps"]) for one in rounds] == [3, 2]
    assert all(step[part] > 0 for one in rounds for step in one["steps"] for part in Part)


def test_lightning_writes_no_checkpoint(monkeypatch):
    monkeypatch.setattr("pytorch_lightning.Trainer.save_checkpoint", None)
    assert rounds_of(train_with_trainer, small_job())


@pytest.mark.parametrize("option", [{"max_time": "00:00:00:00"}, {"limit_train_batches": 1}, {"devices": "auto"}])
def test_lightning_trains_until_the_last_round_whatever_its_options(option):
    job = small_job(trainer=option)
    assert [len(one["steps"]) for one in rounds_of(train_with_trainer, job)] == job.steps_per_round


def test_the_machine_is_measured_in_full_precision_and_in_that_of_training():
    job = small_job(cell="gru")  # PyTorch's LSTM in bf16 needs a processor that has it
    reduce_matmul_precision(on_cpu=True, on_gpu=False)
    found = measure_machine(job, job.corpus(), LanguageModel(30, **job.config.model_arguments()))
    assert found["peak_flops"] == {"float32": 4.0, "lm.train": 8.0}
    assert found["device"].startswith("cpu")
    assert "torch" in found["versions"]


def test_evaluation_is_measured_as_it_is_done_after_each_epoch_and_after_training(monkeypatch):
    seen = []

    def recorded(model, batches):
        seen.append((batches.num_targets, batches.batch_size, batches.state, uses_bf16(torch.zeros(1))))
        return evaluate(model, batches)

    monkeypatch.setattr("lm.evaluation.evaluation_loop.evaluate", recorded)
    monkeypatch.setattr("lm.data.batching.WARMUP_TOKENS", 2)
    job = small_job(cell="gru")  # PyTorch's LSTM in bf16 needs a processor that has it
    reduce_matmul_precision(on_cpu=True, on_gpu=False)
    found = measure_machine(job, job.corpus(), LanguageModel(30, **job.config.model_arguments()))
    assert [entry[:2] for entry in seen] == [(50, 4), (50, 3)]
    assert [entry[3] for entry in seen] == [True, True]
    assert "2" in seen[1][2]
    assert all(speed > 0 for speed in found["evaluation"].values())
