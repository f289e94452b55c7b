"""How the runs of a sweep share the cores of a machine."""

import os
from collections.abc import Mapping, Sequence

from lm.sweeps.sweep_options import SweepOptions


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_per_run(overrides: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many cores each run of a sweep has: one if there are many, since a run gains little from a second."""
    return max(1, cores() // (SweepOptions.parse(overrides, params).num_runs or cores()))
