"""Beam search: the likeliest texts that a beam of limited width finds.

    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8                             # likeliest
    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8 beam.length_penalty=1       # longer
    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8 beam.length_penalty=-1      # shorter

Every word lowers the probability, so the likeliest texts are short. The length penalty alpha weighs log p, in nats,
against n, the number of generated tokens (a closing `<eos>` included). In every formula alpha = 0 ranks by log p alone,
alpha > 0 favours longer texts and alpha < 0 shorter ones:

    gnmt        log p / ((5 + n) / 6)^alpha      Wu et al., 2016, arXiv:1609.08144, equation 14, without coverage
    average     log p / n^alpha                  with alpha = 1, the mean log-probability of a token
    per_word    log p + alpha * n                alpha nats for every token

A width of 1 is greedy search: the likeliest word each time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lm.checks import check_choice, check_number, check_whole
from lm.generation.decoder import Continuation, Decode, reorder

FORMULAS: dict[str, Callable[[float, int, float], float]] = {
    "gnmt": lambda log_p, n, alpha: log_p / ((5 + n) / 6) ** alpha,
    "average": lambda log_p, n, alpha: log_p / n**alpha,
    "per_word": lambda log_p, n, alpha: log_p + alpha * n,
}
MAX_PENALTY = 20.0  # far beyond any useful value, and far from overflow
MAX_WIDTH = 10_000  # with a vocabulary of 10,000 words, the scores of one step take about a gigabyte


@dataclass(frozen=True)
class Beam:
    """The width of the search, and how its texts are ranked.

    Args:
        width: the number of texts that are extended side by side.
        length_penalty: alpha.
        length_formula: a name in `FORMULAS`.

    Raises:
        ValueError: if a value cannot be used.
    """

    width: int = 1
    length_penalty: float = 0.0
    length_formula: str = "gnmt"

    def __post_init__(self) -> None:
        check_whole("beam.width", self.width, 8, most=MAX_WIDTH)
        check_number("beam.length_penalty", self.length_penalty, 0.6, least=-MAX_PENALTY, most=MAX_PENALTY)
        check_choice("beam.length_formula", self.length_formula, FORMULAS)

    def score(self, log_probability: float, num_tokens: int) -> float:
        """Return the score by which texts are ranked; larger is better."""
        return FORMULAS[self.length_formula](log_probability, num_tokens, self.length_penalty)


def beam_search(
    decode: Decode, prompt: Sequence[int], eos_id: int | None, max_new_tokens: int, beam: Beam | None = None
) -> list[Continuation]:
    """Return at most `beam.width` texts that continue a prompt, the best first.

    The prompt is read once, and the texts are extended side by side. A text is complete when it has ended, or has
    `max_new_tokens`. The search stops when no unfinished text can become better than the complete ones; with a width
    of 1, at the first end.

    Args:
        decode: the model.
        prompt: ids to continue, at least one.
        eos_id: the id that ends a text; None to generate past it.
        max_new_tokens: the maximum number of tokens of each text, `<eos>` included.
        beam: width and ranking.
    """
    beam = beam or Beam()
    log_probabilities_BV, states = decode(torch.tensor(prompt)[:, None], None)
    active, complete = [Continuation((), 0.0, ended=False)], list[Continuation]()
    for num_tokens in range(1, max_new_tokens + 1):
        found = extensions(active, log_probabilities_BV, 2 * beam.width, eos_id)
        complete = best(complete + [text for _, text in found[: beam.width] if text.ended], beam)
        # Each text has one extension that ends it, so at least half of those found are unfinished.
        unfinished = [(index, text) for index, text in found if not text.ended][: beam.width]
        active = [text for _, text in unfinished]
        if not can_improve(active, complete, beam, max_new_tokens):
            return complete
        if num_tokens < max_new_tokens:
            indices_B = torch.tensor([index for index, _ in unfinished])
            tokens_1B = torch.tensor([[text.ids[-1] for text in active]])
            log_probabilities_BV, states = decode(tokens_1B, reorder(states, indices_B))
    return best(complete + active, beam)


def extensions(
    texts: Sequence[Continuation], log_probabilities_BV: Tensor, count: int, eos_id: int | None
) -> list[tuple[int, Continuation]]:
    """Return the `count` likeliest extensions by one token, each with the index of the text that it extends."""
    before_B = torch.tensor([text.log_probability for text in texts], dtype=torch.float64)
    totals_BV = before_B[:, None] + log_probabilities_BV
    found = totals_BV.flatten().topk(min(count, totals_BV.numel()))
    places = [divmod(place, totals_BV.shape[1]) for place in found.indices.tolist()]
    return [
        (index, _extended(texts[index], word, total, eos_id))
        for (index, word), total in zip(places, found.values.tolist(), strict=True)
        if total > -math.inf
    ]


def _extended(text: Continuation, word: int, log_probability: float, eos_id: int | None) -> Continuation:
    if word == eos_id:
        return Continuation(text.ids, log_probability, ended=True)
    return Continuation((*text.ids, word), log_probability, ended=False)


def best(texts: Sequence[Continuation], beam: Beam) -> list[Continuation]:
    """Return the `beam.width` best texts, the best first."""
    by_score = sorted(texts, key=lambda text: beam.score(text.log_probability, text.num_tokens), reverse=True)
    return by_score[: beam.width]


def can_improve(
    active: Sequence[Continuation], complete: Sequence[Continuation], beam: Beam, max_new_tokens: int
) -> bool:
    """Return whether an unfinished text, likeliest first, can still become one of the best complete ones."""
    if not active or len(complete) < beam.width:
        return bool(active)
    if beam.width == 1:
        return False
    # The probability of a text only falls, and for a given one every formula is monotonic in the length.
    likeliest, worst = active[0], complete[-1]
    possible = max(beam.score(likeliest.log_probability, length) for length in (likeliest.num_tokens, max_new_tokens))
    return possible > beam.score(worst.log_probability, worst.num_tokens)
