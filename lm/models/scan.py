"""The recurrence h_t = a_t * h_(t-1) + b_t for all time steps at once, by a parallel scan.

Two successive steps are one step of the same form (Blelloch, 1990):

    h_t = a_t * (a_(t-1) * h_(t-2) + b_(t-1)) + b_t = (a_t * a_(t-1)) * h_(t-2) + (a_t * b_(t-1) + b_t)

So each pass over the sequence doubles the number of steps that every place has taken (Hillis and Steele, 1986). The
gradient is the same recurrence from the last step to the first. With d_t for dE/dh_t, all later steps included,

    d_t = dE/dh_t (outputs alone) + a_(t+1) * d_(t+1),    dE/da_t = d_t * h_(t-1),    dE/db_t = d_t

Shape suffixes: T time, B batch, H hidden.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear_recurrence(a_TBH: Tensor, b_TBH: Tensor, h0_BH: Tensor) -> Tensor:
    """Return h_1 to h_T, [T, B, H], in about log2(T) passes; it is differentiable once."""
    states_TBH: Tensor = _Recurrence.apply(a_TBH, b_TBH, h0_BH)  # type: ignore[no-untyped-call]
    return states_TBH


def scan(a_TBH: Tensor, b_TBH: Tensor) -> Tensor:
    """Return the states of the recurrence from a zero initial state."""
    a_TBH, b_TBH = a_TBH.clone(), b_TBH.clone()
    taken = 1
    while taken < len(b_TBH):
        b_TBH[taken:] += a_TBH[taken:] * b_TBH[:-taken]
        a_TBH[taken:] = a_TBH[taken:] * a_TBH[:-taken]  # a new tensor: the two sides overlap
        taken *= 2
    return b_TBH


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a_TBH: Tensor, b_TBH: Tensor, h0_BH: Tensor) -> Tensor:
        first_BH = torch.addcmul(b_TBH[0], a_TBH[0], h0_BH)
        states_TBH = scan(a_TBH, torch.cat([first_BH[None], b_TBH[1:]]))
        ctx.save_for_backward(a_TBH, h0_BH, states_TBH)
        return states_TBH

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states_TBH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a_TBH, h0_BH, states_TBH = ctx.saved_tensors
        backwards_TBH = a_TBH.roll(-1, dims=0).flip(0)  # the first one, which nothing precedes, is not read
        d_TBH = scan(backwards_TBH, d_states_TBH.flip(0)).flip(0)
        before_TBH = torch.cat([h0_BH[None], states_TBH[:-1]])
        return d_TBH * before_TBH, d_TBH, d_TBH[0] * a_TBH[0]
