"""The language model that one writes from PyTorch's documentation: the benchmark's baseline.

It has the options of `LanguageModel` that define its shape, and `dropout`. A cell that PyTorch lacks is this project's.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lm.config import Config
from lm.models.cells import get_cell
from lm.models.language_model import LanguageModel, State
from lm.models.softmax import AdaptiveSoftmax, FullSoftmax


class LayerStack(nn.Module):
    """Recurrent layers one after the other, with dropout between them, like `torch.nn.LSTM` with several layers."""

    def __init__(self, layers: Sequence[nn.Module], dropout: float) -> None:
        super().__init__()
        self.layers, self.dropout = nn.ModuleList(layers), nn.Dropout(dropout)

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights of each layer."""
        layers: Any = self.layers
        return [layer.all_weights[0] for layer in layers]

    def forward(self, hidden_TBH: Tensor, states: Sequence[State] | None) -> tuple[Tensor, list[State]]:
        """Return the outputs of the last layer, and the state of each."""
        new_states = []
        for index, layer in enumerate(self.layers):
            hidden_TBH = self.dropout(hidden_TBH) if index else hidden_TBH
            hidden_TBH, state = layer(hidden_TBH, states[index] if states else None)
            new_states.append(state)
        return hidden_TBH, new_states


class BaselineModel(nn.Module):
    """The language model in PyTorch's own modules, with the initial weights of this project's model."""

    def __init__(self, vocabulary_size: int, config: Config) -> None:
        super().__init__()
        torch.manual_seed(config.seed)
        model = LanguageModel(vocabulary_size, **config.model_arguments())
        self.embedding = nn.Embedding(vocabulary_size, config.embedding_size)
        self.dropout = nn.Dropout(config.dropout)
        self.rnn: Any = _make_stack(config)
        self.projection = model.projection
        self.decoder = _make_decoder(model.decoder)
        if config.tie_weights:
            self.decoder.weight = self.embedding.weight
        self._copy_weights(model)

    @torch.no_grad()
    def _copy_weights(self, model: LanguageModel) -> None:
        self.embedding.load_state_dict(model.embedding.state_dict())
        rnns: Any = model.rnns
        for weights, rnn in zip(self.rnn.all_weights, rnns, strict=True):
            for weight, value in zip(weights, rnn.all_weights[0], strict=True):
                weight.copy_(value)

    def forward(self, tokens_TB: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the hidden states that the decoder reads, and the state after the last token."""
        hidden_TBH, state = self.rnn(self.dropout(self.embedding(tokens_TB)), state)
        return self.projection(self.dropout(hidden_TBH)), state

    def total_nats(self, hidden_TBH: Tensor, targets_TB: Tensor) -> Tensor:
        """Return the summed nats of the targets, a scalar."""
        hidden_NH, targets_N = hidden_TBH.flatten(0, 1), targets_TB.flatten()
        if isinstance(self.decoder, nn.AdaptiveLogSoftmaxWithLoss):
            nats: Tensor = -self.decoder(hidden_NH, targets_N).output.sum()
            return nats
        return F.cross_entropy(self.decoder(hidden_NH), targets_N, reduction="sum")


def _make_decoder(decoder: FullSoftmax | AdaptiveSoftmax) -> Any:
    """Return PyTorch's own module with the same weights."""
    if isinstance(decoder, AdaptiveSoftmax):
        return deepcopy(decoder.softmax)
    linear = nn.Linear(decoder.in_features, decoder.out_features)
    linear.load_state_dict(decoder.state_dict())
    return linear


def _make_stack(config: Config) -> nn.Module:
    cell, in_pytorch = get_cell(config.cell), get_cell(config.cell).reference_class is not None
    between_layers = config.dropout if config.num_layers > 1 else 0.0
    if in_pytorch and config.last_hidden_size == config.hidden_size:
        return cell.reference(config.embedding_size, config.hidden_size, config.num_layers, between_layers)
    make = partial(cell.reference, num_layers=1, dropout=0.0) if in_pytorch else cell.layer
    sizes = [config.embedding_size, *[config.hidden_size] * (config.num_layers - 1), config.last_hidden_size]
    return LayerStack([make(*pair) for pair in pairwise(sizes)], between_layers)
