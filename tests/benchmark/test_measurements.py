import pytest

from lm.benchmark.comparison import BY_HAND, PLAIN, TRAIN
from lm.benchmark.measurements import results_of
from lm.benchmark.timing import DATA, LOOP, RECURRENT, SOFTMAX
from tests.benchmark.jobs import small_job
from tests.benchmark.measured import a_contest


@pytest.fixture
def results():
    job = small_job(steps=6)
    return results_of(job, job.corpus(), a_contest(), first_step=[4.0])


def test_one_slow_step_changes_nothing(results):
    assert results["contenders"][TRAIN]["step_ms"] == pytest.approx(20)
    assert results["contenders"][TRAIN]["parts_ms"] == pytest.approx(
        {SOFTMAX: 10, DATA: 2, LOOP: 2, "clip and update": 6, "embedding": 0, RECURRENT: 0}
    )


def test_rounds_are_compared_with_those_beside_them(results):
    assert results["speedup"] == pytest.approx({"median": 2.5, "least": 2.0, "greatest": 3.0})
    assert results["lightning_with_products_ms"] == pytest.approx({"median": 1.0, "least": 1.0, "greatest": 1.0})


def test_lightning_is_looked_for_in_the_parts_around_the_products(results):
    """Half of each step is the softmax; the other half is half a millisecond shorter without Lightning."""
    assert results["lightning_ms"] == pytest.approx({"median": 0.5, "least": 0.5, "greatest": 0.5})


def test_rates_are_of_the_median_step(results):
    flops = sum(results["flops"].values())
    train, plain = results["contenders"][TRAIN], results["contenders"][PLAIN]
    assert train["tokens_per_second"] == pytest.approx(20 / 0.020)
    assert train["flops_per_second"] == pytest.approx(flops / 0.020)
    assert train["share_of_ceiling"] == pytest.approx(flops / 0.020 / 8e6)
    assert plain["share_of_ceiling"] == pytest.approx(plain["flops_per_second"] / 4e6)
    assert results["contenders"][BY_HAND]["peak_memory"] == 450_000_000


def test_evaluation_is_set_against_training(results):
    assert results["evaluation"] == {"validation": pytest.approx({"tokens_per_second": 3000.0, "times_training": 3.0})}


def test_it_says_what_was_measured(results):
    assert results["model"]["vocabulary"] == 30
    assert results["model"]["parameters"]["embedding"] == 30 * 8
    assert (results["steps"], results["rounds"], results["first_step_seconds"]) == (6, 2, [4.0])
