"""Penalties on the last layer's outputs: AR and TAR of Merity, McCann and Socher (2017, arXiv:1708.01009).

    AR     activation_penalty * mean(d_t^2)              d: the outputs after dropout
    TAR    temporal_penalty * mean((h_t+1 - h_t)^2)      h: the outputs before dropout

The means are of a column: over its time steps, padding excluded, and over its units. They are added to the loss of
every word of the column, so that they are on the scale of a mean loss, whatever the length of a window.

Shape suffixes: T time, B batch, H hidden.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


def output_penalty(
    output_TBH: Tensor, dropped_TBH: Tensor, scored_TB: Tensor, activation_penalty: float, temporal_penalty: float
) -> Tensor:
    """Return the penalties, summed over all words, a scalar.

    Args:
        output_TBH: the last layer's outputs before dropout.
        dropped_TBH: the same after dropout.
        scored_TB: true where there is a word; the padding of a column follows its words.
        activation_penalty: of AR.
        temporal_penalty: of TAR.
    """
    scored_TB = scored_TB.to(output_TBH.dtype)
    total = output_TBH.new_zeros(())
    if activation_penalty:
        total = total + activation_penalty * (dropped_TBH.square().mean(2) * scored_TB).sum()
    if temporal_penalty:
        pairs_TB = scored_TB[1:]
        words_B, pairs_B = scored_TB.sum(0), pairs_TB.sum(0).clamp(min=1)
        changes_TB = (output_TBH[1:] - output_TBH[:-1]).square().mean(2) * pairs_TB
        total = total + temporal_penalty * (changes_TB.sum(0) * words_B / pairs_B).sum()
    return total


@contextmanager
def record_calls(module: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Record the input and the output of each call of a module within the block."""
    calls: list[tuple[Tensor, Tensor]] = []
    handle = module.register_forward_hook(lambda _, inputs, output: calls.append((inputs[0], output)))
    try:
        yield calls
    finally:
        handle.remove()
