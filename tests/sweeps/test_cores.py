import os

import pytest

from lm.sweeps import cores as module
from lm.sweeps.cores import cores, cores_per_run


@pytest.mark.parametrize(
    ("machine", "runs", "each"),
    [(1, 4, 1), (2, 4, 1), (16, 4, 4), (6, 4, 1), (8, 1, 8)],
)
def test_the_runs_share_all_cores(monkeypatch, machine, runs, each):
    monkeypatch.setattr(module, "cores", lambda: machine)
    assert cores_per_run([f"seed=range({runs})"], None) == each


def test_there_is_one_run_per_core_if_the_sweeper_decides_how_many_there_are(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 6)
    assert cores_per_run(["dropout=interval(0,0.5)"], None) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinities")
def test_cores_that_this_process_may_not_use_are_not_counted():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)
