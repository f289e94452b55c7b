"""The training loops that are compared. They start with the same weights and read the same batches.

baseline       the loop that one writes from PyTorch's documentation, in float32
no_trainer     the step of `lm.train` without Lightning's Trainer
lightning      `lm.train` itself: Trainer, progress bar, TensorBoard, checks

Lightning is imported only where it is used, so that the baseline has the memory of a plain PyTorch process.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from lm.benchmark.baseline_model import BaselineModel
from lm.benchmark.benchmark_job import WARMUP_STEPS, Job
from lm.benchmark.timing import Clock, Part, add_timing_hooks, peak_flops, peak_memory, timed
from lm.data.batching import Batches
from lm.data.corpus import Corpus
from lm.models.language_model import LanguageModel
from lm.models.matmul_precision import full_precision_matmul
from lm.run_dir import RunDir
from lm.training.hardware import configure_malloc, describe_device, set_precision, versions

EVALUATED_TOKENS = 2**17
"""The most tokens that are read to measure the speed of evaluation."""

NEVER = 1e9
"""More minutes than a benchmark takes."""


class Round(TypedDict):
    """Milliseconds of each part of each measured step, and nats per token of every step."""

    steps: list[dict[Part, float]]
    nats: list[float]


class Recorder:
    """Records the steps of a loop, and divides them into rounds.

    Args:
        job: what is measured.
        take_turn: called with None when the loop is ready, and then with each finished round; the next round begins
            when it returns.
    """

    def __init__(self, job: Job, take_turn: Callable[[Round | None], None]) -> None:
        self.clock = Clock(job.device)
        self._seq_len, self._take_turn = job.config.seq_len, take_turn
        self._round_sizes = iter(job.steps_per_round)

    def start_round(self, finished: Round | None = None) -> None:
        """Report the finished round, and wait for the turn to begin the next one."""
        self._take_turn(finished)
        self._round_size = WARMUP_STEPS + next(self._round_sizes, 0)
        self._losses: list[Tensor] = []
        self.clock.start()

    def end_step(self, loss: Tensor) -> None:
        """End a step, whose loss is summed over time and averaged over the batch; its round ends with the last one."""
        self.clock.end_step()
        self._losses.append(loss)
        if len(self._losses) == self._round_size:
            nats = (torch.stack(self._losses) / self._seq_len).tolist()
            self.start_round({"steps": self.clock.milliseconds()[WARMUP_STEPS:], "nats": nats})


def train_baseline(job: Job, corpus: Corpus, recorder: Recorder) -> dict[str, Any]:
    """Train plain PyTorch in float32."""
    set_precision("32-true", job.device)
    clock, state = recorder.clock, None
    model = BaselineModel(len(corpus.vocabulary), job.config).to(job.device)
    add_timing_hooks(clock, model, model.embedding)
    recorder.start_round()
    for inputs_TB, targets_TB in job.training_batches(corpus):
        clock.lap(Part.DATA)
        hidden_TBH, state = model(inputs_TB, state)
        state = apply_to_collection(state, Tensor, Tensor.detach)
        loss = model.total_nats(hidden_TBH, targets_TB) / job.config.batch_size
        clock.lap(Part.SOFTMAX)
        model.zero_grad()
        clock.lap(Part.LOOP)
        torch.autograd.backward(loss)
        clock.lap(Part.EMBEDDING)
        nn.utils.clip_grad_norm_(model.parameters(), job.config.max_grad_norm)
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.add_(parameter.grad, alpha=-job.config.lr)
        clock.lap(Part.UPDATE)
        recorder.end_step(loss.detach())
    return {"peak_memory": peak_memory(job.device)}


def train_without_trainer(job: Job, corpus: Corpus, recorder: Recorder) -> dict[str, Any]:
    """Take the steps of the LightningModule: the difference from `train_with_trainer` is what the Trainer costs."""
    from lm.training.lightning_module import LanguageModelModule

    configure_malloc()
    clock, (_, precision) = recorder.clock, set_precision(job.machine.precision, job.device)
    torch.manual_seed(job.config.seed)
    model = LanguageModel(len(corpus.vocabulary), **job.config.model_arguments())
    module = LanguageModelModule(model, job.config, metadata={}).to(job.device)
    optimizer = module.configure_optimizers()["optimizer"]
    add_timing_hooks(clock, model, model.embedding)
    model.total_nats = timed(model.total_nats, clock, Part.SOFTMAX)  # type: ignore[method-assign]
    recorder.start_round()
    for index, batch in enumerate(job.training_batches(corpus)):
        clock.lap(Part.DATA)
        loss = module.training_step(batch, index)
        optimizer.zero_grad()
        clock.lap(Part.LOOP)
        torch.autograd.backward(loss)
        clock.lap(Part.EMBEDDING)
        module.configure_gradient_clipping(optimizer)
        optimizer.step()
        clock.lap(Part.UPDATE)
        recorder.end_step(loss.detach())
    return {"peak_memory": peak_memory(job.device), "precision": precision} | measure_machine(job, corpus, model)


def measure_machine(job: Job, corpus: Corpus, model: LanguageModel) -> dict[str, Any]:
    """Return the machine, its peak FLOP/s in float32 and in the precision that is set, and tokens/s of evaluation."""
    with full_precision_matmul():
        float32 = peak_flops(job.device)
    part = replace(corpus, splits={"train": corpus.splits["train"][: EVALUATED_TOKENS + 1]})
    batching = job.config.batches()
    return {
        "device": describe_device(job.device),
        "versions": versions(),
        "peak_flops": {"float32": float32, "lm.train": peak_flops(job.device)},
        "evaluation": {
            "after each epoch": _speed(model, batching.evaluation(part, "train", batching.batch_size)),
            "after training": _speed(model, batching.final_evaluation(part, "train")),
        },
    }


def _speed(model: LanguageModel, batches: Batches) -> float:
    from lm.evaluation.evaluation_loop import evaluate

    started = time.perf_counter()
    tokens = evaluate(model, batches).tokens  # it waits for the device itself
    return tokens / (time.perf_counter() - started)


class StopBenchmark(Exception):
    """Ends `Trainer.fit` after the last round, without a validation or a checkpoint."""


def train_with_trainer(job: Job, corpus: Corpus, recorder: Recorder) -> dict[str, Any]:
    """Train as `lm.train` does, in a temporary run folder."""
    from pytorch_lightning.callbacks import LambdaCallback

    from lm.data.datamodule import CorpusDataModule
    from lm.training.trainer import fit, trainer_arguments

    clock, losses = recorder.clock, [torch.zeros(())]

    def on_train_start(trainer: Any, module: Any) -> None:
        model, batches = module.model, trainer.train_dataloader
        add_timing_hooks(clock, model, model.embedding)
        batches.batch = timed(batches.batch, clock, Part.DATA)
        model.total_nats = timed(model.total_nats, clock, Part.SOFTMAX)
        trainer.optimizers[0].register_step_post_hook(lambda *_: clock.lap(Part.UPDATE))

    def on_train_batch_start(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if index == 0:
            recorder.start_round()
        else:  # only now has the Trainer done everything that belongs to the previous step
            recorder.end_step(losses.pop())
        if index == job.num_batches:
            raise StopBenchmark

    def on_before_backward(trainer: Any, module: Any, loss: Tensor) -> None:
        losses.append(loss.detach())
        clock.lap(Part.LOOP)

    configure_malloc()
    precision, _ = set_precision(job.machine.precision, job.device)
    # One batch more than is measured: the end of an epoch belongs to no step.
    options = replace(job.machine.trainer, devices=1, max_time=None, limit_train_batches=job.num_batches + 1)
    machine = replace(job.machine, trainer=options, checkpoint_every_minutes=NEVER)
    hooks = LambdaCallback(
        on_train_start=on_train_start,
        on_train_batch_start=on_train_batch_start,
        on_before_backward=on_before_backward,
        on_after_backward=lambda *_: clock.lap(Part.EMBEDDING),
        on_before_optimizer_step=lambda *_: clock.lap(Part.LOOP),
    )
    with tempfile.TemporaryDirectory() as folder, suppress(StopBenchmark):
        batches = CorpusDataModule(corpus, job.config.batches())
        fit(job.config, batches, RunDir(Path(folder) / "run"), machine, trainer_arguments(machine, precision), [hooks])
    return {"peak_memory": peak_memory(job.device)}


LOOPS = {"baseline": train_baseline, "no_trainer": train_without_trainer, "lightning": train_with_trainer}
BASELINE, NO_TRAINER, LIGHTNING = LOOPS
