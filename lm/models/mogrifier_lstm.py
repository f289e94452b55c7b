"""The Mogrifier LSTM (Melis, Kocisky and Blunsom, 2020, arXiv:1909.01792), with gradients written out on a CPU.

Before each step of an LSTM, its input x and its state h gate each other in turns, x first:

    x <- 2 sigmoid(Q h + b) * x        rounds 1, 3, 5
    h <- 2 sigmoid(R x + b) * h        rounds 2, 4

Each round has a matrix of its own, a product of two of low rank. The cell state is not gated.

Write d_y for dE/dy. A round y = 2 s * x with s = sigmoid(a), a = outer u + b, u = inner h has the derivatives

    d_a = d_y * y * (1 - s)        d_u = outer^T d_a
    d_x = d_y * 2 s                d_h = inner^T d_u

As in `lm.models.gru`, factors that depend on the forward pass alone are computed for all steps at once, and each
weight's gradient is one matrix product over all steps.

Shape suffixes: T time, B batch, E embedding (the layer's input), H hidden, K rank. Gates are stacked i, f, g, o, as in
torch.nn.LSTM.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lm.models.matmul_precision import to_matmul_dtype


class MogrifierLSTM(nn.Module):
    """An LSTM layer with the rounds above. On a CPU it is differentiable once.

    Args:
        input_size: E.
        hidden_size: H.
        rounds: the number of rounds, those of x and those of h.
        rank: K.
    """

    def __init__(self, input_size: int, hidden_size: int, rounds: int, rank: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.rounds = input_size, hidden_size, rounds
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih, self.bias_hh = (nn.Parameter(torch.empty(4 * hidden_size)) for _ in range(2))
        self.mogrifier = nn.ParameterList()
        for index in range(rounds):
            reads, gated = (hidden_size, input_size) if index % 2 == 0 else (input_size, hidden_size)
            for shape in ((rank, reads), (gated, rank), (gated,)):
                self.mogrifier.append(nn.Parameter(torch.empty(shape)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The LSTM's weights; then, for each round, the matrices [K, read], [gated, K] and the bias."""
        return [[self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, *self.mogrifier]]

    def forward(
        self,
        input_TBE: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
        weights: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the states after each step, [T, B, H], and the last (h, c), [1, B, H] each; see `lm.models.cells`."""
        weights = weights or self.all_weights[0]
        h_1BH, c_1BH = state or 2 * (input_TBE.new_zeros(1, input_TBE.shape[1], self.hidden_size),)
        on_cpu = input_TBE.device.type == "cpu" and weights[0].dtype.itemsize >= 4
        through_time: Any = _ThroughTime.apply if on_cpu else step_by_step
        output_TBH, c_BH = through_time(input_TBE, h_1BH[0], c_1BH[0], *weights)
        return output_TBH, (output_TBH[-1:], c_BH[None])


def step_by_step(
    input_TBE: Tensor,
    h_BH: Tensor,
    c_BH: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    *mogrifier: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the states after each step, [T, B, H], and the last c, [B, H], with gradients by autograd."""
    outputs = []
    for x_BE in input_TBE.unbind(0):
        for index, (inner, outer, bias) in enumerate(by_round(mogrifier)):
            if index % 2 == 0:
                x_BE = 2 * torch.sigmoid(torch.addmm(bias, h_BH @ inner.t(), outer.t())) * x_BE
            else:
                h_BH = 2 * torch.sigmoid(torch.addmm(bias, x_BE @ inner.t(), outer.t())) * h_BH
        h_BH, c_BH = torch.lstm_cell(x_BE, (h_BH, c_BH), weight_ih, weight_hh, bias_ih, bias_hh)
        outputs.append(h_BH)
    return torch.stack(outputs), c_BH


def by_round(mogrifier: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return the matrices [K, read], [gated, K] and the bias of each round."""
    return list(zip(mogrifier[::3], mogrifier[1::3], mogrifier[2::3], strict=True))


_through_sigmoid = torch.ops.aten.sigmoid_backward  # (d_y, y) -> d_y * y * (1 - y), in one pass over memory
_through_tanh = torch.ops.aten.tanh_backward  # (d_y, y) -> d_y * (1 - y^2)


class _Round:
    """One round at all time steps: its weights, what it reads, what it gates, and the result, [T, B, ...] each."""

    def __init__(self, weights: Sequence[Tensor], read: Tensor, gated: Tensor, result: Tensor) -> None:
        self.inner, self.outer, self.bias = weights
        self.read, self.gated, self.result = read, gated, result
        self.low_TBK, self.sigmoid = read.new_empty(*read.shape[:2], len(self.inner)), torch.empty_like(gated)
        self.zero = read.new_zeros(())

    def step(self, t: int) -> None:
        """Compute the result at a time step."""
        torch.mm(self.read[t], self.inner.t(), out=self.low_TBK[t])
        torch.addmm(self.bias, self.low_TBK[t], self.outer.t(), out=self.sigmoid[t]).sigmoid_()
        torch.addcmul(self.zero, self.sigmoid[t], self.gated[t], value=2, out=self.result[t])

    def prepare_backward(self) -> None:
        """Compute what the steps back in time multiply by."""
        self.d_a, self.factor = self.result * (1 - self.sigmoid), 2 * self.sigmoid
        self.d_low_TBK = torch.empty_like(self.low_TBK)

    def step_back(self, t: int, d_read: Tensor, d_gated: Tensor) -> None:
        """Turn the gradient of the result into that of what is gated, and add to that of what is read."""
        torch.mm(self.d_a[t].mul_(d_gated), self.outer, out=self.d_low_TBK[t])
        d_gated.mul_(self.factor[t])
        d_read.addmm_(self.d_low_TBK[t], self.inner)

    def weight_gradients(self) -> list[Tensor]:
        """Return those of its three weights."""
        d_inner, d_outer = _sum_of_products(self.d_low_TBK, self.read), _sum_of_products(self.d_a, self.low_TBK)
        return [d_inner, d_outer, self.d_a.sum((0, 1))]


def _make_rounds(mogrifier: Sequence[Tensor], x_TBE: Tensor, h_TBH: Tensor) -> tuple[list[_Round], Tensor, Tensor]:
    """Return the rounds, and what the LSTM reads after them: x and h."""
    read_and_gated, rounds = [h_TBH, x_TBE], []
    for weights in by_round(mogrifier):
        read, gated = read_and_gated
        rounds.append(_Round(weights, read, gated, torch.empty_like(gated)))
        read_and_gated = [rounds[-1].result, read]
    last_h, last_x = read_and_gated if len(rounds) % 2 == 0 else reversed(read_and_gated)
    return rounds, last_x, last_h


class _ThroughTime(torch.autograd.Function):
    @staticmethod
    # Under autocast, float32 in and float32 inside.
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any,
        x_TBE: Tensor,
        h0_BH: Tensor,
        c0_BH: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        *mogrifier: Tensor,
    ) -> tuple[Tensor, Tensor]:
        (T, B, E), H = x_TBE.shape, h0_BH.shape[1]
        weight, bias = to_matmul_dtype(torch.cat([weight_ih, weight_hh], 1)), bias_ih + bias_hh
        h, c = (state_BH.new_empty(T + 1, B, H) for state_BH in (h0_BH, c0_BH))  # before the first step, after each
        h[0], c[0] = h0_BH, c0_BH
        gates, xh = x_TBE.new_empty(T, B, 4 * H), x_TBE.new_empty(T, B, E + H, dtype=weight.dtype)
        rounds, last_x, last_h = _make_rounds(mogrifier, x_TBE, h[:-1])
        for t in range(T):
            for one in rounds:
                one.step(t)
            xh[t, :, :E], xh[t, :, E:] = last_x[t], last_h[t]
            torch.add(bias, xh[t] @ weight.t(), out=gates[t])
            i, f, g, o = gates[t].view(B, 4, H).unbind(1)
            gates[t, :, : 2 * H].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            torch.mul(f, c[t], out=c[t + 1]).addcmul_(i, g)
            torch.mul(o, c[t + 1].tanh(), out=h[t + 1])
        ctx.save_for_backward(weight, gates, xh, c)
        ctx.rounds = rounds
        return h[1:], c[-1].clone()

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, d_output_TBH: Tensor, d_last_c_BH: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        weight, gates, xh, c = ctx.saved_tensors
        (T, B, H), E = d_output_TBH.shape, xh.shape[2] - d_output_TBH.shape[2]
        slope_c, d_gates = _slopes(gates, c)  # a row of d_gates holds slopes until its step multiplies them
        for one in ctx.rounds:
            one.prepare_backward()
        d_x_TBE, d_h, d_c = gates.new_empty(T, B, E), torch.zeros_like(d_last_c_BH), d_last_c_BH.clone()
        for t in reversed(range(T)):
            d_h = d_h + d_output_TBH[t]
            d_c.addcmul_(d_h, slope_c[t])
            d_gates[t, :, :-H].view(B, 3, H).mul_(d_c[:, None])
            d_gates[t, :, -H:].mul_(d_h)
            d_c.mul_(gates[t, :, H : 2 * H])
            d_xh = (d_gates[t].to(weight.dtype) @ weight).to(c.dtype)
            d_x, d_h = d_xh[:, :E], d_xh[:, E:]
            for index, one in reversed(list(enumerate(ctx.rounds))):
                one.step_back(t, *((d_h, d_x) if index % 2 == 0 else (d_x, d_h)))
            d_x_TBE[t] = d_x
        d_weight_ih, d_weight_hh = (_sum_of_products(d_gates, part) for part in (xh[..., :E], xh[..., E:]))
        d_bias, of_rounds = d_gates.sum((0, 1)), [d for one in ctx.rounds for d in one.weight_gradients()]
        return d_x_TBE, d_h, d_c, d_weight_ih, d_weight_hh, d_bias, d_bias.clone(), *of_rounds


def _slopes(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factor of d_h in d_c, and, stacked, those of d_c in the gradients of i, f, g and of d_h in that of o.

    The gradients are those of the arguments of the gates' nonlinearities.
    """
    (i, f, g, o), slopes = gates.chunk(4, 2), torch.empty_like(gates)
    slope_i, slope_f, slope_g, slope_o = slopes.chunk(4, 2)
    tanh_c = c[1:].tanh()
    _through_sigmoid(g, i, grad_input=slope_i)
    _through_sigmoid(c[:-1], f, grad_input=slope_f)
    _through_tanh(i, g, grad_input=slope_g)
    _through_sigmoid(tanh_c, o, grad_input=slope_o)
    return _through_tanh(o, tanh_c), slopes


def _sum_of_products(d_TBO: Tensor, input_TBI: Tensor) -> Tensor:
    """Return the gradient [O, I] of a matrix, given those of its products with the inputs."""
    factor = to_matmul_dtype(input_TBI.flatten(0, 1))
    return (d_TBO.flatten(0, 1).to(factor.dtype).t() @ factor).to(d_TBO.dtype)
