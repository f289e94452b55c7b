"""Projection onto the vocabulary and cross-entropy in one, without holding the logits of all tokens at once.

With a = W h + b the logits of one token, a' = a log2(e) the same to the base of two, m = max a', E = 2^(a' - m) and
s = sum E, a token of target y and weight w has

    loss    w * ln(2) * (log2(s) - (a'_y - m))
    d_a     w * (E / s - onehot(y)) = (w / s) * (E - s * onehot(y))
    d_h     W^T d_a
    d_W     d_a h^T, summed over tokens
    d_b     d_a, summed over tokens

The loss, and the gradients for an incoming gradient of one, are computed in the same pass over chunks of tokens, in one
buffer that holds a', then E, then d_a; the backward pass only scales them. A chunk is as large as the matrix products
like it; what is done to it number by number is done block by block, each small enough to stay in the processor's cache.
Where products are of bfloat16 factors, so is the buffer, and a block is computed with in float32. Powers of two cost a
third of what PyTorch's exp does where it is not Intel's processor that computes them.

Shape suffixes: N tokens, C tokens of one chunk, R of one block, V vocabulary, H hidden.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lm.model.products import add_product, rounded

# 16 MB of float32: all 400 tokens of 20 streams by 20 steps at 10,000 words, where one large product is the quickest.
LOGITS_AT_ONCE = 2**22

# 1 MB of float32, which fits into the second-level cache of a processor's core, where the next pass finds it again.
LOGITS_IN_CACHE = 2**18

LOG2_E = math.log2(math.e)


def linear_cross_entropy(
    hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, targets_N: Tensor, weights_N: Tensor
) -> Tensor:
    """Return the weighted sum of nats, sum_n weights_n * -log softmax(W hidden_n + b)[targets_n].

    The sum over tokens is taken in float64 and returned as a scalar of the weight's dtype. It is differentiable once,
    in `hidden_NH`, `weight_VH` and `bias_V`; `weights_N` is a constant. Targets are int64 ids below V everywhere, also
    where the weight is zero; such a token adds exactly nothing to the loss and to the gradients. At most
    max(`LOGITS_AT_ONCE`, half the elements of `weight_VH`) logits exist at any time, and nothing waits for the device.
    """
    inputs = (hidden_NH.to(weight_VH.dtype), weight_VH, bias_V)
    with_gradients = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    loss: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        *inputs, targets_N, weights_N.to(weight_VH.dtype), with_gradients
    )
    return loss


def plain_linear_cross_entropy(
    hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, targets_N: Tensor, weights_N: Tensor
) -> Tensor:
    """Return what `linear_cross_entropy` returns, by PyTorch's own functions on the logits of all tokens at once."""
    logits_NV = F.linear(hidden_NH, weight_VH, bias_V)
    return (weights_N * F.cross_entropy(logits_NV, targets_N, reduction="none")).sum()


def tokens_at_once(vocabulary_size: int, hidden_size: int) -> int:
    """Return how many tokens make a chunk: `LOGITS_AT_ONCE` of logits, but for a large vocabulary hidden_size / 2.

    Every chunk reads and writes the whole gradient of the weight, so chunks of a few tokens would spend their time on
    that; with hidden_size / 2 tokens the logits take half the memory of the weight, whatever the vocabulary.
    """
    return max(1, LOGITS_AT_ONCE // vocabulary_size, hidden_size // 2)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        weights_N: Tensor,
        with_gradients: bool,
    ) -> Tensor:
        gradients = _Gradients(hidden_NH, weight_VH, bias_V) if with_gradients else None
        dtype, bias_V = weight_VH.dtype, None if bias_V is None else bias_V * LOG2_E
        binary_NH, hidden_NH, weight_VH = rounded(hidden_NH * LOG2_E), rounded(hidden_NH), rounded(weight_VH)
        chunk = tokens_at_once(*weight_VH.shape)
        buffer_CV = hidden_NH.new_empty(min(chunk, len(hidden_NH)), len(weight_VH))
        loss = torch.zeros((), dtype=torch.float64, device=hidden_NH.device)
        for start in range(0, max(1, len(hidden_NH)), chunk):  # no tokens make one empty chunk, which zeroes gradients
            tokens = slice(start, start + chunk)
            targets_C, weights_C = targets_N[tokens], weights_N[tokens]
            logits_CV = torch.mm(binary_NH[tokens], weight_VH.t(), out=buffer_CV[: len(targets_C)])
            for block in _blocks(logits_CV):
                logits_RV = logits_CV[block].to(dtype)
                loss += _nats(logits_RV, bias_V, targets_C[block], weights_C[block], gradients)
                if gradients is not None:
                    logits_CV[block] = logits_RV  # now d_a; nothing is copied where it is the same memory
            if gradients is not None:
                gradients.add(tokens, logits_CV, hidden_NH, weight_VH)
        if gradients is not None:
            ctx.save_for_backward(gradients.hidden_NH, gradients.weight_VH, gradients.bias_V)
        return loss.to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        # Not in place: the graph may be walked again, and the optimiser then owns what it is given.
        scaled = (None if gradient is None else gradient * d_loss for gradient in ctx.saved_tensors)
        return (*scaled, None, None, None)


def _blocks(logits_CV: Tensor) -> Iterator[slice]:
    """Divide a chunk's tokens; a GPU takes all at once, for it has no such cache and every call has its price."""
    tokens, vocabulary = logits_CV.shape
    size = max(1, LOGITS_IN_CACHE // vocabulary) if logits_CV.device.type == "cpu" else max(1, tokens)
    return (slice(start, start + size) for start in range(0, tokens, size))


def _nats(
    logits_RV: Tensor, bias_V: Tensor | None, targets_R: Tensor, weights_R: Tensor, gradients: "_Gradients | None"
) -> Tensor:
    """Return the weighted sum of nats (float64) by binary logits without bias; with gradients, leave d_a there."""
    exp_RV, sum_R, nats_R = _exponentiate(logits_RV, bias_V, targets_R)
    if gradients is not None:
        exp_RV.scatter_add_(1, targets_R[:, None], -sum_R[:, None])
        exp_RV *= (weights_R / sum_R)[:, None]
        if gradients.bias_V is not None:
            gradients.bias_V += exp_RV.sum(0)
    return torch.dot(weights_R.double(), nats_R.double())


def _exponentiate(logits_RV: Tensor, bias_V: Tensor | None, targets_R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Turn binary logits without bias into E in place; return E, its row sums and the nats of the targets."""
    if bias_V is not None:
        logits_RV += bias_V  # measured: quicker than addmm, which first writes the bias into the output
    logits_RV -= logits_RV.amax(1, keepdim=True)
    target_R = logits_RV.gather(1, targets_R[:, None]).squeeze(1)
    sum_R = logits_RV.exp2_().sum(1)
    return logits_RV, sum_R, (sum_R.log2() - target_R) / LOG2_E


class _Gradients:
    """The sums that become d hidden, d weight and d bias: those of products over chunks, the bias's over blocks."""

    def __init__(self, hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None):
        self.hidden_NH = torch.empty_like(hidden_NH)
        self.weight_VH = torch.empty_like(weight_VH)
        self.bias_V = None if bias_V is None else torch.zeros_like(bias_V)

    def add(self, tokens: slice, d_logits_CV: Tensor, hidden_NH: Tensor, weight_VH: Tensor) -> None:
        add_product(self.hidden_NH[tokens], d_logits_CV, weight_VH, start=True)
        # The first chunk overwrites, so that nothing needs to be zeroed.
        add_product(self.weight_VH, d_logits_CV.t(), hidden_NH[tokens], start=tokens.start == 0)
