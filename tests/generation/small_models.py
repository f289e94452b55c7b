"""Models so small that all of their texts can be listed."""

from collections.abc import Iterator, Sequence

import torch

from lm.generation.decoder import Continuation
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel

EOS, UNK, SIZE = 0, 1, 5
PROMPT = [EOS, 3, 2]

__all__ = ["CELLS", "EOS", "PROMPT", "SIZE", "UNK", "everything", "log_probabilities_after", "small_model"]


def small_model(cell: str = "lstm", seed: int = 0, size: int = SIZE) -> LanguageModel:
    """Return a model whose weights are so large that its words depend on those before them."""
    torch.manual_seed(seed)
    return LanguageModel(size, cell, embedding_size=6, hidden_size=4, num_layers=2, dropout=0.5, init_range=1.5).eval()


@torch.no_grad()
def log_probabilities_after(model: LanguageModel, ids: Sequence[int]) -> torch.Tensor:
    """Return the log-probabilities of the next word, from reading the whole text before it."""
    return model.logits(torch.tensor(ids)[:, None])[0][-1, 0].log_softmax(dim=0)


def everything(model: LanguageModel, prompt: Sequence[int], max_new_tokens: int) -> Iterator[Continuation]:
    """Yield every text without `UNK` that can follow a prompt."""

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
