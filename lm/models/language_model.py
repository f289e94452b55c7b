"""The regularised recurrent language model of Zaremba, Sutskever and Vinyals (2014, arXiv:1409.2329).

    ids -> embedding -> dropout -> layer 1 -> dropout -> ... -> layer L -> dropout -> softmax -> nats

Dropout falls on the arrows drawn here, never on the recurrent ones (their figure 2). With length conditioning, an
embedding of how many words are left is added to that of each word (`lm/models/length_conditioning.py`).

Shapes: T time, B batch columns, E embedding, H hidden, V vocabulary, N = T * B.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lm.data.bptt import IGNORE_INDEX
from lm.data.sentences import SentenceBatch, right_pad
from lm.models.cells import recurrent_layer
from lm.models.dropout import Dropout
from lm.models.length_conditioning import UNCONDITIONED, LengthConditioning
from lm.models.linear_cross_entropy import linear_cross_entropy
from lm.models.parameter_count import BIASES

State = Any
"""A layer's state as its cell has it: h [1, B, H], or the pair (h, c) for the LSTM. None stands for zeros."""


class SentenceLoss(NamedTuple):
    """Summed nats of a batch of sentences: scalars; those of lengths are zero without length conditioning.

    `words` are those of the words and ends, given the lengths where the model is told them; `lengths` those of the
    lengths, predicted before the first word; `length_auxiliary` those of the lengths predicted before each word, the
    n-th of a sentence with a weight of 1/n.
    """

    words: Tensor
    lengths: Tensor
    length_auxiliary: Tensor


class LanguageModel(nn.Module):
    """Predicts each next word of a text from those before it.

    Args:
        vocabulary_size: V.
        cell: a name in `lm.models.cells.CELLS`.
        embedding_size: E.
        hidden_size: H of every layer.
        num_layers: recurrent layers, one or more.
        dropout: the probability with which a non-recurrent connection is dropped in training.
        init_range: every parameter starts uniform in ±`init_range`.
        tie_weights: use the embedding's matrix for the softmax, too.
        length_conditioning: have the model told how many words are left, and predict it.

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
        length_conditioning: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        sizes = [embedding_size] + [hidden_size] * num_layers
        self.rnns = nn.ModuleList(recurrent_layer(cell, *pair) for pair in pairwise(sizes))
        self.dropout = Dropout(dropout)
        self.decoder = nn.Linear(hidden_size, vocabulary_size)
        if tie_weights:
            self._tie_weights(embedding_size, hidden_size)
        self.lengths = LengthConditioning(embedding_size, hidden_size) if length_conditioning else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)

    def _tie_weights(self, embedding_size: int, hidden_size: int) -> None:
        if embedding_size != hidden_size:
            raise ValueError(
                f"expected equal sizes with tie_weights=true, found embedding_size={embedding_size} and "
                f"hidden_size={hidden_size}: type embedding_size={hidden_size}"
            )
        self.decoder.weight = self.embedding.weight

    def forward(
        self, tokens_TB: Tensor, states: Sequence[State] | None = None, remaining_TB: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Map ids to the hidden states that the softmax reads, and give each layer's state after the last word.

        With length conditioning, `remaining_TB` is how many words are left, from the next one on; None: it is not told.
        """
        new_states = []
        hidden_TBH = self.dropout(self._embedded(tokens_TB, remaining_TB))
        for layer, state in zip(self.rnns, states or [None] * len(self.rnns), strict=True):
            hidden_TBH, new_state = layer(hidden_TBH, state)
            hidden_TBH = self.dropout(hidden_TBH)
            new_states.append(new_state)
        return hidden_TBH, new_states

    def _embedded(self, tokens_TB: Tensor, remaining_TB: Tensor | None) -> Tensor:
        embedded_TBE: Tensor = self.embedding(tokens_TB)
        if self.lengths is None:
            return embedded_TBE
        return embedded_TBE + self.lengths.embed(
            torch.full_like(tokens_TB, UNCONDITIONED) if remaining_TB is None else remaining_TB
        )

    def total_nats(
        self,
        tokens_TB: Tensor,
        targets_TB: Tensor,
        states: Sequence[State] | None = None,
        remaining_TB: Tensor | None = None,
    ) -> tuple[Tensor, list[State]]:
        """Return the summed negative log-probability of the targets (a scalar, in nats) and the new states.

        Targets that are `IGNORE_INDEX` count nothing.
        """
        hidden_TBH, new_states = self(tokens_TB, states, remaining_TB)
        hidden_NH, targets_N = hidden_TBH.flatten(0, 1), targets_TB.flatten()
        if hidden_NH.device.type == "cpu" and not torch.is_grad_enabled():  # a GPU would be waited for, to count them
            scored_N = targets_N != IGNORE_INDEX
            hidden_NH, targets_N = hidden_NH[scored_N], targets_N[scored_N]
        weights_N = (targets_N != IGNORE_INDEX).to(hidden_NH.dtype)
        nats = linear_cross_entropy(
            hidden_NH, self.decoder.weight, self.decoder.bias, targets_N.clamp(min=0), weights_N
        )
        return nats, new_states

    def sentence_loss(self, batch: SentenceBatch) -> SentenceLoss:
        """Return the summed nats of sentences, each read with a state of its own, wherever their padding stands."""
        inputs_TB, targets_TB, remaining_TB = right_pad(batch)
        words, _ = self.total_nats(inputs_TB, targets_TB, remaining_TB=remaining_TB)
        if self.lengths is None:
            return SentenceLoss(words, torch.zeros_like(words), torch.zeros_like(words))
        untold_TBH, _ = self(inputs_TB)
        nats_TB = self.lengths.nats(untold_TBH, remaining_TB) * (targets_TB != IGNORE_INDEX)
        # Weights that know the sentence's length, as in a mean over its words, would make the model predict short ones.
        weights_T = 1 / torch.arange(1, len(nats_TB) + 1, dtype=nats_TB.dtype, device=nats_TB.device)
        return SentenceLoss(words, nats_TB[0].sum(), weights_T @ nats_TB.sum(1))

    def logits(
        self, tokens_TB: Tensor, states: Sequence[State] | None = None, remaining_TB: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Return the unnormalised log-probabilities of each next word, [T, B, V], and the new states."""
        hidden_TBH, new_states = self(tokens_TB, states, remaining_TB)
        return self.decoder(hidden_TBH), new_states

    def parameter_counts(self, biases: int = BIASES) -> dict[str, int]:
        """Count the parameters by part and in total; tied weights count once, in the embedding.

        With `biases=1` each gate counts with one bias, as in the textbooks, and not with the two that PyTorch keeps.
        """
        parts: dict[str, nn.Module] = {"embedding": self.embedding, "recurrent": self.rnns, "decoder": self.decoder}
        if self.lengths is not None:
            parts["lengths"] = self.lengths
        # PyTorch's second bias, the one on the state
        seen = {value for name, value in self.named_parameters() if "bias_hh" in name and biases < BIASES}
        counts = {}
        for name, part in parts.items():
            own = set(part.parameters()) - seen
            counts[name] = sum(parameter.numel() for parameter in own)
            seen |= own
        return counts | {"total": sum(counts.values())}


@torch.no_grad()
def detach_states(states: Sequence[State]) -> list[State]:
    """Cut the states off from the graph that made them: gradients end at the window's edge."""
    return [tuple(part.detach() for part in s) if isinstance(s, tuple) else s.detach() for s in states]
