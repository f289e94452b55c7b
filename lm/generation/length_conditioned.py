"""Texts of a length that is asked for, or that the model itself predicts (`lm/models/length_conditioning.py`).

    python -m lm.generate run=RUN_FOLDER length=12      # by a run that was trained with length_conditioning=true
    python -m lm.generate run=RUN_FOLDER                # it draws a length, then the words

Shapes: T time, B texts written side by side, H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lm.generation.decoder import Decoder, States
from lm.models.language_model import LanguageModel


class LengthConditionedDecoder(Decoder):
    """A decoder that tells the model before each word how many are left.

    The number is kept as the last of the states, [1, B], and so is carried, repeated and dropped like them.

    Args:
        model: with length conditioning, in evaluation mode.
        length: words of a whole text, those of the prompt included, `<eos>` not.
        suppressed_ids: ids that must not be written.
    """

    def __init__(self, model: LanguageModel, length: int, suppressed_ids: Sequence[int] = ()) -> None:
        super().__init__(model, suppressed_ids)
        self.length = length

    def read(self, tokens_TB: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Read on from the states."""
        before, remaining_1B = (
            (None, torch.full_like(tokens_TB[:1], self.length)) if states is None else _parted(states)
        )
        remaining_TB = remaining_1B - torch.arange(len(tokens_TB), device=tokens_TB.device)[:, None]
        hidden_TBH, after = self.model(tokens_TB, before, remaining_TB.clamp(min=0))
        return hidden_TBH, [*after, remaining_TB[-1:] - 1]


def _parted(states: States) -> tuple[States, Tensor]:
    return states[:-1], states[-1]


def decoder_for(
    model: LanguageModel, prompt: Sequence[int], suppressed_ids: Sequence[int], length: int | None, seed: int | None
) -> Decoder:
    """Return a decoder for texts that go on from a prompt; what can be told is told `length`, or a predicted one.

    Args:
        model: in evaluation mode.
        prompt: ids, `<eos>` first.
        suppressed_ids: ids that must not be written.
        length: words of a whole text; None: `predicted_length`.
        seed: as there.

    Raises:
        ValueError: where a length is given that the model can't be told, or that the prompt exceeds.
    """
    words = len(prompt) - 1
    if model.lengths is None:
        if length is not None:
            raise ValueError(
                f"expected a run that was trained with length_conditioning=true for length={length}, found one "
                "without: leave length out, or type run=RUN_FOLDER of another run"
            )
        return Decoder(model, suppressed_ids)
    if length is not None and length < words:
        raise ValueError(f"expected length to be at least the {words} words of the prompt, found {length}: add words")
    return LengthConditionedDecoder(
        model, predicted_length(model, prompt, seed) if length is None else length, suppressed_ids
    )


@torch.inference_mode()
def predicted_length(model: LanguageModel, prompt: Sequence[int], seed: int | None) -> int:
    """Return how many words a text that starts with the prompt has: drawn by a seed, or without one the likeliest."""
    assert model.lengths is not None
    hidden_TBH, _ = model(torch.tensor(prompt, device=model.decoder.weight.device)[:, None])
    log_probabilities_C = model.lengths.log_probabilities(hidden_TBH[-1]).double().cpu()[0]
    if seed is None:
        return len(prompt) - 1 + int(log_probabilities_C.argmax())
    generator = torch.Generator().manual_seed(seed % 2**63)
    return len(prompt) - 1 + int(torch.multinomial(log_probabilities_C.exp(), 1, generator=generator))
