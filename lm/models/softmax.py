"""The decoder: hidden states -> the distribution of the next word, by a full or an adaptive softmax.

    full        p(w) = softmax(W h + b)[w]

    adaptive    p(w) = softmax(W h + b)[w]                          w in the head, the frequent words
                p(w) = softmax(W h + b)[c] softmax(W_c P_c h)[w]    w in cluster c of rarer words

The head of the adaptive softmax has one more row for each cluster (Grave et al., 2017, arXiv:1609.04309). In training
only the targets of a cluster need its matrices: most words are in the head, so most of the vocabulary is left out.

Shape suffixes: N tokens, S tokens of one cluster, H hidden, V vocabulary.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lm.data.bptt import IGNORE_INDEX
from lm.models.cutoffs import DIV_VALUE, vocabulary_cutoffs
from lm.models.linear_cross_entropy import MAX_LOGITS, linear_cross_entropy


class FullSoftmax(nn.Linear):
    """A row for every word; called with hidden states [..., H], it returns logits [..., V]."""

    def total_nats(self, hidden_NH: Tensor, targets_N: Tensor, weights_N: Tensor) -> Tensor:
        """Return the weighted sum of the nats of the targets, a scalar; targets with a weight of 0 do not count."""
        return linear_cross_entropy(hidden_NH, self.weight, self.bias, targets_N, weights_N)

    def token_nats(self, hidden_NH: Tensor, targets_N: Tensor) -> Tensor:
        """Return the nats of each target, [N]; 0 for `IGNORE_INDEX`."""
        return _token_nats(self, hidden_NH, targets_N)


class AdaptiveSoftmax(nn.Module):
    """A row for every frequent word, and clusters of the others with smaller matrices.

    Called with hidden states [..., H], it returns the log-probabilities of all words, [..., V], which serve as logits.

    Args:
        hidden_size: H.
        vocabulary_size: V; ids are ranks by frequency, as in `lm.data.vocabulary`.
        cutoffs: the first id of each cluster; None: those of `lm.models.cutoffs`.

    Raises:
        ValueError: if a cutoff is not below V.
    """

    def __init__(self, hidden_size: int, vocabulary_size: int, cutoffs: Sequence[int] | None = None) -> None:
        super().__init__()
        found = vocabulary_cutoffs(vocabulary_size, cutoffs)
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(hidden_size, vocabulary_size, found, DIV_VALUE, head_bias=True)

    @property
    def head(self) -> nn.Linear:
        """The rows of the frequent words and of the clusters."""
        return self.softmax.head

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the log-probabilities of all words."""
        return self.softmax.log_prob(hidden.reshape(-1, hidden.shape[-1])).view(*hidden.shape[:-1], -1)

    def total_nats(self, hidden_NH: Tensor, targets_N: Tensor, weights_N: Tensor) -> Tensor:
        """Return the weighted sum of the nats of the targets, a scalar; targets with a weight of 0 do not count."""
        head_targets_N, clusters = self._clusters(targets_N)
        nats = linear_cross_entropy(hidden_NH, self.head.weight, self.head.bias, head_targets_N, weights_N)
        for rows_S, targets_S, project, decode in clusters:
            small_SH = project(hidden_NH[rows_S])
            nats = nats + linear_cross_entropy(small_SH, decode.weight, None, targets_S, weights_N[rows_S])
        return nats

    def token_nats(self, hidden_NH: Tensor, targets_N: Tensor) -> Tensor:
        """Return the nats of each target, [N]; 0 for `IGNORE_INDEX`."""
        head_targets_N, clusters = self._clusters(targets_N)
        nats_N = _token_nats(self.head, hidden_NH, head_targets_N)
        for rows_S, targets_S, project, decode in clusters:
            nats_N = nats_N.index_add(0, rows_S, _token_nats(decode, project(hidden_NH[rows_S]), targets_S))
        return nats_N

    def _clusters(self, targets_N: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor, nn.Linear, nn.Linear]]]:
        """Return the targets of the head, and of each cluster its tokens, their targets in it, and its P_c and W_c."""
        tail: Any = self.softmax.tail
        head_targets_N, clusters = targets_N.clone(), []
        for number, (low, high) in enumerate(pairwise(self.softmax.cutoffs)):
            rows_S = ((targets_N >= low) & (targets_N < high)).nonzero().squeeze(1)
            head_targets_N[rows_S] = self.softmax.shortlist_size + number
            clusters.append((rows_S, targets_N[rows_S] - low, *tail[number]))
        return head_targets_N, clusters


def _token_nats(linear: nn.Linear, hidden_NH: Tensor, targets_N: Tensor) -> Tensor:
    """Return the nats of each target, [N], from `MAX_LOGITS` logits at a time."""
    rows = max(1, MAX_LOGITS // linear.out_features)
    chunks = zip(torch.split(hidden_NH, rows), torch.split(targets_N, rows), strict=True)
    return torch.cat([F.cross_entropy(linear(h), y, reduction="none", ignore_index=IGNORE_INDEX) for h, y in chunks])
