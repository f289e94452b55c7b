"""A recurrent cell that a user of the project might add: a minimal gated unit (Zhou et al., 2016, arXiv:1603.09420)."""

import torch
from torch import Tensor, nn

from lm.models.cells import Cell

TOY = Cell("Toy", 2, "tests.toy_cell:ToyLayer")


class ToyLayer(nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        self.bias_ih, self.bias_hh = (nn.Parameter(torch.empty(2 * hidden_size)) for _ in range(2))

    @property
    def all_weights(self) -> list[list[Tensor]]:
        return [list(self.parameters())]

    def forward(self, input_TBE: Tensor, state_1BH: Tensor | None = None, weights=None) -> tuple[Tensor, Tensor]:
        weight_ih, weight_hh, bias_ih, bias_hh = weights or self.all_weights[0]
        h, outputs = input_TBE.new_zeros(input_TBE.shape[1], weight_hh.shape[1]), []
        if state_1BH is not None:
            h = state_1BH[0]
        for x_gates in input_TBE @ weight_ih.t() + bias_ih + bias_hh:
            x_forget, x_candidate = x_gates.chunk(2, dim=-1)
            h_forget, h_candidate = weight_hh.chunk(2)
            forget = torch.sigmoid(x_forget + h @ h_forget.t())
            candidate = torch.tanh(x_candidate + (forget * h) @ h_candidate.t())
            h = (1 - forget) * h + forget * candidate
            outputs.append(h)
        return torch.stack(outputs), h[None]
