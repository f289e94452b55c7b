"""A model and the batches of a text -> its perplexity, every target scored exactly once."""

import math
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from lm.data.batching import Batches
from lm.data.sentences import AnyBatch, SentenceBatch, Sentences, right_pad
from lm.evaluation.methods import Method, Nats, Static, TextNats
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
    def bits_per_token(self) -> float:
        """The mean bits per token, log2 of the perplexity."""
        return self.nats / self.tokens / math.log(2)

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

    Raises:
        ValueError: if the method needs a stream, and the batches are of sentences.
    """
    method, device = method or Static(), model.device
    nats, length_nats = torch.zeros(2, dtype=torch.float64, device=device)
    token_nats = None
    if per_token or method.needs_hidden:
        text = read_text(model, batches, method, progress)
        token_nats = method.of_text(text)
        nats += token_nats.sum() if method.needs_hidden else text.nats
        length_nats += text.length_nats
    else:
        for found in _scores(model, batches, method, progress, per_token=False):
            nats += found.words.sum(dtype=torch.float64)
            length_nats += 0 if found.lengths is None else found.lengths
    return EvalResult(
        float(nats + length_nats),
        batches.num_targets,
        _protocol(model, batches, method, device),
        None if model.lengths is None else float(length_nats),
        token_nats if per_token else None,
    )


def read_text(model: LanguageModel, batches: Batches, method: Method, progress: str = "") -> TextNats:
    """Return what a method finds for each target of a text, in its order, before `Method.of_text`.

    The arguments are those of `evaluate`.
    """
    N, totals = batches.num_targets, torch.zeros(2, dtype=torch.float64)
    rows = [len(method.temperatures)] if len(method.temperatures) > 1 else []
    nats_N = torch.zeros(*rows, N, dtype=torch.float64)
    hidden_NH: Tensor | None = None
    scores = _scores(model, batches, method, progress, per_token=True)
    for found, position_TB in zip(scores, _positions(batches), strict=True):
        scored_TB = position_TB >= 0
        place_S = position_TB[scored_TB]
        words_TB = found.words.double().cpu()
        nats_N[..., place_S] = words_TB[..., scored_TB]
        totals[0] += words_TB.sum()
        totals[1] += 0.0 if found.lengths is None else found.lengths.cpu()
        if method.needs_hidden and found.hidden_TBH is not None:
            if hidden_NH is None:
                hidden_NH = found.hidden_TBH.new_empty(N, found.hidden_TBH.shape[-1])
            hidden_NH[place_S.to(hidden_NH.device)] = found.hidden_TBH[scored_TB.to(hidden_NH.device)]
    device = None if hidden_NH is None else hidden_NH.device
    return TextNats(nats_N, batches.ids[_first_target(batches) :][:N].long().to(device), hidden_NH, *totals.tolist())


def _scores(model: LanguageModel, batches: Batches, method: Method, progress: str, per_token: bool) -> Iterator[Nats]:
    """Yield the nats of each batch of a text."""
    check_suited(method, model, carried=not isinstance(batches, Sentences))
    state, device = None, model.device
    with method.prepare(model):
        bar: Iterable[AnyBatch]
        bar = tqdm(batches, desc=progress, disable=None if progress else True, leave=False)
        for batch in bar:
            found, state = method.score(model, _on_device(batch, device), state, per_token)
            yield found


def check_suited(method: Method, model: LanguageModel, carried: bool) -> None:
    """Raise a ValueError if a method cannot score a text with this model, whose state is carried or not."""
    name = method.protocol()["method"]
    if method.needs_stream and not carried:
        raise ValueError(
            f"expected a text with a carried state for method={name}, found sentences that each start from a zero "
            "state: type state=carried for your own text, or method=static for a run with data.batching=sentences"
        )
    if model.lengths is not None and not method.predicts_lengths:
        raise ValueError(
            f"expected a run without length conditioning for method={name}, found length_conditioning=true: "
            "type method=static"
        )


def _on_device(batch: AnyBatch, device: torch.device) -> AnyBatch:
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


def _positions(batches: Batches) -> Iterator[Tensor]:
    """Yield the positions, [T, B], of each batch's targets in the order of the text; negative where none is scored."""
    numbered = copy(batches)  # the same batches of the text 0, 1, 2, ...: each target is its own position
    numbered.ids = torch.arange(len(batches.ids))
    for batch in numbered:
        yield _on_device(batch, torch.device("cpu")).targets_TB - _first_target(batches)


def _first_target(batches: Batches) -> int:
    """Return where the first target is in the text: in a stream, nothing predicts the first word."""
    return 0 if isinstance(batches, Sentences) else 1
