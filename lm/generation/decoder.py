"""A model as writing needs it: it reads words and says how likely each next word is.

Shapes: T time, B texts written side by side, H hidden, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lm.models.language_model import LanguageModel, State

States = list[State]
"""A state a layer, after the words read so far."""

Decode = Callable[[Tensor, States | None], tuple[Tensor, States]]
"""Reads tokens [T, B] on from the given states, or from zeros where these are None; gives the log-probabilities of each
next word, [B, V], and the new states."""


@dataclass(frozen=True)
class Continuation:
    """What was written after a prompt.

    `ids` are the words, without the `<eos>` that closes them where `ended`; `log_probability` is the model's own, in
    nats, of the words and of that `<eos>`.
    """

    ids: tuple[int, ...]
    log_probability: float
    ended: bool

    @property
    def num_tokens(self) -> int:
        """Words and the closing `<eos>`: what the log-probability is of."""
        return len(self.ids) + self.ended


class Decoder:
    """A trained model as a `Decode`, in whose answers some words are ruled out; it counts the tokens it has read.

    Args:
        model: in evaluation mode (`evaluation_mode`), on any device; what is read and given lies on the CPU.
        suppressed_ids: ids that must not be written; the probabilities of the others stay as they are.
    """

    def __init__(self, model: LanguageModel, suppressed_ids: Sequence[int] = ()) -> None:
        self.model, self.suppressed_ids, self.tokens_read = model, list(suppressed_ids), 0

    @torch.inference_mode()
    def __call__(self, tokens_TB: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Read on from the states; the softmax is computed for the last row alone."""
        hidden_TBH, new_states = self.read(tokens_TB.to(self.model.decoder.weight.device), states)
        log_probabilities_BV = self.model.decoder(hidden_TBH[-1]).float().log_softmax(dim=1).cpu()
        log_probabilities_BV[:, self.suppressed_ids] = -torch.inf
        self.tokens_read += tokens_TB.numel()
        return log_probabilities_BV, new_states

    def read(self, tokens_TB: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Return the hidden states of tokens on the model's device, [T, B, H], and the new states."""
        hidden_TBH, new_states = self.model(tokens_TB, states)
        return hidden_TBH, new_states


def reorder(states: States, columns_B: Tensor) -> States:
    """Return the states of the given columns in the given order; a column may be named several times, or never."""
    return [_select(state, columns_B) for state in states]


def _select(state: State, columns_B: Tensor) -> State:
    if isinstance(state, tuple):
        return tuple(_select(part, columns_B) for part in state)
    return state.index_select(1, columns_B.to(state.device))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Turn dropout off for a while."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
