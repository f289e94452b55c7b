"""A few sentences of unequal lengths for tests of padding and of length conditioning."""

import torch

from lm.data.sentences import SentenceBatch, Sentences

EOS, WORDS = 0, 30
LENGTHS = [3, 9, 1, 0, 5, 5, 12]


def sentences() -> list[list[int]]:
    """Random ids without `EOS`, one list for each of `LENGTHS`."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(1, WORDS, (length,), generator=generator).tolist() for length in LENGTHS]


def sentence_batch(padding_side: str) -> SentenceBatch:
    """All of them as one batch."""
    ids = torch.tensor([word for words in sentences() for word in (*words, EOS)])
    [batch] = Sentences(ids, EOS, len(LENGTHS), padding_side=padding_side)
    return batch
