"""Sampling: each word is drawn from the distribution that the model predicts after the words before it.

Shapes: B texts generated side by side, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lm.checks import check_number, check_whole
from lm.generation.decoder import Continuation, Decode, reorder


@dataclass(frozen=True)
class Sampling:
    """How the predicted distribution is warped before a word is drawn from it, in this order.

    Args:
        temperature: divides the log-probabilities; below 1, likely words become likelier.
        top_k: draw from the `top_k` likeliest words only; None for all words.
        top_p: draw from the fewest likeliest words whose probabilities sum to at least `top_p` (nucleus sampling,
            Holtzman et al., 2020, arXiv:1904.09751); None for all words.

    Raises:
        ValueError: if a value cannot be used.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0.8, least=0.001, most=1000)
        check_whole("top_k", self.top_k, 40, optional=True)
        check_number("top_p", self.top_p, 0.9, above=0, most=1, optional=True)

    def warp(self, log_probabilities_BV: Tensor) -> Tensor:
        """Return the probabilities to draw from, [B, V]; each row sums to 1."""
        warped_BV = log_probabilities_BV.double() / self.temperature
        if self.top_k is not None:
            warped_BV = keep_top_k(warped_BV, self.top_k)
        if self.top_p is not None:
            warped_BV = keep_top_p(warped_BV, self.top_p)
        return warped_BV.softmax(dim=1)


def keep_top_k(logits_BV: Tensor, top_k: int) -> Tensor:
    """Set all but the `top_k` largest logits of each row to -inf."""
    kept = logits_BV.topk(min(top_k, logits_BV.shape[1]), dim=1)
    return torch.full_like(logits_BV, -torch.inf).scatter(1, kept.indices, kept.values)


def keep_top_p(logits_BV: Tensor, top_p: float) -> Tensor:
    """Set all but the fewest largest logits of each row, whose probabilities sum to at least `top_p`, to -inf."""
    ordered = logits_BV.sort(dim=1, descending=True)
    probabilities_BV = ordered.values.softmax(dim=1)
    # A word is kept if the likelier ones do not reach the sum yet. The likeliest always is.
    reached_BV = probabilities_BV.cumsum(dim=1) - probabilities_BV >= top_p
    reached_BV[:, 0] = False
    return logits_BV.masked_fill(reached_BV.scatter(1, ordered.indices, reached_BV), -torch.inf)


def sample(
    decode: Decode,
    prompt: Sequence[int],
    eos_id: int | None,
    max_new_tokens: int,
    num_samples: int = 1,
    sampling: Sampling | None = None,
    seed: int = 1,
) -> list[Continuation]:
    """Return texts that continue a prompt, each up to its `<eos>` or `max_new_tokens`.

    The prompt is read once, and the texts are generated side by side. Each text has a random generator of its own: the
    first texts stay the same when more are asked for, and PyTorch's global generators are not used.

    Args:
        decode: the model.
        prompt: ids to continue, at least one.
        eos_id: the id that ends a text; None to generate past it.
        max_new_tokens: the maximum number of tokens of each text, `<eos>` included.
        num_samples: the number of texts.
        sampling: how words are drawn.
        seed: of the random generators.
    """
    warp = (sampling or Sampling()).warp
    texts = [_Text(torch.Generator().manual_seed(own)) for own in _seeds(seed, num_samples)]
    log_probabilities_BV, states = decode(torch.tensor(prompt)[:, None], None)
    copies_B, active = torch.zeros(num_samples, dtype=torch.long), texts
    log_probabilities_BV, states = log_probabilities_BV[copies_B], reorder(states, copies_B)
    while active:
        rows = zip(active, log_probabilities_BV, warp(log_probabilities_BV), strict=True)
        ids_B = torch.tensor([text.draw(log_p_V, warped_V, eos_id) for text, log_p_V, warped_V in rows])
        unfinished_B = torch.tensor(
            [index for index, text in enumerate(active) if not text.ended and len(text.ids) < max_new_tokens],
            dtype=torch.long,
        )
        active = [active[index] for index in unfinished_B.tolist()]
        if active:
            log_probabilities_BV, states = decode(ids_B[unfinished_B][None], reorder(states, unfinished_B))
    return [Continuation(tuple(text.ids), text.log_probability, text.ended) for text in texts]


class _Text:
    """A text that is being generated, with its random generator."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.ids: list[int] = []
        self.log_probability, self.ended = 0.0, False

    def draw(self, log_p_V: Tensor, warped_V: Tensor, eos_id: int | None) -> int:
        """Draw and return a word; its log-probability is the model's own, not the warped one."""
        word = int(torch.multinomial(warped_V, 1, generator=self.generator))
        self.log_probability += float(log_p_V[word])
        self.ended = word == eos_id
        if not self.ended:
            self.ids.append(word)
        return word


def _seeds(seed: int, count: int) -> list[int]:
    """Return independent seeds; the first ones do not depend on their number."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    return [int(torch.randint(2**62, (), generator=generator)) for _ in range(count)]
