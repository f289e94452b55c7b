"""The runs of a sweep as pandas DataFrames: `lm.load_sweep`."""

from pathlib import Path
from typing import Any

import pandas as pd

from lm.reporting.groups import swept_keys, values_of
from lm.run_dir import RunDir
from lm.run_search import find_runs

RESULT_KEYS = {
    **{f"{split}_ppl": f"best.{split}_ppl" for split in ("train", "valid", "test")},
    **{f"last_{split}_ppl": f"last.{split}_ppl" for split in ("train", "valid", "test")},
    "best_epoch": "best_epoch",
    "parameters": "parameters.total",
    "seconds": "seconds",
    "tokens_per_second": "tokens_per_second",
    "device": "device",
    "precision": "precision",
}
"""The columns of results, and their keys in `results.json`."""


class SweepFrame(pd.DataFrame):
    """A DataFrame with one row per run. `epochs` is a second one, with one row per run and epoch."""

    _metadata = ["epochs"]  # noqa: RUF012  # pandas defines it
    epochs: pd.DataFrame


def load_sweep(folder: Path | str) -> SweepFrame:
    """Return the runs of a sweep's folder, in the order of the sweep.

    The index is the run's name. The columns are cell, dropout, seed, every other swept option, `status`, the
    perplexities of the best weights and of the last ones (`last_`), and the run's folder. A run that is not finished
    has empty results. `.epochs` has the same options, and the columns of `epochs.csv`.

    Raises:
        FileNotFoundError: if there is no such folder, or no run in it.
    """
    runs = find_runs(Path(folder))
    keys = swept_keys(runs)
    frame = SweepFrame([_row(run, keys) for run in runs], index=pd.Index([run.name for run in runs], name="run"))
    rows = [{"run": run.name, **_options(run, keys), **row} for run in runs for row in run.epochs]
    frame.epochs = pd.DataFrame(rows)
    return frame


def _options(run: RunDir, keys: list[str]) -> dict[str, Any]:
    return {"cell": None, "dropout": None, "seed": run.value("seed"), **values_of(run, keys)}


def _row(run: RunDir, keys: list[str]) -> dict[str, Any]:
    results = {name: run.result(key) for name, key in RESULT_KEYS.items()}
    return {**_options(run, keys), "status": run.status, **results, "folder": str(run.folder)}
