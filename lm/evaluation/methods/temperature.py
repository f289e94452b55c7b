"""Temperature: the logits are divided by a number before the softmax (Guo et al. 2017, arXiv:1706.04599).

    p(w) = softmax(logits / temperature)[w]

Below 1 likely words become likelier, as in `lm.generate`. Papers that multiply the logits use its inverse.

Shapes: T time, B batch, H hidden, V vocabulary, C tokens of one chunk, K temperatures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lm.checks import check_number
from lm.data.bptt import IGNORE_INDEX
from lm.evaluation.methods.method import Method, Wrapper
from lm.models.language_model import LanguageModel
from lm.models.linear_cross_entropy import MAX_LOGITS


@dataclass
class Temperature(Wrapper):
    """Divides the logits of another method by the temperature."""

    name = "temperature"
    grid: ClassVar = {"temperature": (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2)}

    inner: Method
    temperature: Annotated[float, partial(check_number, example=1.1, least=0.01, most=100)]

    def __post_init__(self) -> None:
        super().__init__(self.inner.at([self.temperature]))


def target_nats(
    model: LanguageModel, hidden_TBH: Tensor, targets_TB: Tensor, temperatures: Sequence[float] = (1.0,)
) -> Tensor:
    """Return the negative log-probability of every target, [T, B], zero for `IGNORE_INDEX`.

    With several temperatures there is one row for each, [K, T, B]. It computes `MAX_LOGITS` logits at a time.
    """
    hidden_NH, targets_N = hidden_TBH.flatten(0, 1), targets_TB.flatten()
    if list(temperatures) == [1.0]:  # for which an adaptive softmax needs few of the logits
        return model.decoder.token_nats(hidden_NH, targets_N).view(targets_TB.shape)
    rows = max(1, MAX_LOGITS // model.vocabulary_size)
    chunks = zip(torch.split(hidden_NH, rows), torch.split(targets_N, rows), strict=True)
    nats_KN = torch.cat([_chunk_nats(model.decoder(hidden), targets, temperatures) for hidden, targets in chunks], 1)
    return nats_KN.view(targets_TB.shape if len(temperatures) == 1 else (-1, *targets_TB.shape))


def _chunk_nats(logits_CV: Tensor, targets_C: Tensor, temperatures: Sequence[float]) -> Tensor:
    divided = (logits_CV if temperature == 1 else logits_CV / temperature for temperature in temperatures)
    return torch.stack([F.cross_entropy(z, targets_C, reduction="none", ignore_index=IGNORE_INDEX) for z in divided])
