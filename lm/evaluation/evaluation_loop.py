"""A model and the batches of a text -> its perplexity, every target scored exactly once."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from lm.data.batching import Batches
from lm.data.bptt import IGNORE_INDEX, Batch
from lm.data.sentences import SentenceBatch, right_pad
from lm.evaluation.methods import Method, Static
from lm.evaluation.perplexity import perplexity
from lm.models.language_model import LanguageModel
from lm.models.matmul_precision import matmul_precision

LENGTHS = "predicted, and counted in ppl; ppl_given_length conditions on them: not comparable with other models"


@dataclass(frozen=True)
class EvalResult:
    """Nats and tokens of a text, and how they were measured.

    Args:
        nats: the sum over all targets.
        tokens: the number of targets.
        protocol: what else the perplexity depends on, in plain values.
        length_nats: the part of `nats` that predicts sentence lengths; None for a model without length conditioning.
        token_nats: one value per target in the order of the text, [tokens] in float64 on the CPU, if asked for.
    """

    nats: float
    tokens: int
    protocol: dict[str, Any]
    length_nats: float | None = None
    token_nats: Tensor | None = field(default=None, repr=False, compare=False)

    @property
    def ppl(self) -> float:
        """The perplexity, exp(nats / tokens)."""
        return perplexity(self.nats, self.tokens)

    @property
    def ppl_given_length(self) -> float | None:
        """The perplexity of the words given the true sentence lengths: not comparable with other models."""
        return None if self.length_nats is None else perplexity(self.nats - self.length_nats, self.tokens)


def evaluate(
    model: LanguageModel, batches: Batches, method: Method | None = None, progress: str = "", per_token: bool = False
) -> EvalResult:
    """Score a text.

    Args:
        model: on any device. Its mode and weights are restored.
        batches: of the text, which leave nothing out.
        method: how to score; static evaluation by default.
        progress: the label of a progress bar; no bar if empty.
        per_token: return `token_nats` too, which takes longer.
    """
    method, device = method or Static(), model.decoder.weight.device
    nats, length_nats = torch.zeros(2, dtype=torch.float64, device=device)
    state, token_nats = None, list[Tensor]()
    with method.prepare(model):
        bar: Iterable[Batch | SentenceBatch]
        bar = tqdm(batches, desc=progress, disable=None if progress else True, leave=False)
        for batch in bar:
            found, state = method.score(model, _on_device(batch, device), state, per_token)
            nats += found.words.sum(dtype=torch.float64)
            length_nats += 0 if found.lengths is None else found.lengths
            if per_token:
                token_nats.append(found.words.double().cpu())
    return EvalResult(
        float(nats + length_nats),
        batches.num_targets,
        _protocol(model, batches, method, device),
        None if model.lengths is None else float(length_nats),
        in_text_order(token_nats, batches) if per_token else None,
    )


def _on_device(batch: Batch | SentenceBatch, device: torch.device) -> Batch | SentenceBatch:
    batch = right_pad(batch) if isinstance(batch, SentenceBatch) else batch
    return type(batch)(*(part_TB.to(device) for part_TB in batch))


def _protocol(model: LanguageModel, batches: Batches, method: Method, device: torch.device) -> dict[str, Any]:
    return {
        "batch_size": batches.batch_size,
        "tokens": batches.num_targets,
        "state": batches.state,
        **method.protocol(),
        "matmul_precision": matmul_precision(device),
        **({} if model.lengths is None else {"lengths": LENGTHS}),
    }


def in_text_order(values: Sequence[Tensor], batches: Batches) -> Tensor:
    """Return one value per target in the order of the text, from one tensor [T, B] per batch."""
    positions = copy(batches)  # the same batches of the text 0, 1, 2, ...: each target is its own position
    positions.ids = torch.arange(len(batches.ids))
    targets_N = torch.cat([_on_device(batch, torch.device("cpu")).targets_TB.flatten() for batch in positions])
    values_N = torch.cat([value_TB.flatten() for value_TB in values])
    scored_N = targets_N != IGNORE_INDEX
    return values_N[scored_N][targets_N[scored_N].argsort()]
