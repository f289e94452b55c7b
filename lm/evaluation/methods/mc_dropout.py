"""MC dropout: the mean of the probabilities of several passes with dropout on (Gal and Ghahramani 2016).

    p(w) = 1/S sum_s p(w | masks s)

Melis et al. (2018, arXiv:1805.09208) find the mean of the probabilities, with dropout rates a little below those of the
training, the best of several ways to average. Each pass carries a hidden state of its own. A mask that is the same at
all time steps of a window in training is the same at all time steps of a batch here.

Shapes: S passes, T time, B batch.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn

from lm.checks import check_number, check_whole
from lm.data.sentences import AnyBatch
from lm.evaluation.methods.method import Method, Nats
from lm.evaluation.methods.static import Static
from lm.models.language_model import LanguageModel


@dataclass(kw_only=True)
class MCDropout(Method):
    """Averages the probabilities of several passes with dropout on; `conf/evaluate.yaml` explains the options."""

    name = "mc"
    has_hidden = predicts_lengths = False
    grid: ClassVar = {"dropout_factor": (0.2, 0.4, 0.6, 0.8, 1.0)}

    samples: Annotated[int, partial(check_whole, example=20, most=10_000)]
    dropout_factor: Annotated[float, partial(check_number, example=0.8, least=0, most=1)]
    seed: Annotated[int, partial(check_whole, example=1, least=0, most=2**32 - 1)]

    @contextmanager
    def prepare(self, model: LanguageModel) -> Iterator[None]:
        """Turn dropout on within the block, with reduced rates and masks of its own."""
        was_training, rates = model.training, [(module, module.p) for module in dropouts(model)]
        with isolate_rng():
            torch.manual_seed(self.seed)
            try:
                model.train()
                for module, rate in rates:
                    module.p = rate * self.dropout_factor
                yield
            finally:
                for module, rate in rates:
                    module.p = rate
                model.train(was_training)

    def score(self, model: LanguageModel, batch: AnyBatch, state: Any, per_token: bool) -> tuple[Nats, Any]:
        """Score one batch; the state is the hidden state of each pass."""
        once, words, states = Static().at(self.temperatures), list[Tensor](), []
        for before in state or [None] * self.samples:
            found, after = once.score(model, batch, before, per_token=True)
            words.append(found.words)
            states.append(after)
        mean = mean_probability(words)
        return Nats(mean if per_token else mean.sum()), states


def dropouts(model: nn.Module) -> list[nn.Dropout]:
    """Return the modules of a model that drop something."""
    return [module for module in model.modules() if isinstance(module, nn.Dropout)]


def mean_probability(nats: Sequence[Tensor]) -> Tensor:
    """Return the nats of the mean of probabilities, from the nats of each."""
    return math.log(len(nats)) - torch.stack([-one for one in nats]).logsumexp(0)
