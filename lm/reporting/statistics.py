"""Differences of log-perplexity and their 95 % intervals, over seeds and over the text, with numpy alone.

Shapes: S seeds, N tokens of the text, M blocks of consecutive tokens.

The same text is scored with every seed, so a token's nats have two sources of randomness: the seed and the text. The
interval of a difference resamples both: the seeds of each group on their own, and blocks of the text, the same ones in
all groups (paired token by token). Three corrections make it cover the true value in about 95 % of cases
(docs/statistics.md has the experiment):

- The mean of n resampled values varies too little by (n - 1) / n, which matters with two or three seeds. Resampled
  deviations are scaled by sqrt(n / (n - 1)).
- The standard error is multiplied by the quantile of Student's t with the degrees of freedom of Welch and
  Satterthwaite.
- What is particular to one seed on one block is in the spread of both. It is taken out of that of the blocks, as in the
  two-way analysis of variance with random effects.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.95
"""The probability with which an interval covers the true value."""

RESAMPLES = 2000

BLOCKS = 100
"""The number of blocks of a text. With fewer, their standard deviation would be uncertain by more than 7 %.

More blocks would be shorter, and hide correlations: nats are correlated over a few tokens through the state, and over
hundreds through the subject of the text. On the Penn Treebank a block has 800 tokens, about an article. In short runs
there, the standard error was a third smaller with blocks of 100 tokens, and 8 to 17 % larger with 1,600.
"""

MIN_BLOCK_TOKENS, MIN_BLOCKS = 50, 20
"""Short texts have fewer blocks. Each has at least 50 tokens, unless that would give fewer than 20 blocks."""


MAX_LOG_CHANGE = 700
"""A change in nats per token whose exponential is nearly the largest float."""


@dataclass(frozen=True)
class Estimate:
    """A difference of log-perplexity.

    Args:
        value: the difference in nats per token.
        error: its standard error, NaN if nothing could be resampled.
        df: the degrees of freedom of the standard error.
    """

    value: float
    error: float = math.nan
    df: float = math.nan

    @property
    def has_interval(self) -> bool:
        """Whether there is a standard error."""
        return math.isfinite(self.error)

    @property
    def log_interval(self) -> tuple[float, float]:
        """The interval in nats per token."""
        margin = t_quantile(self.df) * self.error if self.has_interval else math.nan
        return self.value - margin, self.value + margin

    @property
    def percent(self) -> float:
        """The difference in percent of perplexity: -20 if the perplexity is a fifth lower."""
        return _percent(self.value)

    @property
    def percent_interval(self) -> tuple[float, float]:
        """The interval in percent of perplexity."""
        low, high = self.log_interval
        return _percent(low), _percent(high)

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        low, high = self.log_interval
        return low > 0 or high < 0

    @property
    def p_value(self) -> float:
        """The probability of a difference at least as large, up or down, if the true one is zero."""
        return t_p_value(self.value / self.error, self.df) if self.error else float(self.value == 0)


def t_interval(values: Sequence[float | None]) -> tuple[float, float]:
    """Return the interval of the mean of independent, normally distributed values; NaN of one value, or with None."""
    if len(values) < 2:
        return math.nan, math.nan
    found, count = np.array(values, dtype=float), len(values)
    margin = t_quantile(count - 1) * float(found.std(ddof=1)) / math.sqrt(count)
    return float(found.mean()) - margin, float(found.mean()) + margin


def _percent(log_change: float) -> float:
    return math.inf if log_change > MAX_LOG_CHANGE else 100 * math.expm1(log_change)


def t_quantile(df: float, level: float = LEVEL) -> float:
    """Return the t that Student's distribution with `df` degrees of freedom exceeds, up or down, with 1 - `level`."""
    angles, tails = _t_distribution(df)
    return math.sqrt(df) * math.tan(float(np.interp(1 - level, tails[::-1], angles[::-1])))


def t_p_value(t: float, df: float) -> float:
    """Return the probability that Student's distribution exceeds `t`, up or down."""
    angles, tails = _t_distribution(df)
    return float(np.interp(math.atan(abs(t) / math.sqrt(df)), angles, tails))


