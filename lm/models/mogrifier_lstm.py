"""The Mogrifier LSTM (Melis, Kocisky and Blunsom, 2020, arXiv:1909.01792).

Before each step of an LSTM, its input x and its state h gate each other in turns, x first:

    x <- 2 sigmoid(Q h + b) * x        rounds 1, 3, 5
    h <- 2 sigmoid(R x + b) * h        rounds 2, 4

Each round has a matrix of its own, a product of two of low rank. The cell state is not gated.

Shape suffixes: T time, B batch, E embedding (the layer's input), H hidden, K rank.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MogrifierLSTM(nn.Module):
    """An LSTM layer with the rounds above, in float32: each round waits for the one before.

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
        weight_ih, weight_hh, bias_ih, bias_hh, *mogrifier = weights or self.all_weights[0]
        h_1BH, c_1BH = state or 2 * (input_TBE.new_zeros(1, input_TBE.shape[1], self.hidden_size),)
        h_BH, c_BH, outputs = h_1BH[0], c_1BH[0], []
        for x_BE in input_TBE.unbind(0):
            x_BE, h_BH = mogrify(x_BE, h_BH, mogrifier)
            h_BH, c_BH = torch.lstm_cell(x_BE, (h_BH, c_BH), weight_ih, weight_hh, bias_ih, bias_hh)
            outputs.append(h_BH)
        return torch.stack(outputs), (h_BH[None], c_BH[None])


def mogrify(x_BE: Tensor, h_BH: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the input and the state after all rounds; each round has three weights."""
    rounds = zip(weights[::3], weights[1::3], weights[2::3], strict=True)
    for index, (inner, outer, bias) in enumerate(rounds):
        if index % 2 == 0:
            x_BE = 2 * torch.sigmoid(torch.addmm(bias, h_BH @ inner.t(), outer.t())) * x_BE
        else:
            h_BH = 2 * torch.sigmoid(torch.addmm(bias, x_BE @ inner.t(), outer.t())) * h_BH
    return x_BE, h_BH
