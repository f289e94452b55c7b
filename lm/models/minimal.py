"""The minimal GRU and LSTM of Feng et al. (2024, arXiv:2410.01201), whose gates do not read the previous state.

With x the input at time t, h the state before it and h' the state after it (biases left out),

    minGRU:     z = sigmoid(W_z x)                                  h' = (1 - z) * h + z * (W_h x)
    minLSTM:    f = sigmoid(W_f x),  i = sigmoid(W_i x)             h' = f / (f + i) * h + i / (f + i) * (W_h x)

So one matrix product gives the gates of all time steps, and a parallel scan all states (`lm.models.scan`). These are
the forms of the paper's section 3. The candidate has no nonlinearity, and there is no hidden-hidden matrix.

Shape suffixes: T time, B batch, E embedding (the layer's input), H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lm.models.matmul_precision import to_matmul_dtype
from lm.models.scan import linear_recurrence


class MinimalRNN(nn.Module):
    """A layer of `gates` input-hidden matrices, the candidate's last.

    Args:
        input_size: E.
        hidden_size: H.
        gates: 2 for the minGRU, 3 for the minLSTM.
    """

    def __init__(self, input_size: int, hidden_size: int, gates: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.gates = input_size, hidden_size, gates
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden_size, input_size))
        self.bias_ih = nn.Parameter(torch.empty(gates * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The input-hidden matrix and its bias."""
        return [[self.weight_ih, self.bias_ih]]

    def forward(
        self, input_TBE: Tensor, state_1BH: Tensor | None = None, weights: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states after each step, [T, B, H], and the last of them, [1, B, H]; see `lm.models.cells`."""
        weight_ih, bias_ih = weights or self.all_weights[0]
        if state_1BH is None:
            state_1BH = input_TBE.new_zeros(1, input_TBE.shape[1], self.hidden_size)
        product = to_matmul_dtype(input_TBE) @ to_matmul_dtype(weight_ih).t()
        *gates, candidate_TBH = (product.to(input_TBE.dtype) + bias_ih).chunk(self.gates, dim=2)
        kept_TBH = self._kept(*gates)
        output_TBH = linear_recurrence(kept_TBH, (1 - kept_TBH) * candidate_TBH, state_1BH[0])
        return output_TBH, output_TBH[-1:]

    def _kept(self, *gates: Tensor) -> Tensor:
        """Return how much of the old state is kept, given the arguments of the sigmoids."""
        if len(gates) == 1:
            return torch.sigmoid(-gates[0])
        forget_TBH, input_TBH = gates
        # f / (f + i) = sigmoid(log f - log i), which is defined if both round to zero.
        return torch.sigmoid(softplus(-input_TBH) - softplus(-forget_TBH))
