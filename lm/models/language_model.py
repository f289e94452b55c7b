"""The regularised recurrent language model of Zaremba, Sutskever and Vinyals (2014, arXiv:1409.2329).

    ids -> embedding -> dropout -> rnn 1 -> dropout -> ... -> rnn L -> dropout -> decoder -> logits -> nats

Dropout is applied on the arrows drawn here, never on the recurrent ones (their figure 2). Merity, Keskar and Socher
(2017, arXiv:1708.02182) also drop whole words and recurrent weights (`lm/models/dropout.py`). With length conditioning
the embedding of the number of remaining words is added to that of each word (`lm/models/length_conditioning.py`).

Shape suffixes: T time, B batch, E embedding, H hidden, V vocabulary, N = T * B.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lm.data.bptt import IGNORE_INDEX
from lm.data.sentences import SentenceBatch, right_pad
from lm.models.cells import get_cell
from lm.models.dropout import DROPOUT_TYPES, EmbeddingDropout, WeightDropout
from lm.models.length_conditioning import UNCONDITIONED, LengthConditioning
from lm.models.parameter_count import BIASES
from lm.models.softmax import AdaptiveSoftmax, FullSoftmax

State = Any
"""A layer's state, as its cell defines it: h [1, B, H], or the pair (h, c) for the LSTM. None stands for zeros."""


class SentenceLoss(NamedTuple):
    """Summed nats of a batch of sentences, as scalars.

    `words` is of the words and ends, given the lengths if the model is conditioned on them. `lengths` is of the lengths
    predicted before the first word, `length_auxiliary` of those predicted before every word, the n-th weighted by 1/n;
    both are zero without length conditioning.
    """

    words: Tensor
    lengths: Tensor
    length_auxiliary: Tensor


