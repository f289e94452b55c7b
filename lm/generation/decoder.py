"""A language model as generation uses it: it reads tokens and returns the log-probabilities of the next one.

Shapes: T time, B texts generated side by side, H hidden, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from lm.models.language_model import LanguageModel, State

States = list[State]
"""The state of each layer after the tokens read so far."""

Decode = Callable[[Tensor, States | None], tuple[Tensor, States]]
"""Reads tokens [T, B] from the given states, or from zeros if None. Returns the log-probabilities of the next token,
[B, V], and the new states."""


@dataclass(frozen=True)
class Continuation:
    """The generated part of a text.

    Args:
        ids: the generated words, without a closing `<eos>`.
        log_probability: of the words and the closing `<eos>` given the prompt, in nats, by the model itself.
        ended: whether the text ends with `<eos>`.
    """

    ids: tuple[int, ...]
    log_probability: float
    ended: bool

    @property
    def num_tokens(self) -> int:
        """The number of words, plus one for the closing `<eos>`."""
        return len(self.ids) + self.ended


class Decoder:
    """A trained model as a `Decode`. It counts the tokens that it has read.

    Args:
        model: in evaluation mode, on any device; the tokens and log-probabilities are on the CPU.
        suppressed_ids: ids that are never generated; the probabilities of the others are left as they are.
    """

    def __init__(self, model: LanguageModel, suppressed_ids: Sequence[int] = ()) -> None:
        self.model, self.suppressed_ids, self.tokens_read = model, list(suppressed_ids), 0

    @torch.inference_mode()
    def __call__(self, tokens_TB: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Read tokens from the given states; the softmax is computed for the last row only."""
        hidden_TBH, new_states = self.read(tokens_TB.to(self.model.device), states)
        log_probabilities_BV = self.model.decoder(hidden_TBH[-1]).float().log_softmax(dim=1).cpu()
        log_probabilities_BV[:, self.suppressed_ids] = -torch.inf
        self.tokens_read += tokens_TB.numel()
        return log_probabilities_BV, new_states

    def read(self, tokens_TB: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Return the hidden states of tokens on the model's device, [T, B, H], and the new states."""
        hidden_TBH, new_states = self.model(tokens_TB, states)
        return hidden_TBH, new_states


def reorder(states: States, indices_B: Tensor) -> States:
    """Return the states of the texts with these indices, in this order; an index may be repeated or left out."""
    reordered: States = apply_to_collection(states, Tensor, lambda x: x.index_select(1, indices_B.to(x.device)))
    return reordered
