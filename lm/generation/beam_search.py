"""Beam search: the texts that the model finds likeliest, as far as a beam of limited width can see.

    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8                             # likeliest
    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8 beam.length_penalty=1       # longer
    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8 beam.length_penalty=-1      # shorter

Every word costs probability, so the likeliest text is a short one. The length penalty alpha trades log p, in nats,
against n, the number of words (a closing `<eos>` included); in each formula alpha = 0 ranks by log p alone, alpha > 0
favours longer texts and alpha < 0 shorter ones:

    gnmt        log p / ((5 + n) / 6)^alpha      Wu et al., 2016, arXiv:1609.08144, equation 14, without coverage
    average     log p / n^alpha                  with alpha = 1 the mean log-probability of a word
    per_word    log p + alpha * n                alpha nats for every word

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
LARGEST_PENALTY = 20.0  # far beyond what anybody means, and far from overflow


@dataclass(frozen=True)
class Beam:
    """How wide to search, and how to rank what is found.

    Args:
        width: texts that are followed side by side.
        length_penalty: alpha.
        length_formula: a name in `FORMULAS`.

    Raises:
        ValueError: where a value can't be used.
    """

    width: int = 1
    length_penalty: float = 0.0
    length_formula: str = "gnmt"

    def __post_init__(self) -> None:
        check_whole("beam.width", self.width, 8)
        check_number("beam.length_penalty", self.length_penalty, 0.6)
        if abs(self.length_penalty) > LARGEST_PENALTY:
            raise ValueError(
                f"expected beam.length_penalty between -{LARGEST_PENALTY:g} and {LARGEST_PENALTY:g}, "
                f"found {self.length_penalty}: type beam.length_penalty=0.6"
            )
        check_choice("beam.length_formula", self.length_formula, list(FORMULAS))

    def score(self, log_probability: float, num_tokens: int) -> float:
        """Return what texts are ranked by, the larger the better."""
        return FORMULAS[self.length_formula](log_probability, num_tokens, self.length_penalty)


def beam_search(
    decode: Decode, prompt: Sequence[int], eos_id: int | None, max_new_tokens: int = 30, beam: Beam | None = None
) -> list[Continuation]:
    """Return at most `beam.width` texts that go on from a prompt, the best first.

    The prompt is read once, and the texts that are followed are read on side by side. A text is complete when it has
    ended, or with `max_new_tokens`. The search stops when no text that is followed can still become better than the
    complete ones; with a width of 1, at the first end.

    Args:
        decode: of the model.
        prompt: ids to go on from, at least one.
        eos_id: of the word that ends a text; None to write on past it.
        max_new_tokens: tokens of a text at most.
        beam: width and ranking.
    """
    beam = beam or Beam()
    log_probabilities_BV, states = decode(torch.tensor(prompt)[:, None], None)
    followed, complete = [Continuation((), 0.0, ended=False)], list[Continuation]()
    for num_words in range(1, max_new_tokens + 1):
        found = extensions(followed, log_probabilities_BV, 2 * beam.width, eos_id)
        complete = best(complete + [text for _, text in found[: beam.width] if text.ended], beam)
        # A text ends in one way only, so that at least half of what was found goes on.
        going_on = [(column, text) for column, text in found if not text.ended][: beam.width]
        followed = [text for _, text in going_on]
        if not can_improve(followed, complete, beam, max_new_tokens):
            return complete
        if num_words < max_new_tokens:
            columns_B = torch.tensor([column for column, _ in going_on])
            tokens_1B = torch.tensor([[text.ids[-1] for text in followed]])
            log_probabilities_BV, states = decode(tokens_1B, reorder(states, columns_B))
    return best(complete + followed, beam)


def extensions(
    texts: Sequence[Continuation], log_probabilities_BV: Tensor, count: int, eos_id: int | None
) -> list[tuple[int, Continuation]]:
    """Return the `count` likeliest ways to write one word more, each with the number of the text it goes on from."""
    before_B = torch.tensor([text.log_probability for text in texts], dtype=torch.float64)
    totals_BV = before_B[:, None] + log_probabilities_BV
    found = totals_BV.flatten().topk(min(count, totals_BV.numel()))
    places = [divmod(index, totals_BV.shape[1]) for index in found.indices.tolist()]
    return [
        (column, _extended(texts[column], word, total, eos_id))
        for (column, word), total in zip(places, found.values.tolist(), strict=True)
        if total > -math.inf
    ]


def _extended(text: Continuation, word: int, log_probability: float, eos_id: int | None) -> Continuation:
    if word == eos_id:
        return Continuation(text.ids, log_probability, ended=True)
    return Continuation((*text.ids, word), log_probability, ended=False)


def best(texts: Sequence[Continuation], beam: Beam) -> list[Continuation]:
    """Return as many texts as the beam is wide, the best first."""
    by_score = sorted(texts, key=lambda text: beam.score(text.log_probability, text.num_tokens), reverse=True)
    return by_score[: beam.width]


def can_improve(
    followed: Sequence[Continuation], complete: Sequence[Continuation], beam: Beam, max_new_tokens: int
) -> bool:
    """Say whether one of the texts, likeliest first, can still enter the complete ones, best first."""
    if not followed or len(complete) < beam.width:
        return bool(followed)
    if beam.width == 1:
        return False
    # A text's probability only falls, and at a given one every formula rises with the length or falls with it.
    likeliest, worst = followed[0], complete[-1]
    possible = max(beam.score(likeliest.log_probability, length) for length in (likeliest.num_tokens, max_new_tokens))
    return possible > beam.score(worst.log_probability, worst.num_tokens)