class LanguageModel(nn.Module):
    """Predicts each next word of a text from those before it.

    Args:
        vocabulary_size: V.
        cell: a name in `lm.models.cells.CELLS`.
        embedding_size: E.
        hidden_size: H of every layer but the last.
        last_hidden_size: H of the last layer; None: `hidden_size`.
        num_layers: the number of recurrent layers, one or more.
        dropout: the probability of dropping a non-recurrent connection in training.
        dropout_type: a name in `lm.models.dropout.DROPOUT_TYPES`.
        input_dropout: the probability between the embedding and the first layer; None: `dropout`.
        hidden_dropout: that between layers; None: `dropout`.
        output_dropout: that between the last layer and the decoder; None: `dropout`.
        embedding_dropout: the probability of dropping a word of the vocabulary from a window in training.
        weight_dropout: the probability of dropping a weight of a hidden-hidden matrix from a window in training.
        init_range: every parameter starts uniform in ±`init_range`.
        recurrent_init_range: the same for those of the recurrent layers; None: `init_range`.
        tie_weights: use the embedding's matrix for the decoder, too. If E is not the last layer's H, a matrix projects
            its hidden states to E (Melis et al., 2018, arXiv:1707.05589).
        length_conditioning: condition the model on the number of remaining words, and let it predict that number.
        softmax: "full", or "adaptive" for a large vocabulary, which cannot be tied (`lm/models/softmax.py`).
        cutoffs: the first id of each cluster of the adaptive softmax; None: those of `lm.models.cutoffs`.

    Raises:
        ValueError: if no cell has that name, or a cutoff is not below V.
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: str = "lstm",
        embedding_size: int = 200,
        hidden_size: int = 200,
        num_layers: int = 2,
        dropout: float = 0.0,
        init_range: float = 0.1,
        tie_weights: bool = False,
        length_conditioning: bool = False,
        last_hidden_size: int | None = None,
        dropout_type: str = "standard",
        input_dropout: float | None = None,
        hidden_dropout: float | None = None,
        output_dropout: float | None = None,
        embedding_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        recurrent_init_range: float | None = None,
        softmax: str = "full",
        cutoffs: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        last_size = last_hidden_size or hidden_size
        sizes = [embedding_size] + [hidden_size] * (num_layers - 1) + [last_size]
        self.rnns = nn.ModuleList(get_cell(cell).layer(*pair) for pair in pairwise(sizes))
        self.embedding_dropout, self.weight_dropout = EmbeddingDropout(embedding_dropout), WeightDropout(weight_dropout)
        self.input_dropout, self.hidden_dropout, self.output_dropout = (
            DROPOUT_TYPES[dropout_type](dropout if p is None else p)
            for p in (input_dropout, hidden_dropout, output_dropout)
        )
        decoder_size = embedding_size if tie_weights else last_size
        projected = decoder_size != last_size
        self.projection = nn.Linear(last_size, decoder_size, bias=False) if projected else nn.Identity()
        self.decoder: FullSoftmax | AdaptiveSoftmax = (
            AdaptiveSoftmax(decoder_size, vocabulary_size, cutoffs)
            if softmax == "adaptive"
            else FullSoftmax(decoder_size, vocabulary_size)
        )
        if tie_weights:
            self.decoder.weight = self.embedding.weight
        self.lengths = LengthConditioning(embedding_size, decoder_size) if length_conditioning else None
        for name, parameter in self.named_parameters():
            limit = recurrent_init_range if recurrent_init_range and name.startswith("rnns.") else init_range
            nn.init.uniform_(parameter, -limit, limit)

    @property
    def vocabulary_size(self) -> int:
        """The number of words that the model knows."""
        return self.embedding.num_embeddings

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def forward(
        self, tokens_TB: Tensor, states: Sequence[State] | None = None, remaining_TB: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Return the hidden states that the decoder reads, [T, B, H], and each layer's state after the last word.

        Args:
            tokens_TB: ids.
            states: each layer's state before the first word; None: zeros.
            remaining_TB: for length conditioning, the number of words after each one; None: unconditioned.
        """
        hidden_TBH = self.input_dropout(self._embed(tokens_TB, remaining_TB))
        rnns: Any = self.rnns
        dropouts = [self.hidden_dropout] * (len(rnns) - 1) + [self.output_dropout]
        new_states = []
        for rnn, state, dropout in zip(rnns, states or [None] * len(rnns), dropouts, strict=True):
            hidden_TBH, new_state = run_layer(rnn, hidden_TBH, state, self.weight_dropout(rnn.all_weights[0]))
            hidden_TBH = dropout(hidden_TBH)
            new_states.append(new_state)
        decoded_TBH: Tensor = self.projection(hidden_TBH)
        return decoded_TBH, new_states

    def _embed(self, tokens_TB: Tensor, remaining_TB: Tensor | None) -> Tensor:
        embedded_TBE: Tensor = self.embedding(tokens_TB)
        embedded_TBE = self.embedding_dropout(embedded_TBE, tokens_TB, self.vocabulary_size)
        if self.lengths is None:
            return embedded_TBE
        if remaining_TB is None:
            remaining_TB = torch.full_like(tokens_TB, UNCONDITIONED)
        return embedded_TBE + self.lengths.embed(remaining_TB)

    def logits(
        self, tokens_TB: Tensor, states: Sequence[State] | None = None, remaining_TB: Tensor | None = None
    ) -> tuple[Tensor, list[State]]:
        """Return the unnormalised log-probabilities of each next word, [T, B, V], and the new states."""
        hidden_TBH, new_states = self(tokens_TB, states, remaining_TB)
        return self.decoder(hidden_TBH), new_states

    def total_nats(
        self,
        tokens_TB: Tensor,
        targets_TB: Tensor,
        states: Sequence[State] | None = None,
        remaining_TB: Tensor | None = None,
    ) -> tuple[Tensor, list[State]]:
        """Return the summed negative log-probability of the targets (a scalar, in nats) and the new states.

        Targets that are `IGNORE_INDEX` do not count.
        """
        hidden_TBH, new_states = self(tokens_TB, states, remaining_TB)
        hidden_NH, targets_N = hidden_TBH.flatten(0, 1), targets_TB.flatten()
        if hidden_NH.device.type == "cpu" and not torch.is_grad_enabled():  # selecting would wait for a GPU
            scored_N = targets_N != IGNORE_INDEX
            hidden_NH, targets_N = hidden_NH[scored_N], targets_N[scored_N]
        weights_N = (targets_N != IGNORE_INDEX).to(hidden_NH.dtype)
        return self.decoder.total_nats(hidden_NH, targets_N.clamp(min=0), weights_N), new_states

    def sentence_loss(self, batch: SentenceBatch) -> SentenceLoss:
        """Return the summed nats of sentences padded on either side; each starts with a zero initial hidden state."""
        inputs_TB, targets_TB, remaining_TB = right_pad(batch)
        words, _ = self.total_nats(inputs_TB, targets_TB, remaining_TB=remaining_TB)
        if self.lengths is None:
            return SentenceLoss(words, torch.zeros_like(words), torch.zeros_like(words))
        unconditioned_TBH, _ = self(inputs_TB)
        nats_TB = self.lengths.nats(unconditioned_TBH, remaining_TB) * (targets_TB != IGNORE_INDEX)
        # The weights must not depend on the sentence's length, as in a mean over its words: that favours short ones.
        weights_T = 1 / torch.arange(1, len(nats_TB) + 1, dtype=nats_TB.dtype, device=nats_TB.device)
        return SentenceLoss(words, nats_TB[0].sum(), weights_T @ nats_TB.sum(1))

    def parameter_counts(self, biases: int = BIASES) -> dict[str, int]:
        """Return the number of parameters by part and in total.

        Args:
            biases: 1 counts one bias of each gate, as in textbooks, instead of PyTorch's two.
        """
        counts = Counter[str]()
        for name, parameter in self.named_parameters():  # a tied matrix comes once, as the embedding's
            if biases == BIASES or "bias_hh" not in name:
                counts[name.partition(".")[0].replace("rnns", "recurrent")] += parameter.numel()
        return {**counts, "total": counts.total()}


def run_layer(rnn: nn.Module, input_TBE: Tensor, state: State, weights: Sequence[Tensor]) -> tuple[Tensor, State]:
    """Return the outputs and the state of a recurrent layer, which is not under autocast on a GPU.

    Autocast would run cuDNN's layers in float16, whatever its own precision is, and without scaled gradients.
    """
    if input_TBE.is_cuda and torch.is_autocast_enabled("cuda"):
        with torch.autocast("cuda", enabled=False):
            return run_layer(rnn, input_TBE.to(weights[0].dtype), state, weights)
    output: tuple[Tensor, State] = rnn(input_TBE, state, weights)
    return output


def detach_states(states: Sequence[State]) -> list[State]:
    """Return the states without their history: gradients end at the window's edge."""
    return [tuple(part.detach() for part in s) if isinstance(s, tuple) else s.detach() for s in states]
