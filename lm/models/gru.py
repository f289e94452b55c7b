"""A GRU whose gradients through time are written out, instead of recorded operation by operation.

With x the input at time t, h the state before it and h' the state after it (biases left out),

    r = sigmoid(W_xr x + W_hr h)            reset gate: how much of the old state the candidate sees
    z = sigmoid(W_xz x + W_hz h)            update gate: how much of the old state is kept
    q = W_hg h
    g = tanh(W_xg x + r * q)                candidate
    h' = z * h + (1 - z) * g

Write d_y for dE/dy, and a_r, a_z, a_g for the arguments of the three nonlinearities. From h' backwards,

    d_a_g = d_h' * (1 - z) * (1 - g^2)
    d_a_z = d_h' * (h - g) * z * (1 - z)
    d_a_r = d_a_g * q * r * (1 - r)
    d_q   = d_a_g * r

Each is d_h' times a slope that depends on the forward pass alone, so the slopes of all steps are computed at once.
The recursion back in time is only

    d_h = d_h' * z + W_hr^T d_a_r + W_hz^T d_a_z + W_hg^T d_q

and each weight's gradient is one matrix product over all steps: d_W_x = sum d_a x^T, d_W_h = sum (d_a_r, d_a_z, d_q)
h^T.

Shape suffixes: T time, B batch, E embedding (the layer's input), H hidden. Gates are stacked r, z, g, as in
torch.nn.GRU.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lm.models.matmul_precision import to_matmul_dtype


class GRU(nn.GRU):
    """`torch.nn.GRU(input_size, hidden_size)` of one layer with the gradients above on a CPU.

    On other devices it is PyTorch's own, because cuDNN computes all steps at once, and so it is with weights narrower
    than float32, in which the differences here would lose digits. It is differentiable once.
    """

    def forward(  # type: ignore[override]
        self, input_TBE: Tensor, state_1BH: Tensor | None = None, weights: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states after each step, [T, B, H], and the last of them, [1, B, H]; see `lm.models.cells`."""
        weights = list(weights or self.all_weights[0])
        if state_1BH is None:
            state_1BH = input_TBE.new_zeros(1, input_TBE.shape[1], self.hidden_size)
        if input_TBE.device.type != "cpu" or weights[0].dtype.itemsize < 4:
            options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)
            return torch.gru(input_TBE, state_1BH, weights, *options)
        output_TBH: Tensor = _ThroughTime.apply(input_TBE, state_1BH[0], *weights)  # type: ignore[no-untyped-call]
        return output_TBH, output_TBH[-1:]


_through_sigmoid = torch.ops.aten.sigmoid_backward  # (d_y, y) -> d_y * y * (1 - y), in one pass over memory
_through_tanh = torch.ops.aten.tanh_backward  # (d_y, y) -> d_y * (1 - y^2)


