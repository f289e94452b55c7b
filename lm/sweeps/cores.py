"""How the runs of a sweep share the cores of a machine."""

import os
from collections.abc import Mapping, Sequence

from lm.sweeps.sweep_options import SweepOptions


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_workers(runs: int | None) -> int:
    """Return how many runs train at the same time: one per core, since a run gains little from a second one."""
    return cores() if runs is None else max(1, min(cores(), runs))


def cores_per_run(overrides: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many cores each run of a sweep has."""
    return cores() // num_workers(SweepOptions.parse(overrides, params).num_runs)
