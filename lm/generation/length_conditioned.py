"""Texts of a given length, or of a length that the model predicts (`lm/models/length_conditioning.py`).

    python -m lm.generate run=RUN_FOLDER length=12      # with a run that was trained with length_conditioning=true
    python -m lm.generate run=RUN_FOLDER                # it draws a length, then the words

Shapes: T time, B texts generated side by side, H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lm.generation.decoder import Decoder, States
from lm.models.language_model import LanguageModel


class LengthConditionedDecoder(Decoder):
    """A decoder that conditions the model on the number of remaining words.

    That number is kept as the last of the states, [1, B], so it is carried and reordered like them.

    Args:
        model: with length conditioning, in evaluation mode.
        length: the number of words of a whole text, with its prompt and without `<eos>`.
        suppressed_ids: ids that are never generated.
    """

    def __init__(self, model: LanguageModel, length: int, suppressed_ids: Sequence[int] = ()) -> None:
        super().__init__(model, suppressed_ids)
        self.length = length

    def read(self, tokens_TB: Tensor, states: States | None) -> tuple[Tensor, States]:
        """Return the hidden states of tokens on the model's device, [T, B, H], and the new states."""
        if states is None:
            before, remaining_1B = None, torch.full_like(tokens_TB[:1], self.length)
        else:
            before, remaining_1B = states[:-1], states[-1]
        remaining_TB = remaining_1B - torch.arange(len(tokens_TB), device=tokens_TB.device)[:, None]
        hidden_TBH, after = self.model(tokens_TB, before, remaining_TB.clamp(min=0))
        return hidden_TBH, [*after, remaining_TB[-1:] - 1]


def make_decoder(
    model: LanguageModel, prompt: Sequence[int], suppressed_ids: Sequence[int], length: int | None, seed: int | None
) -> Decoder:
    """Return the decoder of a model; one with length conditioning gets `length`, or else a predicted length.

    Args:
        model: in evaluation mode.
        prompt: ids, `<eos>` first.
        suppressed_ids: ids that are never generated.
        length: the number of words of a whole text, with its prompt.
        seed: of the predicted length.

    Raises:
        ValueError: if the model has no length conditioning, or the prompt is longer than `length`.
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
        raise ValueError(
            f"expected length to be at least the number of words of the prompt, found {length} for {words}: "
            f"type length={words} or more"
        )
    length = predicted_length(model, prompt, seed) if length is None else length
    return LengthConditionedDecoder(model, length, suppressed_ids)


@torch.inference_mode()
def predicted_length(model: LanguageModel, prompt: Sequence[int], seed: int | None) -> int:
    """Return the number of words of a text with this prompt: drawn with a seed, or the likeliest without one."""
    assert model.lengths is not None
    hidden_TBH, _ = model(torch.tensor(prompt, device=model.device)[:, None])
    log_probabilities_C = model.lengths.log_probabilities(hidden_TBH[-1]).double().cpu()[0]
    if seed is None:
        return len(prompt) - 1 + int(log_probabilities_C.argmax())
    generator = torch.Generator().manual_seed(seed % 2**63)
    return len(prompt) - 1 + int(torch.multinomial(log_probabilities_C.exp(), 1, generator=generator))
