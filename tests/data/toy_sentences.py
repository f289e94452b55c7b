"""Random sentences as ids, for tests of batches."""

import torch

from lm.data.bptt import IGNORE_INDEX

EOS = 0


def random_text(sentences=57, seed=0):
    """Return sentences of 0 to 12 words, every word another one: as lists, and as ids with `EOS` after each."""
    lengths = torch.randint(13, (sentences,), generator=torch.Generator().manual_seed(seed)).tolist()
    words = iter(range(1, 10_000))
    text = [[next(words) for _ in range(length)] for length in lengths]
    return text, torch.tensor([word for sentence in text for word in (*sentence, EOS)], dtype=torch.int32)


def pairs(batch):
    """Return every input with its target, if it has one."""
    real_TB = batch.targets_TB != IGNORE_INDEX
    return list(zip(batch.inputs_TB[real_TB].tolist(), batch.targets_TB[real_TB].tolist(), strict=True))
