"""What a training step costs by count: floating-point operations of its matrix products, bytes that it must move.

A weight of a matrix is multiplied and added once for each token on the way forward, and twice on the way back: for the
gradient of its input, and for its own. That makes 6 operations a weight and token; all that is not a matrix product
(gates, the exponentials of the softmax) is left out.

Bytes are the least that the step of lm.train moves in float32 where no products are. The update reads each gradient for
the norm; then again with its weight, which it writes. On a CPU only the rows of the embedding that were read have one.
"""

import torch

from lm.benchmark.timing import EMBEDDING, RECURRENT, SOFTMAX, UPDATE
from lm.config import Config
from lm.models.language_model import LanguageModel

FLOAT = 4
"""Bytes of a number."""


def model_without_weights(vocabulary_size: int, settings: Config) -> LanguageModel:
    """Return the model as shapes alone, which take no memory."""
    with torch.device("meta"):
        return LanguageModel(vocabulary_size, **settings.model_arguments())


def step_flops(model: LanguageModel, tokens: int) -> dict[str, int]:
    """Return the floating-point operations of a training step in so many tokens, by part."""
    recurrent = sum(weight.numel() for weight in model.rnns.parameters() if weight.dim() == 2)
    return {RECURRENT: 6 * tokens * recurrent, SOFTMAX: 6 * tokens * model.decoder.weight.numel()}


def step_bytes(model: LanguageModel, tokens: int, device: torch.device) -> dict[str, int]:
    """Return the bytes that the other parts of a training step in so many tokens move at the least."""
    rows = tokens * model.embedding.embedding_dim
    sparse = device.type == "cpu" and model.decoder.weight is not model.embedding.weight
    changed = model.parameter_counts()["total"] + (rows - model.embedding.weight.numel() if sparse else 0)
    # A row is read and written forward, its gradient read and written backward.
    return {EMBEDDING: 4 * FLOAT * rows, UPDATE: 4 * FLOAT * changed}
