"""Projection onto the vocabulary and cross-entropy in one, without the logits of all tokens in memory at once.

With a = W h + b the logits of one token, a' = a log2(e) the same in base two, m = max a', E = 2^(a' - m) and s = sum E,
a token of target y and weight w has

    loss    w * ln(2) * (log2(s) - (a'_y - m))
    d_a     (w / s) * D  with  D = E - s * onehot(y)
    d_h     (w / s) * W^T D
    d_W     D ((w / s) * h)^T, summed over tokens
    d_b     D (w / s), summed over tokens

The loss, and its gradients for an incoming gradient of one, are computed in one pass over chunks of tokens, in one
buffer that holds a', then E, then D; the backward pass only scales them. A chunk has the size that suits the matrix
products. Elementwise operations run over blocks of a chunk that fit in the processor's cache. Powers of two take a
third of the time of PyTorch's exp on processors that are not Intel's.

With bf16 matrix multiplication the buffer is in bfloat16, too; each block is copied out of it, computed in float32, and
D is copied back. E is first computed with m = 0, which saves a pass, and again with the maximum only if a sum is out of
range. In training the rounded copy of W has b as one more column, and h ends in a one: the products then add b to the
logits and sum up d_b. Without gradients b is added in float32: rounding it changes a perplexity by up to 0.03 %, all
other roundings here by less than 0.005 % (those of the recurrent layers not counted).

Shape suffixes: N tokens, C tokens of one chunk, R tokens of one block, V vocabulary, H hidden, K = H or H + 1.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lm.models.matmul_precision import add_matmul, to_matmul_dtype, uses_bf16

MAX_LOGITS = 2**22
"""Logits of a chunk: 16 MB of float32, enough for 20 sequences of 20 steps at 10,000 words in one large product."""

BYTES_IN_CACHE = 2**21
"""Bytes of a block for each thread: about the second-level cache of a core. Larger blocks are slower."""

LOG2_E = math.log2(math.e)

MAX_SUM = 2.0**64
"""Sums of exponentials from its inverse up to this are far from the ends of float32's range, 2^-126 and 2^128: no
exponential overflowed, and none that counts underflowed. A single logit may be up to 44 nats."""


def linear_cross_entropy(
    hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, targets_N: Tensor, weights_N: Tensor
) -> Tensor:
    """Return the weighted sum of nats, sum_n weights_n * -log softmax(W hidden_n + b)[targets_n].

    The sum over tokens is taken in float64 and returned as a scalar of the weight's dtype; without gradients all is
    computed in at least float32. It is differentiable once, in `hidden_NH`, `weight_VH` and `bias_V`; `weights_N` is a
    constant. All targets are int64 ids below V; one with a weight of zero adds exactly nothing to the loss and the
    gradients. At most max(`MAX_LOGITS`, half the elements of `weight_VH`) logits exist at any time, or twice as many in
    bfloat16 and a block of them in float32. Nothing waits for the device.
    """
    with_gradients = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in (hidden_NH, weight_VH, bias_V)
    )
    # Without gradients the nats are for comparisons, which bf16 weights should not round.
    dtype = weight_VH.dtype if with_gradients else torch.promote_types(weight_VH.dtype, torch.float32)
    inputs = (hidden_NH.to(dtype), weight_VH.to(dtype), None if bias_V is None else bias_V.to(dtype))
    loss: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        *inputs, targets_N, weights_N.to(dtype), with_gradients
    )
    return loss


def chunk_size(vocabulary_size: int, hidden_size: int, dtype: torch.dtype = torch.float32) -> int:
    """Return the number of tokens in a chunk: those of `MAX_LOGITS`, or hidden_size / 2 if the vocabulary is large.

    Every chunk reads and writes the whole gradient of the weight, which would take most of the time of small chunks.
    With hidden_size / 2 tokens the logits take half the memory of the weight, whatever the vocabulary. In bfloat16
    twice as many take no more.
    """
    tokens = max(1, MAX_LOGITS // vocabulary_size, hidden_size // 2)
    return 2 * tokens if dtype == torch.bfloat16 else tokens


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
        factors = _factors(hidden_NH, weight_VH, bias_V, bias_as_column=with_gradients)
        chunk = chunk_size(len(weight_VH), hidden_NH.shape[1], factors.weight_VK.dtype)
        gradients = _Gradients(factors, accumulate=chunk < len(hidden_NH)) if with_gradients else None
        buffer_CV = factors.weight_VK.new_empty(min(chunk, len(hidden_NH)), len(weight_VH))
        loss = torch.zeros((), dtype=torch.float64, device=hidden_NH.device)
        for start in range(0, max(1, len(hidden_NH)), chunk):  # without tokens one empty chunk zeroes the gradients
            tokens = slice(start, start + chunk)
            targets_C, weights_C = targets_N[tokens], weights_N[tokens]
            d_CV = buffer_CV[: len(targets_C)]
            sums_C, nats_C = _exponentials(d_CV, factors, tokens, targets_C, weights_C, gradients)
            loss += torch.dot(weights_C.double(), nats_C.double())
            if gradients is not None:
                gradients.add(tokens, d_CV, factors, weights_C / sums_C)
        if gradients is not None:
            ctx.save_for_backward(*gradients.split(hidden_NH.shape[1], bias_V is not None))
        return loss.to(weight_VH.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if gradient is None else _scaled(gradient, d_loss) for gradient in ctx.saved_tensors)
        return (*scaled, None, None, None)


def _scaled(gradient: Tensor, d_loss: Tensor) -> Tensor:
    # Not in place: the backward pass may run again, and the optimiser may change the gradients that it gets.
    return gradient * d_loss if gradient.dtype == d_loss.dtype else gradient.to(d_loss.dtype).mul_(d_loss)


class _Factors(NamedTuple):
    """Factors of the matrix products: `base2_NK` gives logits in base two, to which `bias_V` is added unless None."""

    hidden_NK: Tensor
    base2_NK: Tensor
    weight_VK: Tensor
    bias_V: Tensor | None


def _factors(hidden_NH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, bias_as_column: bool) -> _Factors:
    base2_NH, bias_V = hidden_NH * LOG2_E, None if bias_V is None else bias_V * LOG2_E
    if bias_V is None or not uses_bf16(weight_VH) or not bias_as_column:
        return _Factors(hidden_NH, to_matmul_dtype(base2_NH), to_matmul_dtype(weight_VH), bias_V)
    one_N = hidden_NH.new_ones(len(hidden_NH))
    return _Factors(
        hidden_NK=_with_column(hidden_NH, one_N, hidden_NH.dtype),
        base2_NK=_with_column(base2_NH, one_N, torch.bfloat16),
        weight_VK=_with_column(weight_VH, bias_V, torch.bfloat16),
        bias_V=None,
    )


def _with_column(matrix: Tensor, column: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the matrix with one more column; torch.cat would copy and round it in two passes."""
    both = matrix.new_empty(len(matrix), matrix.shape[1] + 1, dtype=dtype)
    both[:, :-1], both[:, -1] = matrix, column
    return both


