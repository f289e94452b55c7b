"""Every random mask: which elements are dropped, and by how much the others are scaled up.

    standard     a mask per element: time step, column and unit
    locked       a mask per column and unit, the same at all time steps of a window (Gal and Ghahramani, 2016)
    embedding    whole words: a mask per word of the vocabulary, the same wherever the word is in a window
    weight       a mask per weight of a recurrent matrix, the same at all time steps of a window (Merity et al., 2017)

Shape suffixes: T time, B batch, E embedding, H hidden.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VALUES = 2**16
"""The number of values of 16 random bits: a probability is rounded to a multiple of 1 / 65,536."""


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, which on a CPU draws its masks from 16 random bits per element, four times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Zero each element with probability `p` and scale up the others, in training."""
        if not self.training or self.p in (0, 1) or x.device.type != "cpu":
            return super().forward(x)
        return x * scaled_mask(x, self.p)


class LockedDropout(nn.Dropout):
    """Dropout whose mask is drawn once for all time steps of a window, for each column and unit."""

    def forward(self, x_TBH: Tensor) -> Tensor:
        """Zero each unit of a column with probability `p` and scale up the others, in training."""
        if not self.training or self.p == 0:
            return x_TBH
        return x_TBH * scaled_mask(x_TBH[:1], self.p)


class EmbeddingDropout(nn.Dropout):
    """Dropout of whole words (Gal and Ghahramani, 2016): all occurrences of a word in a window, or none."""

    def forward(  # type: ignore[override]
        self, embedded_TBE: Tensor, tokens_TB: Tensor, vocabulary_size: int
    ) -> Tensor:
        """Zero the embeddings of each word with probability `p` and scale up the others, in training."""
        if not self.training or self.p == 0:
            return embedded_TBE
        mask_V = scaled_mask(embedded_TBE.new_empty(vocabulary_size), self.p)
        return embedded_TBE * mask_V[tokens_TB][..., None]


class WeightDropout(nn.Dropout):
    """Dropout of the hidden-hidden matrix of a layer, DropConnect (Merity et al., 2017, arXiv:1708.02182)."""

    def forward(self, weights: Sequence[Tensor]) -> list[Tensor]:  # type: ignore[override]
        """Zero each weight of the hidden-hidden matrix with probability `p` and scale up the others, in training.

        Args:
            weights: of a layer, as its `all_weights[0]` lists them.
        """
        if not self.training or self.p == 0:
            return list(weights)
        weight_ih, weight_hh, *others = weights
        return [weight_ih, weight_hh * scaled_mask(weight_hh, self.p), *others]


DROPOUT_TYPES: dict[str, type[nn.Dropout]] = {"standard": Dropout, "locked": LockedDropout}


def scaled_mask(x: Tensor, p: float) -> Tensor:
    """Return a mask like `x`: 0 with probability `p`, between 0 and 1, and else 1 / (1 - p)."""
    if x.device.type != "cpu":
        return F.dropout(torch.ones_like(x), p)
    values_kept = max(round((1 - p) * VALUES), 1)
    kept = _random_int16(x).le_(values_kept - 1 - VALUES // 2)
    return kept.to(x.dtype).mul_(VALUES / values_kept)


def _random_int16(x: Tensor) -> Tensor:
    """Return uniform int16 values in the shape of `x`; the generator is called once for four of them."""
    fours = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    return fours.view(torch.int16)[: x.numel()].view(x.shape)
