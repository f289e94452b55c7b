"""What is measured beside training itself: this project's step without Lightning, evaluation, and matrix products."""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lm.benchmark.benchmark_job import Job
from lm.benchmark.loop import Loop
from lm.benchmark.timing import DATA, EMBEDDING, LOOP, SOFTMAX, UPDATE, attach, noted
from lm.data.batching import Batches
from lm.data.corpus import Corpus
from lm.evaluation.evaluation_loop import evaluate
from lm.models.bf16_matmul import to_matmul_dtype
from lm.models.language_model import LanguageModel
from lm.models.matmul_precision import full_precision_matmul
from lm.training.hardware import configure_malloc, describe_device, set_precision, versions
from lm.training.lightning_module import LanguageModelModule

EVALUATIONS = ("validation", "final scoring")
"""As after each epoch, and as at the end of a run, with a lead-in to each column."""

EVALUATED = 2**17
"""The most words of the training split, which is most of what is scored, that are read each time."""


class StepByHand(Loop):
    """The task's own step, with nothing around it: what Lightning adds is the difference."""

    def __init__(self, job: Job, corpus: Corpus) -> None:
        super().__init__(job)
        configure_malloc()
        _, self.precision = set_precision(job.precision, self.clock.device)
        pl.seed_everything(job.settings.seed, verbose=False)
        model = LanguageModel(len(corpus.vocabulary), **job.settings.model_arguments())
        self.corpus, self.windows = corpus, job.windows_of(corpus)
        self.task = LanguageModelModule(model, job.settings, metadata={}).to(self.clock.device)
        self.optimizer = self.task.configure_optimizers()["optimizer"]
        attach(self.clock, model, model.embedding)
        model.total_nats = noted(model.total_nats, self.clock, SOFTMAX)  # type: ignore[method-assign]

    def step(self, index: int) -> Tensor:
        """Train on a window."""
        window = self.windows.window(index)
        self.clock.lap(DATA)
        loss = self.task.training_step(type(window)(*(part.to(self.clock.device) for part in window)), index)
        self.optimizer.zero_grad()
        self.clock.lap(LOOP)
        torch.autograd.backward(loss)
        self.clock.lap(EMBEDDING)
        self.task.configure_gradient_clipping(self.optimizer)
        self.optimizer.step()
        self.clock.lap(UPDATE)
        return loss.detach()

    def machine(self) -> dict[str, Any]:
        """Return what the machine and its precision are, in words."""
        return {"device": describe_device(self.clock.device), "precision": self.precision, "versions": versions()}

    def evaluate(self) -> dict[str, float]:
        """Return tokens a second for each of `EVALUATIONS`."""
        corpus = replace(self.corpus, splits={"train": self.corpus.splits["train"][: EVALUATED + 1]})
        batching = self.job.settings.batches()
        batches = (
            batching.evaluation(corpus, "train", batching.batch_size),
            batching.final_evaluation(corpus, "train"),
        )
        return {name: self._tokens_per_second(one) for name, one in zip(EVALUATIONS, batches, strict=True)}

    def _tokens_per_second(self, batches: Batches) -> float:
        started = time.perf_counter()
        found = evaluate(self.task.model, batches)  # it waits for the device itself
        return found.tokens / (time.perf_counter() - started)

    def ceiling(self) -> dict[str, float]:
        """Return the floating-point operations a second of large matrix products: exact, and as training has them."""
        with full_precision_matmul():
            exact = product_rate(self.clock.device)
        return {"float32": exact, "in_force": product_rate(self.clock.device)}


def product_rate(device: torch.device, repetitions: int = 7) -> float:
    """Return the floating-point operations a second of a product of two large square matrices, their median."""
    size = 8192 if device.type == "cuda" else 2048
    left, right = (to_matmul_dtype(torch.full((size, size), 0.5, device=device)) for _ in range(2))
    result = torch.empty_like(left)
    seconds = [_seconds(lambda: torch.mm(left, right, out=result), device) for _ in range(repetitions + 1)]
    return 2 * size**3 / median(seconds[1:])


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
