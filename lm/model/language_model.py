"""The regularised recurrent language model of Zaremba, Sutskever and Vinyals (2014, arXiv:1409.2329).

    ids -> embedding -> dropout -> layer 1 -> dropout -> ... -> layer L -> dropout -> softmax -> nats

Dropout falls on the arrows drawn here, never on the recurrent ones (their figure 2).

Shapes: T time, B batch columns, E embedding, H hidden, V vocabulary, N = T * B.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lm.data.sentences import SentenceBatch, padding_last
from lm.data.streams import PADDING
from lm.model.cells import recurrent_layer
from lm.model.softmax import linear_cross_entropy

State = Any
"""A layer's state as its cell has it: h [1, B, H], or the pair (h, c) for the LSTM. None stands for zeros."""


class LanguageModel(nn.Module):
    """Predicts each next word of a text from those before it.

    Args:
        vocabulary_size: V.
        cell: a name in `lm.model.cells.CELLS`.
        embedding_size: E.
        hidden_size: H of every layer.
        num_layers: recurrent layers, one or more.
        dropout: the probability with which a non-recurrent connection is dropped in training.
        init_range: every parameter starts uniform in ±`init_range`.
        tie_weights: use the embedding's matrix for the softmax, too.

    Raises:
        ValueError: where the weights are to be tied and E is not H, or no cell has that name.
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: str = "lstm",
        embedding_size: int = 200,
        hidden_size: int = 200,
        num_layers: int = 2,
        dropout: float = 0.0,
        init_range: float = 0.1,
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        sizes = [embedding_size] + [hidden_size] * num_layers
        self.layers = nn.ModuleList(recurrent_layer(cell, *pair) for pair in pairwise(sizes))
        self.dropout = nn.Dropout(dropout)
        self.softmax = nn.Linear(hidden_size, vocabulary_size)
        if tie_weights:
            self._tie_weights(embedding_size, hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)

    def _tie_weights(self, embedding_size: int, hidden_size: int) -> None:
        if embedding_size != hidden_size:
            raise ValueError(
                f"expected equal sizes with tie_weights=true, found embedding_size={embedding_size} and "
                f"hidden_size={hidden_size}: type embedding_size={hidden_size}"
            )
        self.softmax.weight = self.embedding.weight

    def forward(self, tokens_TB: Tensor, states: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """Map ids to the hidden states that the softmax reads, and give each layer's state after the last word."""
        new_states = []
        hidden_TBH = self.dropout(self.embedding(tokens_TB))
        for layer, state in zip(self.layers, states or [None] * len(self.layers), strict=True):
            hidden_TBH, new_state = layer(hidden_TBH, state)
            hidden_TBH = self.dropout(hidden_TBH)
            new_states.append(new_state)
        return hidden_TBH, new_states

    def total_nats(
        self, tokens_TB: Tensor, targets_TB: Tensor, states: Sequence[State] | None = None
    ) -> tuple[Tensor, list[State]]:
        """Return the summed negative log-probability of the targets (a scalar, in nats) and the new states.

        Targets that are `PADDING` count nothing.
        """
        hidden_TBH, new_states = self(tokens_TB, states)
        targets_N = targets_TB.flatten()
        scored_N = (targets_N != PADDING).to(hidden_TBH.dtype)
        nats = linear_cross_entropy(
            hidden_TBH.flatten(0, 1), self.softmax.weight, self.softmax.bias, targets_N.clamp(min=0), scored_N
        )
        return nats, new_states

    def sentence_nats(self, batch: SentenceBatch) -> Tensor:
        """Return the summed nats of sentences, each read with a state of its own, wherever their padding stands."""
        inputs_TB, targets_TB, _ = padding_last(batch)
        return self.total_nats(inputs_TB, targets_TB)[0]

    def logits(self, tokens_TB: Tensor, states: Sequence[State] | None = None) -> tuple[Tensor, list[State]]:
        """Return the unnormalised log-probabilities of each next word, [T, B, V], and the new states."""
        hidden_TBH, new_states = self(tokens_TB, states)
        return self.softmax(hidden_TBH), new_states

    def parameter_counts(self) -> dict[str, int]:
        """Count the parameters by part and in total; tied weights count once, in the embedding."""
        parts = {"embedding": self.embedding, "recurrent": self.layers, "softmax": self.softmax}
        seen: set[Tensor] = set()
        counts = {}
        for name, part in parts.items():
            own = set(part.parameters()) - seen
            counts[name] = sum(parameter.numel() for parameter in own)
            seen |= own
        return counts | {"total": sum(counts.values())}


@torch.no_grad()
def detached(states: Sequence[State]) -> list[State]:
    """Cut the states off from the graph that made them: gradients end at the window's edge."""
    return [tuple(part.detach() for part in s) if isinstance(s, tuple) else s.detach() for s in states]