def _exponentials(
    out_CV: Tensor,
    factors: _Factors,
    tokens: slice,
    targets_C: Tensor,
    weights_C: Tensor,
    gradients: "_Gradients | None",
) -> tuple[Tensor, Tensor]:
    """Return the sums of E and the nats of the targets; with gradients, leave D in `out_CV`."""

    def exponentiate(subtract_max: bool) -> tuple[Tensor, Tensor]:
        torch.mm(factors.base2_NK[tokens], factors.weight_VK.t(), out=out_CV)
        return _exponentiate(out_CV, factors.bias_V, targets_C, weights_C, gradients, subtract_max)

    if out_CV.dtype != weights_C.dtype:  # in bfloat16 no bias's gradient is summed here, which must not happen twice
        sums_C, nats_C = exponentiate(subtract_max=False)
        if ((sums_C >= 1 / MAX_SUM) & (sums_C <= MAX_SUM)).all():
            return sums_C, nats_C
    return exponentiate(subtract_max=True)


def _exponentiate(
    logits_CV: Tensor,
    bias_V: Tensor | None,
    targets_C: Tensor,
    weights_C: Tensor,
    gradients: "_Gradients | None",
    subtract_max: bool,
) -> tuple[Tensor, Tensor]:
    """Return the sums of E and the nats of the targets from logits without the bias; m = 0 unless `subtract_max`.

    Both are in the dtype of the weights.
    """
    nats_C, sums_C = torch.empty_like(weights_C), torch.empty_like(weights_C)
    for block, logits_RV in _blocks(logits_CV, weights_C.dtype):
        of_targets = torch.arange(len(logits_RV), device=targets_C.device), targets_C[block]
        if bias_V is not None:
            logits_RV += bias_V  # measured: faster than addmm, which first writes the bias into the output
        if subtract_max:
            logits_RV -= logits_RV.amax(1, keepdim=True)
        logits_R = logits_RV[of_targets]
        sums_R = torch.sum(logits_RV.exp2_(), 1, out=sums_C[block])
        nats_C[block] = (sums_R.log2() - logits_R) / LOG2_E
        if gradients is not None:
            logits_RV[of_targets] -= sums_R
            logits_CV[block] = logits_RV  # copies nothing if it is the same memory
            gradients.add_bias(logits_RV, weights_C[block], sums_R)
    return sums_C, nats_C


