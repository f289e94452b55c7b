"""The neural cache: words that followed similar hidden states become likelier (Grave et al. 2016, arXiv:1612.04426).

With h_t the hidden state that predicts the word w_(t+1), and the sum over the last `window` words before it,

    p(w) = (1 - weight) p_softmax(w) + weight p_cache(w)
    p_cache(w) = sum_i softmax_i(theta h_t . h_i) [w_(i+1) = w]

The cache is used from the first word on, however few words it holds; before the first word it is empty, and the
prediction is the softmax's alone. Hidden states do not depend on the cache, so they are computed first, in any batches,
and the cache then reads the text in its order as one column.

Shapes: N targets of a text, R of one block, C columns of a block's cache, H hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from tqdm import tqdm

from lm.checks import check_number, check_whole
from lm.evaluation.methods.method import Method, TextNats, Wrapper

TARGETS_AT_ONCE = 128
"""Targets whose caches are searched at once: the block then fits in a processor's cache."""


@dataclass
class Cache(Wrapper):
    """Mixes the prediction of another method with what followed similar hidden states.

    `conf/evaluate.yaml` explains the options; the paper calls `weight` lambda.
    """

    name = "cache"
    grid: ClassVar = {
        "theta": (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5),
        "weight": (0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3),
        "window": (500, 1000, 2000, 4000),
    }

    inner: Method
    theta: Annotated[float, partial(check_number, example=1.0, least=0, most=1000)]
    weight: Annotated[float, partial(check_number, example=0.1, least=0, below=1)]
    window: Annotated[int, partial(check_whole, example=500)]

    def __post_init__(self) -> None:
        super().__init__(self.inner)
        self.needs_stream = self.needs_hidden = True

    def of_text(self, text: TextNats) -> Tensor:
        """Return the nats of each target, [N], mixed with the cache."""
        nats_N = super().of_text(text)
        assert text.hidden_NH is not None
        [cache_N] = cache_probabilities(text.hidden_NH, text.targets_N, [(self.theta, self.window)])
        weight_N = torch.full_like(nats_N, self.weight)
        weight_N[:1] = 0  # the cache is empty
        return -torch.logaddexp(torch.log1p(-weight_N) - nats_N, (weight_N * cache_N).log())


@torch.inference_mode()
def cache_probabilities(
    hidden_NH: Tensor, targets_N: Tensor, points: Sequence[tuple[float, int]], progress: str = ""
) -> Tensor:
    """Return the probability of each target in the cache, one row per pair of theta and window, float64 on the CPU.

    The probability of the first target, before which the cache is empty, is 0.
    """
    found = torch.zeros(len(points), len(targets_N), dtype=torch.float64)
    starts = range(1, len(targets_N), TARGETS_AT_ONCE)
    for start in tqdm(starts, desc=progress, disable=None if progress else True, leave=False):
        stop, longest = min(start + TARGETS_AT_ONCE, len(targets_N)), max(window for _, window in points)
        first = max(0, start - longest)
        similarity_RC = hidden_NH[start:stop] @ hidden_NH[first : stop - 1].t()
        match_RC = (targets_N[start:stop, None] == targets_N[first : stop - 1]).to(similarity_RC.dtype)
        for row, (theta, window) in zip(found, points, strict=True):
            columns = slice(max(0, start - window) - first, None)
            size = start - first - columns.start
            mask_RC = _band_mask(stop - start, size, window, hidden_NH.dtype, hidden_NH.device)
            weights_RC = torch.add(mask_RC, similarity_RC[:, columns], alpha=theta).softmax(1)
            row[start:stop] = torch.linalg.vecdot(weights_RC, match_RC[:, columns])
    return found


@lru_cache(maxsize=8)
def _band_mask(rows: int, size: int, window: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return which words are in the cache of each target of a block, [R, C]: 0, or minus infinity for the others.

    There are `size` words before the first target. All blocks but those at the start of a text have the same mask.
    """
    age_RC = torch.arange(rows)[:, None] + size - torch.arange(size + rows - 1)
    outside_RC = (age_RC < 1) | (age_RC > window)
    return torch.zeros(outside_RC.shape, dtype=dtype).masked_fill_(outside_RC, -torch.inf).to(device)
