"""An LSTM by PyTorch's own layer, from bfloat16 factors where the precision allows them."""

import torch
from torch import Tensor, nn

from lm.models.bf16_matmul import uses_bf16


class LSTM(nn.LSTM):
    """`torch.nn.LSTM(input_size, hidden_size)`, with products as `lm.models.bf16_matmul` has them.

    Its outputs are then rounded to bfloat16, too, for they are what the next step's products read; the cell's state is
    carried from call to call in float32.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)

    def forward(  # type: ignore[override]
        self, input_TBE: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the states after each step, [T, B, H], and the pair (h, c) of the last of them, [1, B, H] each.

        Args:
            input_TBE: at least one step of input.
            state: (h, c) before the first step; zeros if left out.
        """
        if not uses_bf16(input_TBE):
            return super().forward(input_TBE, state)
        if state is None:
            state = 2 * (input_TBE.new_zeros(1, input_TBE.shape[1], self.hidden_size),)
        (h, c), weights = state, [weight.bfloat16() for weight in self.parameters()]
        # After the weights: with biases, one layer, no dropout, whether to train, not both directions, not batch first.
        output_TBH, h, c = torch.lstm(
            input_TBE.bfloat16(), (h.bfloat16(), c), weights, True, 1, 0.0, self.training, False, False
        )
        return output_TBH.float(), (h.float(), c)
