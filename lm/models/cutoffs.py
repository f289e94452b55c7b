"""Where the adaptive softmax cuts the vocabulary, whose words are sorted by frequency, into a head and clusters.

    0 ......... cutoffs[0] ......... cutoffs[1] ......... V
       head           first cluster         second cluster

The head has the frequent words. Each cluster's words are scored by `DIV_VALUE` times fewer numbers than those of the
part before it. This module does not import PyTorch: a config is checked fast without it.
"""

from collections.abc import Sequence
from itertools import pairwise

from lm.checks import unexpected

DIV_VALUE = 4
"""How many times smaller each part's vectors are than those of the part before it, as in Grave et al. (2017)."""

FRACTIONS = (1 / 64, 1 / 8)
"""The default cutoffs, as fractions of the vocabulary: where a step is fast with two clusters (docs/log.md)."""


def check_cutoffs(name: str, cutoffs: object) -> None:
    """Raise a ValueError unless `cutoffs` is a list of increasing whole numbers above 0, or None."""
    if cutoffs is None:
        return
    values = cutoffs if isinstance(cutoffs, list) else []
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    if not values or not whole or any(low >= high for low, high in pairwise([0, *values])):
        raise unexpected(name, "a list of increasing whole numbers above 0 or null", cutoffs, "[2000,10000]")


def check_clusters(hidden_size: int, cutoffs: Sequence[int] | None) -> None:
    """Raise a ValueError if the hidden states that the decoder reads are too small for so many clusters."""
    clusters = len(cutoffs or FRACTIONS)
    if hidden_size < (least := DIV_VALUE**clusters):
        raise ValueError(
            f"expected last_hidden_size of at least {least} with softmax=adaptive and {clusters} cutoffs, "
            f"found {hidden_size}: type softmax=full"
        )


def vocabulary_cutoffs(vocabulary_size: int, cutoffs: Sequence[int] | None) -> list[int]:
    """Return the cutoffs of a vocabulary; None: the default ones.

    Raises:
        ValueError: if one is not below the vocabulary's size.
    """
    found = cutoffs or [max(rank, int(part * vocabulary_size)) for rank, part in enumerate(FRACTIONS, start=1)]
    if found[-1] >= vocabulary_size:
        raise ValueError(
            f"expected cutoffs below {vocabulary_size}, the number of words of the vocabulary, found {list(found)}: "
            "type cutoffs=null or softmax=full"
        )
    return list(found)
