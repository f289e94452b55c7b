"""Dynamic evaluation: the weights learn from each part of a text after it was scored (Krause et al. 2017, 2018).

A part is `seq_len` words, read in one column. Its gradient g is that of the mean cross-entropy of its words, without
dropout. With w0 the trained weights, each weight w is changed after the part was scored:

    dynamic_sgd    w += decay (w0 - w) - lr g
    dynamic        w += decay r (w0 - w) - lr g / (ms + epsilon),    r = min(ms / mean(ms), 1 / decay)

Here ms is the root of the mean square of the weight's gradient over the training text, in batches of 100 columns and
`seq_len` words, and mean(ms) is the mean over the parameter tensors of their means. These are the formulas and the
scale of the loss of github.com/benkrause/dynamic-evaluation (arXiv:1709.07432).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Self

import torch
from torch import Tensor
from tqdm import tqdm

from lm.checks import check_number, check_whole
from lm.data.bptt import BPTTBatches
from lm.data.sentences import AnyBatch
from lm.evaluation.methods.method import Method, Nats, evaluation_mode
from lm.evaluation.methods.temperature import target_nats
from lm.models.language_model import LanguageModel, detach_states

STATISTICS_BATCH_SIZE = 100
"""Columns in which the training text is read: the scale of the statistics, and so of `lr`, depends on it."""

Rates = Sequence[tuple[Tensor | float, Tensor | float]]
"""What multiplies w0 - w, and what multiplies g, for each parameter."""


@contextmanager
def learning_mode(model: LanguageModel) -> Iterator[None]:
    """Turn dropout off within the block, where gradients are computed, then restore the model's mode."""
    with evaluation_mode(model):
        model.rnns.train(model.device.type == "cuda")  # cuDNN has no backward pass in evaluation mode
        yield


@dataclass(kw_only=True)
class DynamicSGD(Method):
    """Adapts the weights by plain gradient descent, and restores them at the end."""

    name = "dynamic_sgd"
    needs_stream = True
    grid: ClassVar = {"lr": (0.05, 0.1, 0.2, 0.4, 0.8), "decay": (0.0, 0.001, 0.01)}

    lr: Annotated[float, partial(check_number, example=0.2, least=0, most=1000)]
    decay: Annotated[float, partial(check_number, example=0.001, least=0, most=1)]
    seq_len: Annotated[int, partial(check_whole, example=20, most=10_000)]

    @contextmanager
    def prepare(self, model: LanguageModel) -> Iterator[None]:
        """Remember the trained weights, and restore them after the block."""
        self._trained = [parameter.detach().clone() for parameter in model.parameters()]
        self._rates = self._update_rates(model)
        try:
            with learning_mode(model):
                yield
        finally:
            for parameter, trained in zip(model.parameters(), self._trained, strict=True):
                parameter.data.copy_(trained)

    def score(self, model: LanguageModel, batch: AnyBatch, state: Any, per_token: bool) -> tuple[Nats, Any]:
        """Score one part, and learn from it; the state is the hidden state."""
        hidden_TBH, states = model(batch.inputs_TB, state)
        nats_TB = target_nats(model, hidden_TBH, batch.targets_TB)
        words = nats_TB.detach()
        if list(self.temperatures) != [1.0]:
            words = target_nats(model, hidden_TBH.detach(), batch.targets_TB, self.temperatures).detach()
        self._learn(model, nats_TB.mean())
        return Nats(words if per_token else words.sum(), hidden_TBH=hidden_TBH.detach()), detach_states(states)

    def _learn(self, model: LanguageModel, loss: Tensor) -> None:
        parameters = list(model.parameters())
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            steps = zip(parameters, gradients, self._trained, self._rates, strict=True)
            for parameter, gradient, trained, (decay, lr) in steps:
                parameter.lerp_(trained, decay)
                if gradient is not None:
                    update(parameter, gradient, lr)

    def _update_rates(self, model: LanguageModel) -> Rates:
        return [(self.decay, self.lr) for _ in model.parameters()]


def update(parameter: Tensor, gradient: Tensor, lr: Tensor | float) -> None:
    """Subtract the gradient times the learning rate, elementwise if that is a tensor."""
    if isinstance(lr, Tensor):
        parameter.addcmul_(gradient, lr, value=-1)
    else:
        parameter.add_(gradient, alpha=-lr)


@dataclass(kw_only=True)
class Dynamic(DynamicSGD):
    """Adapts each weight at a learning rate that depends on the mean square of its gradient in training."""

    name = "dynamic"
    needs_study = True
    grid: ClassVar = {"lr": (6e-5, 1.2e-4, 2.4e-4, 4.8e-4), "decay": (0.002, 0.01, 0.05)}

    epsilon: Annotated[float, partial(check_number, example=2e-5, above=0, most=1)]

    def __post_init__(self) -> None:
        self.gradient_rms: list[Tensor] | None = None

    def study(self, model: LanguageModel, ids: Tensor) -> Self:
        """Gather the statistics of the gradient over the training text."""
        return self.with_settings(gradient_rms=gradient_rms(model, ids, self.seq_len))

    def _update_rates(self, model: LanguageModel) -> Rates:
        assert self.gradient_rms is not None, "study() comes first"
        mean = torch.stack([rms.mean() for rms in self.gradient_rms]).mean()
        return [((self.decay * rms / mean).clamp(max=1), self.lr / (rms + self.epsilon)) for rms in self.gradient_rms]


def gradient_rms(model: LanguageModel, ids: Tensor, seq_len: int) -> list[Tensor]:
    """Return the root mean square of the gradient of each parameter over the batches of a text [N], dropout off."""
    parameters, states, device = list(model.parameters()), None, model.device
    squares = [torch.zeros_like(parameter, requires_grad=False) for parameter in parameters]
    batches = BPTTBatches(ids, min(STATISTICS_BATCH_SIZE, len(ids) - 1), seq_len)
    with learning_mode(model):
        for inputs_TB, targets_TB in tqdm(batches, desc="gradients in training", disable=None, leave=False):
            nats, states = model.total_nats(inputs_TB.to(device), targets_TB.to(device), states)
            loss, states = nats / int((targets_TB >= 0).sum()), detach_states(states)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            for square, gradient in zip(squares, gradients, strict=True):
                if gradient is not None:
                    square.addcmul_(gradient, gradient)
    return [(square / len(batches)).sqrt_() for square in squares]
