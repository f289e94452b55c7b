"""Elman networks: h' = f(W_x x + b_x + W_h h + b_h), where f is tanh or ReLU.

Shape suffixes: T time, B batch, E embedding (the layer's input), H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class RNN(nn.RNN):
    """`torch.nn.RNN(input_size, hidden_size, nonlinearity=...)` of one layer."""

    def forward(  # type: ignore[override]
        self, input_TBE: Tensor, state_1BH: Tensor | None = None, weights: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states after each step, [T, B, H], and the last of them, [1, B, H]; see `lm.models.cells`."""
        if state_1BH is None:
            state_1BH = input_TBE.new_zeros(1, input_TBE.shape[1], self.hidden_size)
        run = torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)
        return run(input_TBE, state_1BH, list(weights or self.all_weights[0]), *options)
