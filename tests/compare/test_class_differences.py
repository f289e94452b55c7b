import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lm.compare.class_differences import class_differences, estimate_class, largest_words
from lm.compare.run_pair import RunPair
from lm.reporting.groups import RunGroup

GENERATOR = np.random.default_rng(0)
TOKENS = 6000
WORDS = np.array([f"w{number}" for number in range(60)])[GENERATOR.integers(60, size=TOKENS)]
GROUP = RunGroup({"cell": "lstm", "dropout": 0}, ())


def pair_of(difference_N: np.ndarray) -> RunPair:
    first = GENERATOR.exponential(4, (1, TOKENS))
    return RunPair(GROUP, GROUP, "test", "", (first, first + difference_N))


def tokens() -> pd.DataFrame:
    frequency = np.where(WORDS < "w3", "10-99", "100-999")
    return pd.DataFrame({"word": WORDS, "frequency": frequency, "position": "1"})


def test_a_class_has_the_mean_difference_of_its_tokens() -> None:
    frame, difference = tokens(), GENERATOR.normal(0.1, 0.5, TOKENS)

    found = class_differences(pair_of(difference), frame).set_index(["kind", "class"])

    for name in ("10-99", "100-999"):
        member = (frame["frequency"] == name).to_numpy()
        row = found.loc[("frequency", name)]
        assert row["tokens"] == member.sum()
        assert row["difference"] == pytest.approx(difference[member].mean())
        assert row["total"] == pytest.approx(difference[member].sum())
        assert row["percent"] == pytest.approx(100 * np.expm1(difference[member].mean()))
        assert row["percent_low"] < row["percent"] < row["percent_high"]


def test_the_standard_error_of_a_class_is_that_of_its_tokens() -> None:
    member, difference = WORDS < "w3", GENERATOR.normal(1, 0.5, TOKENS)

    estimate = estimate_class(pair_of(difference).nats, member)

    assert estimate.error == pytest.approx(stats.sem(difference[member]), rel=0.25)  # these tokens are independent


@pytest.mark.parametrize(("tokens_in_class", "has_interval"), [(29, False), (30, True)])
def test_a_class_of_few_tokens_has_no_interval(tokens_in_class: int, has_interval: bool) -> None:
    estimate = estimate_class(pair_of(GENERATOR.normal(size=TOKENS)).nats, np.arange(TOKENS) < tokens_in_class)

    assert estimate.has_interval == has_interval
    assert np.isfinite(estimate.value)


def test_words_are_ranked_by_the_difference_of_all_their_tokens() -> None:
    difference = np.select([WORDS == "w7", WORDS == "w8", WORDS > "w3"], [-1.0, 0.7, -0.01])

    found = class_differences(pair_of(difference), tokens())
    gains, losses = largest_words(found)

    assert gains["class"].iloc[0] == "w7"
    assert losses["class"].tolist() == ["w8"]
    assert gains["total"].iloc[0] == pytest.approx(-(WORDS == "w7").sum())
    assert len(gains) == 20
