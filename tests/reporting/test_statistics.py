import math

import numpy as np
import pytest
from scipy import stats

from lm.reporting.statistics import (
    BLOCKS,
    Estimate,
    block_means,
    estimate_contrast,
    resample_means,
    t_interval,
    t_p_value,
    t_quantile,
)

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("df", [1, 1.5, 2, 4, 30.7, 400])
def test_quantiles_and_p_values_are_those_of_scipy(df: float) -> None:
    assert t_quantile(df) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-5)
    for t in (0.0, 0.7, -2.0, 5.0):
        assert t_p_value(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), abs=1e-6)
    assert t_p_value(30, df) == pytest.approx(2 * stats.t.sf(30, df), rel=0.01)


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = [91.0, 92.5, 93.0]

    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))

    assert t_interval(values) == pytest.approx(expected, rel=1e-5)


def test_one_value_has_no_interval() -> None:
    assert all(math.isnan(end) for end in t_interval([91.0]))


def test_blocks_keep_the_mean_whatever_the_length_of_the_text() -> None:
    for tokens in (1, 7, 1000, 4999, 82_429):
        nats = GENERATOR.exponential(4, (2, tokens)).astype(np.float32)
        blocks = block_means(nats)
        assert blocks.mean(1) == pytest.approx(nats.mean(1, dtype=np.float64))
        assert blocks.shape[1] <= min(tokens, BLOCKS)


def test_the_blocks_of_a_long_text_are_its_consecutive_tokens() -> None:
    nats = np.arange(2000.0)[None]

    assert block_means(nats)[0] == pytest.approx(nats.reshape(40, 50).mean(1))


def test_the_lengths_of_blocks_add_nothing_to_their_spread() -> None:
    assert block_means(np.full((1, 199), 4.5))[0] == pytest.approx(np.full(20, 4.5))


def test_resampled_means_vary_as_the_mean_of_the_sample_does() -> None:
    values = np.array([1.0, 2.0, 4.0])

    draws = resample_means(values, np.random.default_rng(1))

    assert draws.std() == pytest.approx(stats.sem(values), rel=0.05)


def test_one_seed_is_a_paired_test_over_blocks() -> None:
    before = GENERATOR.normal(4, 1, (1, 80))
    after = before + GENERATOR.normal(0.1, 0.3, (1, 80))

    estimate = estimate_contrast([(-1, before), (1, after)])

    reference = stats.ttest_rel(after[0], before[0])
    low, high = reference.confidence_interval()
    assert estimate.value == pytest.approx((after - before).mean())
    assert estimate.df == pytest.approx(79)
    assert estimate.log_interval == pytest.approx((low, high), abs=0.05 * (high - low))
    assert estimate.value / estimate.error == pytest.approx(reference.statistic, rel=0.05)


def test_seeds_without_blocks_are_welchs_test() -> None:
    before, after = GENERATOR.normal(4.6, 0.01, (3, 1)), GENERATOR.normal(4.5, 0.03, (5, 1))

    estimate = estimate_contrast([(-1, before), (1, after)])

    reference = stats.ttest_ind(after[:, 0], before[:, 0], equal_var=False)
    low, high = reference.confidence_interval()
    assert estimate.df == pytest.approx(reference.df, rel=0.1)
    assert estimate.log_interval == pytest.approx((low, high), abs=0.05 * (high - low))


def test_seeds_and_blocks_add_up_without_counting_their_interaction_twice() -> None:
    seeds, blocks, draws = 4, 50, []
    for _ in range(60):
        text = GENERATOR.normal(0, 0.2, (1, blocks))
        before, after = (GENERATOR.normal(0, 0.5, (seeds, blocks)) for _ in range(2))
        after += text + GENERATOR.normal(0, 0.05, (seeds, 1))
        draws.append(estimate_contrast([(-1, before), (1, after)]).error ** 2)

    expected = (0.2**2 / blocks) + (0.05**2 / seeds) + 2 * 0.5**2 / (seeds * blocks)
    assert np.mean(draws) == pytest.approx(expected, rel=0.15)


def test_a_difference_of_differences_has_four_groups() -> None:
    groups = [GENERATOR.normal(mean, 0.1, (1, 60)) for mean in (5.0, 4.8, 4.9, 4.3)]

    estimate = estimate_contrast(list(zip((1, -1, -1, 1), groups, strict=True)))

    reference = stats.ttest_1samp((groups[0] - groups[1] - groups[2] + groups[3])[0], 0)
    assert estimate.value == pytest.approx(-0.4, abs=0.1)
    assert estimate.value / estimate.error == pytest.approx(reference.statistic, rel=0.05)


def test_a_mean_of_differences_weights_seeds_blocks_and_their_interaction() -> None:
    before, after = GENERATOR.normal(4.6, 0.1, (3, 50)), GENERATOR.normal(4.5, 0.1, (3, 50))

    whole = estimate_contrast([(-1, before), (1, after)])
    half = estimate_contrast([(-0.5, before), (0.5, after)])

    assert half.value == pytest.approx(whole.value / 2)
    assert half.error == pytest.approx(whole.error / 2)
    assert half.df == pytest.approx(whole.df)


def test_one_seed_without_blocks_has_no_interval() -> None:
    estimate = estimate_contrast([(-1, np.array([[4.0]])), (1, np.array([[4.5]]))])

    assert estimate.value == 0.5
    assert not estimate.has_interval
    assert not estimate.is_clear


def test_the_same_runs_have_no_difference() -> None:
    nats = GENERATOR.normal(4, 1, (1, 80))

    estimate = estimate_contrast([(-1, nats), (1, nats)])

    assert (estimate.value, estimate.error, estimate.p_value) == (0, 0, 1)
    assert not estimate.is_clear


def test_percent_is_of_perplexity() -> None:
    estimate = Estimate(math.log(0.8), 0.01, 1000)

    low, high = estimate.percent_interval
    assert estimate.percent == pytest.approx(-20)
    assert (low, high) == pytest.approx((100 * (0.8 * math.exp(-0.0196) - 1), 100 * (0.8 * math.exp(0.0196) - 1)), 1e-3)
    assert estimate.is_clear
