"""Check the intervals of effects where the true effect is known: python docs/calibration/calibration.py

The models of two settings are next-word probabilities of the synthetic source (`lm/data/sources/synthetic.py`),
disturbed for the setting and for each seed. The source's own probabilities are known, so the perplexity of each model is
exact, and with it the true effect: for one seed the effect between these very models, for several the mean over all
seeds. Each of 1,000 draws takes new seeds and a new text. The script writes `calibration.csv`, `.png` and `.svg`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lm.data.sources.synthetic import MarkovSource, stationary
from lm.reporting.statistics import RESAMPLES, block_means, estimate_contrast

DRAWS, TOKENS, POOL = 1000, 10_000, 4000
"""The draws, the tokens of each draw's text, and the seeds of a setting, of which each draw takes some."""

SETTING_NOISE, WORD_NOISE, SPREAD = 0.5, 0.3, 0.03
"""How log-probabilities differ: between settings, and between seeds word by word and as a whole."""

DRIFT, MEMORY = 0.3, 0.98
"""What the subject of a text adds to the nats of one setting: standard deviation, and correlation of neighbours."""


@dataclass(frozen=True)
class Case:
    """What is drawn.

    Args:
        seeds: of each setting.
        differs: whether the settings differ.
        spread: how much the seeds differ as a whole.
        drifts: whether neighbouring tokens are correlated beyond the source.
    """

    seeds: int
    differs: bool = True
    spread: float = SPREAD
    drifts: bool = False

    @property
    def name(self) -> str:
        """The case in words."""
        parts = {
            "no difference": not self.differs,
            "equal seeds": self.spread == 0,
            "unequal seeds": self.spread > SPREAD,
            "correlated tokens": self.drifts,
        }
        return ", ".join(
            [f"{self.seeds} seed{'s' * (self.seeds > 1)}", *(part for part, holds in parts.items() if holds)]
        )


CASES = [
    *(Case(seeds) for seeds in (1, 2, 3, 5)),
    *(Case(seeds, drifts=True) for seeds in (1, 3)),
    *(Case(3, spread=spread) for spread in (0.0, 3 * SPREAD)),
    *(Case(seeds, differs=False) for seeds in (1, 2, 3, 5)),
]


class Source:
    """The synthetic source as pairs of a context and a word that can follow it, numbered from 0 to P."""

    def __init__(self) -> None:
        probabilities = MarkovSource().probabilities
        self.classes, self.vocabulary, _ = probabilities.shape
        self.table = probabilities.reshape(-1, self.vocabulary)
        self.contexts_P, _ = np.nonzero(self.table)
        self.logs_P = np.log(self.table[self.table > 0])
        self.frequencies_P = (stationary(probabilities).reshape(-1, 1) * self.table)[self.table > 0]

    def texts(self, count: int, tokens: int, generator: np.random.Generator) -> np.ndarray:
        """Return `count` texts as the numbers of their pairs, [count, tokens]."""
        numbers = (self.table.reshape(-1) > 0).cumsum().reshape(self.table.shape) - 1
        cumulative = self.table.cumsum(1)
        starts = self.contexts_P[generator.choice(len(self.contexts_P), count, p=self.frequencies_P)]
        texts, contexts = np.empty((tokens, count), np.int32), starts
        for step in range(tokens):
            words = (cumulative[contexts] <= generator.random((count, 1)) * cumulative[contexts, -1:]).sum(1)
            texts[step] = numbers[contexts, words]
            contexts = contexts % self.vocabulary % self.classes * self.vocabulary + words
        return texts.T

    def models(self, count: int, spread: float, generator: np.random.Generator) -> np.ndarray:
        """Return the nats of each pair under each of `count` seeds of a new setting, [count, P]."""
        setting = self.logs_P + SETTING_NOISE * generator.standard_normal(len(self.logs_P))
        sharpness = np.exp(spread * generator.standard_normal((count, 1)))
        logits = sharpness * setting + WORD_NOISE * generator.standard_normal((count, len(setting)))
        sums = np.add.reduceat(np.exp(logits), np.flatnonzero(np.diff(self.contexts_P, prepend=-1)), axis=1)
        nats: np.ndarray = (np.log(sums)[:, self.contexts_P] - logits).astype(np.float32)
        return nats


def draw_case(source: Source, case: Case, draws: int, tokens: int = TOKENS, pool: int = POOL) -> pd.DataFrame:
    """Return a row per draw: the p-value of the true effect, and whether each kind of interval covers it."""
    generator = np.random.default_rng(2)
    before = source.models(pool, case.spread, generator)
    after = source.models(pool, case.spread, generator) if case.differs else before
    texts = source.texts(draws, tokens, generator)
    drift = drifts(draws, tokens, generator) if case.drifts else np.zeros((draws, 1))
    return pd.DataFrame(
        [_draw(source, case, before, after, text, added, generator) for text, added in zip(texts, drift, strict=True)]
    )


def _draw(
    source: Source,
    case: Case,
    before: np.ndarray,
    after: np.ndarray,
    text: np.ndarray,
    added: np.ndarray,
    generator: np.random.Generator,
) -> dict[str, float]:
    # No seed is in both groups, since they would be the same model if there is no difference.
    picked = generator.choice(len(before), (2, case.seeds), replace=False)
    seeds = [models[rows] for models, rows in zip((before, after), picked, strict=True)]
    targets = seeds if case.seeds == 1 else [before, after]
    truth = float((targets[1].mean(0) - targets[0].mean(0)) @ source.frequencies_P)
    groups = [(-1, block_means(seeds[0][:, text])), (1, block_means(seeds[1][:, text] + added))]
    estimate = estimate_contrast([(sign, nats - truth * (sign > 0)) for sign, nats in groups])
    low, high = estimate.log_interval
    plain_low, plain_high = plain_interval([nats for _, nats in groups], generator)
    return {
        "p_value": estimate.p_value,
        "covered": low <= 0 <= high,
        "width": high - low,
        "plain_covered": plain_low <= truth <= plain_high,
    }


def drifts(count: int, tokens: int, generator: np.random.Generator) -> np.ndarray:
    """Return first-order autoregressive series, [count, tokens]."""
    series = DRIFT * generator.standard_normal((tokens, count))
    for step in range(1, tokens):
        series[step] = MEMORY * series[step - 1] + (1 - MEMORY**2) ** 0.5 * series[step]
    return series.T


def plain_interval(groups: Sequence[np.ndarray], generator: np.random.Generator) -> tuple[float, float]:
    """Return the percentiles of the hierarchical bootstrap without corrections, for comparison."""
    blocks = groups[0].shape[1]
    weights_RM = generator.multinomial(blocks, [1 / blocks] * blocks, RESAMPLES) / blocks
    before, after = (
        (
            (generator.multinomial(len(nats), [1 / len(nats)] * len(nats), RESAMPLES) / len(nats)) @ nats * weights_RM
        ).sum(1)
        for nats in groups
    )
    low, high = np.percentile(after - before, [2.5, 97.5])
    return float(low), float(high)


def uniformity(p_values: Sequence[float]) -> float:
    """Return the largest distance of the p-values' distribution from the uniform one (Kolmogorov-Smirnov)."""
    ordered, ranks = np.sort(p_values), np.arange(len(p_values))
    return float(max((ordered - ranks / len(ordered)).max(), ((ranks + 1) / len(ordered) - ordered).max()))