def _blocks(logits_CV: Tensor, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
    """Yield each block's tokens and logits in `dtype`; copies to another dtype share one buffer, to stay in the cache.

    On a GPU one block has all tokens, because there each call costs more than the cache gains.
    """
    tokens, vocabulary = logits_CV.shape
    in_caches = BYTES_IN_CACHE * torch.get_num_threads() // dtype.itemsize
    size = max(1, in_caches // vocabulary) if logits_CV.device.type == "cpu" else max(1, tokens)
    buffer_RV = None if logits_CV.dtype == dtype else torch.empty_like(logits_CV[:size], dtype=dtype)
    for block in (slice(start, start + size) for start in range(0, tokens, size)):
        logits_RV = logits_CV[block]
        yield block, logits_RV if buffer_RV is None else buffer_RV[: len(logits_RV)].copy_(logits_RV)


class _Gradients:
    """The gradients of hidden states, weight and bias, summed over chunks; the bias's own, if any, over blocks.

    The weight's stays in the dtype of the factors until it is scaled, unless it has to `accumulate` several chunks.
    """

    def __init__(self, factors: _Factors, accumulate: bool):
        self.hidden_NK = torch.empty_like(factors.hidden_NK)
        self.weight_VK = torch.empty_like(factors.weight_VK, dtype=factors.hidden_NK.dtype if accumulate else None)
        self.bias_V = None if factors.bias_V is None else torch.zeros_like(factors.bias_V)

    def add(self, tokens: slice, d_CV: Tensor, factors: _Factors, scale_C: Tensor) -> None:
        """Add those of a chunk with this D, each token scaled by w / s."""
        add_matmul(self.hidden_NK[tokens], d_CV, factors.weight_VK, start=True)
        self.hidden_NK[tokens] *= scale_C[:, None]
        scaled_CK = to_matmul_dtype(factors.hidden_NK[tokens] * scale_C[:, None])
        add_matmul(self.weight_VK, d_CV.t(), scaled_CK, start=tokens.start == 0)  # the first needs no zeros to add to

    def add_bias(self, d_RV: Tensor, weights_R: Tensor, sums_R: Tensor) -> None:
        """Add the bias's of a block with this D, unless the bias is a column of the weight."""
        if self.bias_V is not None:
            self.bias_V.addmv_(d_RV.t(), weights_R / sums_R)

    def split(self, hidden_size: int, bias: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the gradients of hidden states, weight and bias."""
        bias_V = self.weight_VK[:, hidden_size] if bias and self.bias_V is None else self.bias_V
        return self.hidden_NK[:, :hidden_size], self.weight_VK[:, :hidden_size], bias_V
