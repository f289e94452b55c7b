"""Length conditioning: a model that predicts how long a sentence is, and generates it given that length.

A sentence of n words is generated in two stages, by P(sentence) = P(n) * P(words | n):

1. The length. The network reads the sentence so far, with the embedding of `UNCONDITIONED` added to that of each word.
   A head on its hidden state gives the distribution of the number of words still to come.
2. The words. The same network reads them again, now with the embedding of the number of remaining words added to each.

Lengths from `MAX_LENGTH` on share one class and one embedding. Within that class each further word has half of the
probability that is left, so that all lengths together have 1, and -log P(n) - log P(words | n) is the sentence's nats.

Shape suffixes: T time, B batch, E embedding, H hidden, C = MAX_LENGTH + 1 classes, N = T * B.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LENGTH = 100
UNCONDITIONED = -1


class LengthConditioning(nn.Module):
    """The table of length embeddings and the head that predicts lengths.

    Args:
        embedding_size: E.
        hidden_size: H.
    """

    def __init__(self, embedding_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(MAX_LENGTH + 2, embedding_size)  # the last row is that of `UNCONDITIONED`
        self.head = nn.Linear(hidden_size, MAX_LENGTH + 1)

    def embed(self, remaining_TB: Tensor) -> Tensor:
        """Return the embeddings, [T, B, E], of the numbers of remaining words, or of `UNCONDITIONED`."""
        rows_TB = torch.where(remaining_TB == UNCONDITIONED, MAX_LENGTH + 1, remaining_TB.clamp(max=MAX_LENGTH))
        embedded_TBE: Tensor = self.embedding(rows_TB)
        return embedded_TBE

    def nats(self, hidden_TBH: Tensor, remaining_TB: Tensor) -> Tensor:
        """Return -log P(n), [T, B] in nats, of the true numbers of remaining words.

        Args:
            hidden_TBH: hidden states of the unconditioned network.
            remaining_TB: the true numbers, none of them `UNCONDITIONED`.
        """
        classes_N = remaining_TB.clamp(max=MAX_LENGTH).flatten()
        logits_NC = self.head(hidden_TBH).flatten(0, 1)
        nats_N = F.cross_entropy(
            logits_NC.to(torch.promote_types(logits_NC.dtype, torch.float32)), classes_N, reduction="none"
        )
        return nats_N.view(remaining_TB.shape) + (remaining_TB - MAX_LENGTH + 1).clamp(min=0) * math.log(2)

    def log_probabilities(self, hidden_BH: Tensor) -> Tensor:
        """Return the log-probabilities, [B, C], that 0, 1, ..., or at least `MAX_LENGTH` words remain."""
        logits_BC: Tensor = self.head(hidden_BH)
        return logits_BC.log_softmax(dim=1)
