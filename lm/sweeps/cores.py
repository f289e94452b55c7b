"""How a machine's cores are shared out among the runs of a sweep."""

import os
from collections.abc import Mapping, Sequence
from math import prod

from hydra.core.override_parser.overrides_parser import OverridesParser


def cores() -> int:
    """Return how many of the machine's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def swept_options(typed: Sequence[str], params: Mapping[str, str] | None) -> dict[str, int]:
    """Return what a sweep sweeps, and over how many values: what was typed goes before what the config sweeps."""
    lines = [f"{key}={values}" for key, values in (params or {}).items()] + list(typed)
    overrides = {override.key_or_group: override for override in OverridesParser.create().parse_overrides(lines)}
    return {
        key: len(list(override.sweep_iterator())) for key, override in overrides.items() if override.is_sweep_override()
    }


def num_runs(typed: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many runs a sweep is of."""
    return prod(swept_options(typed, params).values())


def num_workers(typed: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many runs are to be at work at a time: one a core, for one with several threads gains less."""
    return min(cores(), num_runs(typed, params))


def cores_per_run(typed: Sequence[str], params: Mapping[str, str] | None) -> int:
    """Return how many cores each run has where all are at work at once."""
    return cores() // num_workers(typed, params)
