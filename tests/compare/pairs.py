"""Pairs of runs with nats, for the tests of `lm.compare`."""

import math
from pathlib import Path

import numpy as np

from lm.run_dir import RunDir
from lm.run_files import write_arrays


def make_better(folder: Path, by: float, members: slice = slice(None)) -> Path:
    """Lower a run's nats of these tokens of the test split by a number, and its test perplexity with them."""
    run = RunDir(folder)
    nats = {name: values.copy() for name, values in run.nats.items()}
    nats["test"][members] -= np.float32(by)
    write_arrays(run.nats_path, nats)
    best = {**run.results["best"], "test_ppl": math.exp(nats["test"].mean(dtype=np.float64))}
    run.write_results({**run.results, "best": best})
    return folder
