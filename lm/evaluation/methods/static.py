"""Static evaluation: the weights as trained, dropout off.

Shapes: T time, B batch, H hidden.
"""

from typing import Any

import torch

from lm.data.sentences import AnyBatch, SentenceBatch
from lm.evaluation.methods.method import Method, Nats
from lm.evaluation.methods.temperature import target_nats
from lm.models.language_model import LanguageModel


class Static(Method):
    """On a stream, the hidden state is carried from batch to batch; each sentence starts from zero."""

    name = "static"

    @torch.inference_mode()
    def score(self, model: LanguageModel, batch: AnyBatch, state: Any, per_token: bool) -> tuple[Nats, Any]:
        """Score one batch; the state is the hidden state."""
        if isinstance(batch, SentenceBatch):
            return self._score_sentences(model, batch, per_token), None
        if not per_token and list(self.temperatures) == [1.0]:
            words, state = model.total_nats(batch.inputs_TB, batch.targets_TB, state)
            return Nats(words), state
        hidden_TBH, state = model(batch.inputs_TB, state)
        words = target_nats(model, hidden_TBH, batch.targets_TB, self.temperatures)
        return Nats(words if per_token else words.sum(), None, hidden_TBH), state

    def _score_sentences(self, model: LanguageModel, batch: SentenceBatch, per_token: bool) -> Nats:
        loss = None if per_token and model.lengths is None else model.sentence_loss(batch)
        lengths = None if loss is None else loss.lengths
        if loss is not None and not per_token and list(self.temperatures) == [1.0]:
            return Nats(loss.words, lengths)
        hidden_TBH, _ = model(batch.inputs_TB, None, batch.remaining_TB)
        words = target_nats(model, hidden_TBH, batch.targets_TB, self.temperatures)
        return Nats(words if per_token else words.sum(), lengths, hidden_TBH)