def _t_distribution(df: float) -> tuple[Array, Array]:
    """Return angles, and the probability that |t| exceeds sqrt(df) * tan(angle).

    In the angle the density is proportional to cos(angle) ** (df - 1), which has no tail to cut off.
    """
    angles = np.linspace(0, math.pi / 2, 20_001)
    density = np.abs(np.cos(angles)) ** (df - 1)
    areas = np.append(np.cumsum((density[1:] + density[:-1])[::-1])[::-1], 0)
    return angles, areas / areas[0]


def block_means(nats_SN: NDArray[np.floating]) -> Array:
    """Return the nats [S, M] of blocks of nearly equal length, per token; their mean is that of the tokens."""
    tokens = nats_SN.shape[1]
    blocks = min(tokens, BLOCKS, max(MIN_BLOCKS, tokens // MIN_BLOCK_TOKENS))
    starts = np.arange(blocks) * tokens // blocks
    means_S1 = nats_SN.mean(1, keepdims=True, dtype=np.float64)
    # Sums of deviations, so that a block's length, which may differ by a token, adds nothing to their spread.
    sums = np.add.reduceat(nats_SN - means_S1, starts, axis=1)
    means: Array = means_S1 + sums * (blocks / tokens)
    return means


def estimate_contrast(groups: Sequence[tuple[float, Array]]) -> Estimate:
    """Return a weighted sum of log-perplexities with its standard error by the hierarchical bootstrap.

    Args:
        groups: pairs of a weight and the nats [S, M] of a group of seeds. A difference of two groups has the weights 1
            and -1, a difference of two differences four groups, a mean of n differences the weights 1 / n and -1 / n.
            With M = 1, a text without blocks, seeds alone are resampled. If a group has one seed, blocks alone are
            resampled: the interval holds for these weights only.
    """
    value = sum(weight * float(nats_SM.mean()) for weight, nats_SM in groups)
    parts = [_text_part(groups)]
    if all(len(nats_SM) > 1 for _, nats_SM in groups):
        parts += [weight * nats_SM.mean(1) for weight, nats_SM in groups]
    parts = [part for part in parts if len(part) > 1]
    if not parts:
        return Estimate(value)
    generator = np.random.default_rng(0)  # the same runs give the same report
    draws_PR = np.stack([resample_means(part, generator) for part in parts])
    variances_P, dfs_P = draws_PR.var(1), np.array([len(part) - 1 for part in parts])
    spread = float((variances_P**2 / dfs_P).sum())
    df = float(variances_P.sum()) ** 2 / spread if spread else 1.0
    return Estimate(value, float(draws_PR.sum(0).std()), df)


def resample_means(values: Array, generator: np.random.Generator) -> Array:
    """Return the deviations of the means of resampled values, scaled to the variance of the mean of such values."""
    count = len(values)
    picked = generator.integers(count, size=(RESAMPLES, count))
    means: Array = (values - values.mean())[picked].mean(1)
    return means * math.sqrt(count / (count - 1))


def _text_part(groups: Sequence[tuple[float, Array]]) -> Array:
    """Return the difference [M] on each block, its spread without what is particular to one seed on one block."""
    mean_M: Array = np.sum([weight * nats_SM.mean(0) for weight, nats_SM in groups], axis=0)
    if len(mean_M) < 2 or any(len(nats_SM) < 2 for _, nats_SM in groups):
        return mean_M
    particular = sum(weight**2 * _interaction_variance(nats_SM) for weight, nats_SM in groups)
    variance = float(mean_M.var(ddof=1)) / len(mean_M)
    shrunk: Array = mean_M * math.sqrt(max(0.0, 1 - particular / variance)) if variance else mean_M
    return shrunk


def _interaction_variance(nats_SM: Array) -> float:
    """Return the variance of the mean that comes from the interaction of seed and block."""
    seeds, blocks = nats_SM.shape
    rest = nats_SM - nats_SM.mean(0) - nats_SM.mean(1, keepdims=True) + nats_SM.mean()
    variance = float((rest**2).sum()) / ((seeds - 1) * (blocks - 1))
    return float(variance / (seeds * blocks))
