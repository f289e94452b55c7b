"""A model writes by chance: each word is drawn from the distribution that the words before it give.

Shapes: B texts written side by side, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lm.checks import check_number, check_whole
from lm.generation.decoder import Continuation, Decode, reorder


@dataclass(frozen=True)
class Sampling:
    """How the distribution is bent before a word is drawn from it, in this order.

    Args:
        temperature: divides the log-probabilities; below 1 the likely words become likelier still.
        top_k: only that many words, the likeliest, can be drawn; None for all.
        top_p: only the fewest likeliest words whose probabilities reach that sum can be drawn (nucleus sampling,
            Holtzman et al., 2020, arXiv:1904.09751); None for all.

    Raises:
        ValueError: where a value can't be used.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0.8)
        if self.temperature <= 0:
            raise ValueError(
                f"expected a positive temperature, found {self.temperature}: type temperature=0.8, "
                "or beam.width=1 to write the likeliest word each time"
            )
        if self.top_k is not None:
            check_whole("top_k", self.top_k, 40)
        if self.top_p is not None:
            check_number("top_p", self.top_p, 0.9)
            if not 0 < self.top_p <= 1:
                raise ValueError(f"expected top_p above 0 and at most 1, found {self.top_p}: type top_p=0.9")

    def warp(self, log_probabilities_BV: Tensor) -> Tensor:
        """Return the distribution to draw from, [B, V], each row of which sums to 1."""
        warped_BV = log_probabilities_BV.double() / self.temperature
        if self.top_k is not None:
            warped_BV = keep_top_k(warped_BV, self.top_k)
        if self.top_p is not None:
            warped_BV = keep_top_p(warped_BV, self.top_p)
        return warped_BV.softmax(dim=1)


def keep_top_k(logits_BV: Tensor, top_k: int) -> Tensor:
    """Put all but the `top_k` largest of each row to -inf."""
    kept = logits_BV.topk(min(top_k, logits_BV.shape[1]), dim=1)
    return torch.full_like(logits_BV, -torch.inf).scatter(1, kept.indices, kept.values)


def keep_top_p(logits_BV: Tensor, top_p: float) -> Tensor:
    """Put to -inf all but the fewest largest of each row whose probabilities sum to `top_p` or more."""
    ordered = logits_BV.sort(dim=1, descending=True)
    probabilities_BV = ordered.values.softmax(dim=1)
    # A word is kept as long as those before it have not reached the sum; so the first one always is.
    reached_BV = probabilities_BV.cumsum(dim=1) - probabilities_BV >= top_p
    reached_BV[:, 0] = False
    return logits_BV.masked_fill(reached_BV.scatter(1, ordered.indices, reached_BV), -torch.inf)


def sample(
    decode: Decode,
    prompt: Sequence[int],
    eos_id: int | None,
    max_new_tokens: int = 30,
    num_samples: int = 1,
    sampling: Sampling | None = None,
    seed: int = 1,
) -> list[Continuation]:
    """Return texts that go on from a prompt, each up to its `<eos>` or `max_new_tokens`.

    The prompt is read once, the texts are written side by side, and one that has ended is not read on. Every text has
    random numbers of its own: those of the first texts stay the same when more are asked for, and the generators of
    torch are left alone.

    Args:
        decode: of the model.
        prompt: ids to go on from, at least one.
        eos_id: of the word that ends a text; None to write on past it.
        max_new_tokens: tokens of a text at most.
        num_samples: texts.
        sampling: how words are drawn.
        seed: of the random numbers.
    """
    warp = (sampling or Sampling()).warp
    texts = [_Text(torch.Generator().manual_seed(own)) for own in _seeds(seed, num_samples)]
    log_probabilities_BV, states = decode(torch.tensor(prompt)[:, None], None)
    copies_B, writing = torch.zeros(num_samples, dtype=torch.long), texts
    log_probabilities_BV, states = log_probabilities_BV[copies_B], reorder(states, copies_B)
    while writing:
        rows = zip(writing, log_probabilities_BV, warp(log_probabilities_BV), strict=True)
        ids_B = torch.tensor([text.write(log_p_V, warped_V, eos_id) for text, log_p_V, warped_V in rows])
        goes_on_B = torch.tensor([not text.ended and len(text.ids) < max_new_tokens for text in writing]).nonzero()[
            :, 0
        ]
        writing = [writing[column] for column in goes_on_B.tolist()]
        if writing:
            log_probabilities_BV, states = decode(ids_B[goes_on_B][None], reorder(states, goes_on_B))
    return [Continuation(tuple(text.ids), text.log_probability, text.ended) for text in texts]


class _Text:
    """A text that is being written, and the random numbers it is written with."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.ids: list[int] = []
        self.log_probability, self.ended = 0.0, False

    def write(self, log_p_V: Tensor, warped_V: Tensor, eos_id: int | None) -> int:
        """Draw a word and return it; its log-probability is the model's own, not the bent one."""
        word = int(torch.multinomial(warped_V, 1, generator=self.generator))
        self.log_probability += float(log_p_V[word])
        self.ended = word == eos_id
        if not self.ended:
            self.ids.append(word)
        return word


def _seeds(seed: int, count: int) -> list[int]:
    """Return independent seeds, of which the first ones do not depend on their number."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    return [int(torch.randint(2**62, (), generator=generator)) for _ in range(count)]
