import os

import pytest

from lm.sweeps import cores as module
from lm.sweeps.cores import cores, cores_per_run, num_runs, num_workers


@pytest.mark.parametrize(
    ("typed", "params", "runs"),
    [
        ([], None, 1),
        (["epochs=3"], None, 1),
        (["cell=lstm,gru", "dropout=0,0.25", "epochs=3"], None, 4),
        (["seed=range(1,6)"], None, 5),
        (["cell=gru"], {"cell": "lstm,gru", "dropout": "0,0.25"}, 2),
        (["+trainer.profiler=simple,null", "data.dir='a,b'"], {"cell": "lstm,gru"}, 4),
    ],
)
def test_a_sweep_has_a_run_for_each_combination_and_what_is_typed_goes_first(typed, params, runs):
    assert num_runs(typed, params) == runs


@pytest.mark.parametrize(
    ("machine", "seeds", "at_once", "each"), [(1, 4, 1, 1), (2, 4, 2, 1), (16, 4, 4, 4), (6, 4, 4, 1), (8, 1, 1, 8)]
)
def test_cores_go_to_as_many_runs_as_there_are_and_all_that_is_left_to_each(monkeypatch, machine, seeds, at_once, each):
    monkeypatch.setattr(module, "cores", lambda: machine)
    sweep = [f"seed=range({seeds})"], None
    assert (num_workers(*sweep), cores_per_run(*sweep)) == (at_once, each)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinities")
def test_cores_that_this_process_may_not_use_are_not_counted():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)
