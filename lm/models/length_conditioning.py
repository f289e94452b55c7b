"""How long a sentence is to be: told to a model word by word, and predicted by it.

A sentence of n words is written in two stages, by P(sentence) = P(n) * P(words | n):

1. A length is predicted. The network reads what there is of the sentence, with an embedding for "not told" added to
   that of each word, and a head on its hidden state gives the distribution of the number of words still to come.
2. The words are written. The same network reads them again, now with the embedding of that number added to each.

Numbers from `MAX_LENGTH` on share a class and an embedding; in that class each further word has half of the probability that
is left, so that all lengths together have 1, and -log P(n) - log P(words | n) is what the sentence costs.

Shapes: T time, B sentences, E embedding, H hidden, C = MOST + 1 classes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LENGTH = 100
UNCONDITIONED = -1


class LengthConditioning(nn.Module):
    """The two embeddings' table and the head.

    Args:
        embedding_size: E.
        hidden_size: H.
    """

    def __init__(self, embedding_size: int, hidden_size: int) -> None:
        super().__init__()
        self.told = nn.Embedding(MAX_LENGTH + 2, embedding_size)  # 0 to MOST words, and UNCONDITIONED as the last row
        self.head = nn.Linear(hidden_size, MAX_LENGTH + 1)

    def embed(self, remaining_TB: Tensor) -> Tensor:
        """Return what is added to the words' embeddings, [T, B, E], by how many are left, or `UNCONDITIONED`."""
        embedded_TBE: Tensor = self.told(
            torch.where(remaining_TB == UNCONDITIONED, MAX_LENGTH + 1, remaining_TB.clamp(max=MAX_LENGTH))
        )
        return embedded_TBE

    def nats(self, hidden_TBH: Tensor, remaining_TB: Tensor) -> Tensor:
        """Return -log P(n), [T, B] in nats, of the numbers of words that are left, none of them `UNCONDITIONED`.

        Args:
            hidden_TBH: of the network that was not told.
            remaining_TB: the true numbers.
        """
        classes_N = remaining_TB.clamp(max=MAX_LENGTH).flatten()
        nats_N = F.cross_entropy(self.head(hidden_TBH).flatten(0, 1), classes_N, reduction="none")
        return nats_N.view(remaining_TB.shape) + (remaining_TB - MAX_LENGTH + 1).clamp(min=0) * math.log(2)

    def log_probabilities(self, hidden_BH: Tensor) -> Tensor:
        """Return the logarithms of the probabilities that 0, 1, ..., `MAX_LENGTH` or more words are left, [B, C]."""
        logits_BC: Tensor = self.head(hidden_BH)
        return logits_BC.log_softmax(dim=1)
