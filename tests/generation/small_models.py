"""Models small enough to look at everything they could write."""

from collections.abc import Iterator, Sequence

import torch

from lm.generation.decoder import Continuation
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel

EOS, UNK, SIZE = 0, 1, 5
PROMPT = [EOS, 3, 2]

__all__ = ["CELLS", "EOS", "PROMPT", "SIZE", "UNK", "everything", "log_probabilities_after", "small_model"]


def small_model(cell: str = "lstm", seed: int = 0, size: int = SIZE) -> LanguageModel:
    """A model with weights large enough that its words depend on those before them."""
    torch.manual_seed(seed)
    return LanguageModel(size, cell, embedding_size=6, hidden_size=4, num_layers=2, dropout=0.5, init_range=1.5).eval()


@torch.no_grad()
def log_probabilities_after(model: LanguageModel, ids: Sequence[int]) -> torch.Tensor:
    """The log-probabilities of the next word, from reading everything before it again."""
    return model.logits(torch.tensor(ids)[:, None])[0][-1, 0].log_softmax(dim=0)


def everything(model: LanguageModel, prompt: Sequence[int], max_new_tokens: int) -> Iterator[Continuation]:
    """Every text without `UNK` that can be written after a prompt, by trying each word everywhere."""

    def grow(ids: tuple[int, ...], log_probability: float) -> Iterator[Continuation]:
        if len(ids) == max_new_tokens:
            yield Continuation(ids, log_probability, ended=False)
            return
        for word, value in enumerate(log_probabilities_after(model, [*prompt, *ids]).tolist()):
            if word == EOS:
                yield Continuation(ids, log_probability + value, ended=True)
            elif word != UNK:
                yield from grow((*ids, word), log_probability + value)

    return grow((), 0.0)