def _slopes(r: Tensor, z: Tensor, q: Tensor, g: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors of d_h' in d_a_r, d_a_z and d_q, stacked, and in d_a_g."""
    slope_g = _through_tanh(1 - z, g)
    slopes_rzq = h.new_empty(*h.shape[:-1], 3, h.shape[-1])
    _through_sigmoid(slope_g * q, r, grad_input=slopes_rzq[..., 0, :])
    _through_sigmoid(h - g, z, grad_input=slopes_rzq[..., 1, :])
    torch.mul(slope_g, r, out=slopes_rzq[..., 2, :])
    return slopes_rzq, slope_g


def immediate_gradients(
    d_next_BH: Tensor, x_BE: Tensor, h_BH: Tensor, weight_x: Tensor, weight_h: Tensor
) -> dict[str, Tensor]:
    """Return one time step's derivatives of the error in the six matrices, with the state before the step held fixed.

    The full derivative also contains the path through that state. There are no biases here.

    Args:
        d_next_BH: dE/dh', the derivative of the error in the state after the step.
        x_BE: the input of the step.
        h_BH: the state before the step.
        weight_x: W_xr, W_xz and W_xg stacked, [3H, E], as torch.nn.GRU's weight_ih_l0.
        weight_h: W_hr, W_hz and W_hg stacked, [3H, H], as torch.nn.GRU's weight_hh_l0.

    Returns:
        The sums over the batch, named W_xz, W_hz, W_xg, W_hg, W_xr, W_hr: [H, E] for x and [H, H] for h.
    """
    x_r, x_z, x_g = (x_BE @ weight_x.t()).chunk(3, dim=1)
    h_r, h_z, q = (h_BH @ weight_h.t()).chunk(3, dim=1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    g = torch.tanh(x_g + r * q)
    slopes_rzq, slope_g = _slopes(r, z, q, g, h_BH)
    d_a_r, d_a_z, d_q = (d_next_BH[:, None] * slopes_rzq).unbind(1)
    d_a_g = d_next_BH * slope_g
    return {
        "W_xz": d_a_z.t() @ x_BE,
        "W_hz": d_a_z.t() @ h_BH,
        "W_xg": d_a_g.t() @ x_BE,
        "W_hg": d_q.t() @ h_BH,
        "W_xr": d_a_r.t() @ x_BE,
        "W_hr": d_a_r.t() @ h_BH,
    }


class _ThroughTime(torch.autograd.Function):
    @staticmethod
    # Under autocast, float32 in and float32 inside.
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # type: ignore[untyped-decorator]
    def forward(
        ctx: Any, x_TBE: Tensor, h0_BH: Tensor, weight_x: Tensor, weight_h: Tensor, bias_x: Tensor, bias_h: Tensor
    ) -> Tensor:
        (T, B, E), H = x_TBE.shape, h0_BH.shape[1]
        x_factor, weight_x = to_matmul_dtype(x_TBE.reshape(T * B, E)), to_matmul_dtype(weight_x)
        # A row of `gates` holds what does not depend on the state; its step replaces that by r, z and q.
        gates = (x_factor @ weight_x.t()).to(h0_BH.dtype).view(T, B, 3 * H)
        rz, (r, z, q) = gates[..., : 2 * H], gates.view(T, B, 3, H).unbind(2)
        g = (q + bias_x[2 * H :]).mul_(2)
        minus_one = g.new_tensor(-1)
        rz += (bias_x + bias_h)[: 2 * H]
        q.copy_(bias_h[2 * H :])
        h = h0_BH.new_empty(T + 1, B, H)  # before the first step, and after each
        h[0] = h0_BH
        for gates_t, rz_t, r_t, z_t, q_t, g_t, h_t, next_t in zip(gates, rz, r, z, q, g, h, h[1:], strict=False):
            gates_t.addmm_(h_t, weight_h.t())
            rz_t.sigmoid_()
            # tanh(a) = 2 sigmoid(2 a) - 1, exact to 2e-7: PyTorch's sigmoid takes a quarter of the time of its tanh.
            torch.add(minus_one, g_t.addcmul_(r_t, q_t, value=2).sigmoid_(), alpha=2, out=g_t)
            torch.lerp(g_t, h_t, z_t, out=next_t)
        ctx.save_for_backward(x_factor, weight_x, weight_h, gates, g, h)
        return h[1:]

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, d_output_TBH: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        x_factor, weight_x, weight_h, gates, g, h = ctx.saved_tensors
        (T, B, H), E = d_output_TBH.shape, x_factor.shape[1]
        r, z, q = gates.view(T, B, 3, H).unbind(2)
        slopes_rzq, slope_g = _slopes(r, z, q, g, h[:-1])
        d_a = torch.empty_like(slopes_rzq)  # d_a_r, d_a_z, d_q
        # Row t is of the state before step t: at first the gradient of the outputs, then also that of the later steps.
        d_h = torch.cat([torch.zeros_like(h[:1]), d_output_TBH])
        steps = zip(d_h, d_h[1:], z, slopes_rzq, d_a, strict=False)
        for d_h_t, d_next_t, z_t, slopes_t, d_a_t in reversed(list(steps)):
            torch.mul(d_next_t[:, None], slopes_t, out=d_a_t)
            d_h_t.addcmul_(d_next_t, z_t).addmm_(d_a_t.view(B, 3 * H), weight_h)
        d_a_rows = d_a.view(T * B, 3 * H)
        d_a_factor, h_factor = d_a_rows.to(x_factor.dtype), h[:-1].view(T * B, H).to(x_factor.dtype)
        d_weight_h, d_bias_h = (d_a_factor.t() @ h_factor).to(h.dtype), d_a_rows.sum(0)
        torch.mul(d_h[1:], slope_g, out=d_a[:, :, 2])  # from d_q to d_a_g
        d_a_factor = d_a_rows.to(x_factor.dtype)
        d_weight_x, d_bias_x = (d_a_factor.t() @ x_factor).to(h.dtype), d_a_rows.sum(0)
        d_x = (d_a_factor @ weight_x).to(h.dtype).view(T, B, E)
        return d_x, d_h[0], d_weight_x, d_weight_h, d_bias_x, d_bias_h
