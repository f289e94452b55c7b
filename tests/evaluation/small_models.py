"""A text of random words and untrained models of them, in float64."""

import torch

from lm.models.language_model import LanguageModel
from tests.evaluation.slow_references import WORDS, random_ids

IDS = random_ids(151)


def small_model(cell="lstm", dropout=0.5, seed=0, **options):
    torch.manual_seed(seed)
    return LanguageModel(WORDS, cell, 8, 8, dropout=dropout, init_range=0.5, **options).double()
