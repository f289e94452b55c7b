"""Static evaluation: the weights as trained, dropout off.

Shapes: T time, B batch, H hidden, N = T * B.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lm.data.bptt import IGNORE_INDEX, Batch
from lm.data.sentences import SentenceBatch
from lm.evaluation.methods.method import Method, Nats
from lm.models.language_model import LanguageModel, State
from lm.models.linear_cross_entropy import MAX_LOGITS


class Static(Method):
    """On a stream, the hidden state is carried from batch to batch; each sentence starts from zero."""

    name = "static"

    @torch.inference_mode()
    def score(
        self, model: LanguageModel, batch: Batch | SentenceBatch, state: Any, per_token: bool
    ) -> tuple[Nats, Any]:
        """Score one batch; the state is the hidden state."""
        if isinstance(batch, SentenceBatch):
            return _score_sentences(model, batch, per_token), None
        score_words = token_nats if per_token else LanguageModel.total_nats
        words, state = score_words(model, batch.inputs_TB, batch.targets_TB, state)
        return Nats(words), state


def _score_sentences(model: LanguageModel, batch: SentenceBatch, per_token: bool) -> Nats:
    if not per_token:
        loss = model.sentence_loss(batch)
        return Nats(loss.words, loss.lengths)
    words_TB, _ = token_nats(model, batch.inputs_TB, batch.targets_TB, None, batch.remaining_TB)
    return Nats(words_TB, None if model.lengths is None else model.sentence_loss(batch).lengths)


def token_nats(
    model: LanguageModel,
    tokens_TB: Tensor,
    targets_TB: Tensor,
    states: Sequence[State] | None = None,
    remaining_TB: Tensor | None = None,
) -> tuple[Tensor, list[State]]:
    """Return the negative log-probability of every target, [T, B], zero for `IGNORE_INDEX`, and the new states.

    It computes `MAX_LOGITS` logits at a time. The arguments are those of `LanguageModel.total_nats`.
    """
    hidden_TBH, new_states = model(tokens_TB, states, remaining_TB)
    rows = max(1, MAX_LOGITS // model.decoder.out_features)
    chunks = zip(torch.split(hidden_TBH.flatten(0, 1), rows), torch.split(targets_TB.flatten(), rows), strict=True)
    nats_N = [
        F.cross_entropy(model.decoder(hidden), targets, reduction="none", ignore_index=IGNORE_INDEX)
        for hidden, targets in chunks
    ]
    return torch.cat(nats_N).view(targets_TB.shape), new_states
