"""An LSTM by PyTorch's own kernels, with bf16 matrix multiplication where it is allowed.

Shape suffixes: T time, B batch, E embedding (the layer's input), H hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lm.models.matmul_precision import to_matmul_dtype


class LSTM(nn.LSTM):
    """`torch.nn.LSTM(input_size, hidden_size)` of one layer.

    With bf16 (`lm.models.matmul_precision`) its outputs are rounded to bfloat16, because the next step reads
    them. The cell state is carried from call to call in float32.
    """

    def forward(  # type: ignore[override]
        self,
        input_TBE: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
        weights: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the states after each step, [T, B, H], and the last (h, c), [1, B, H] each; see `lm.models.cells`."""
        h, c = state or 2 * (input_TBE.new_zeros(1, input_TBE.shape[1], self.hidden_size),)
        factors = [to_matmul_dtype(weight) for weight in weights or self.all_weights[0]]
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first)
        output_TBH, h, c = torch.lstm(to_matmul_dtype(input_TBE), (to_matmul_dtype(h), c), factors, *options)
        return output_TBH.to(c.dtype), (h.to(c.dtype), c)
