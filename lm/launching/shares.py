"""How a machine's cores are shared out among the runs of a sweep."""

import os
from collections.abc import Mapping, Sequence
from math import prod

from hydra.core.override_parser.overrides_parser import OverridesParser


def cores() -> int:
    """Return how many of the machine's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def runs_of(typed: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many runs a sweep is of: what was typed goes before what the config sweeps."""
    lines = [f"{key}={values}" for key, values in (params or {}).items()] + list(typed)
    values = {}
    for override in OverridesParser.create().parse_overrides(lines):
        swept = override.is_sweep_override()
        values[override.get_key_element()] = len(list(override.sweep_iterator())) if swept else 1
    return prod(values.values())


def workers(typed: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many runs are to be at work at a time: one a core, for one with several threads gains less."""
    return min(cores(), runs_of(typed, params))


def cores_a_run(typed: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many cores each run has where all are at work at once."""
    return cores() // workers(typed, params)
