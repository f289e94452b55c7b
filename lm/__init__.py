"""Recurrent language models on the Penn Treebank, after Zaremba et al. (2014).

    import lm

    run = lm.train(overrides=["cell=gru", "dropout=0.25"])   # as python -m lm.train
    run = lm.load_run("outputs/2025-01-31/12-00-00")
    run.perplexity("test"), run.generate("the company"), run.score(["the company said"])
    runs = lm.load_sweep("multirun/2025-01-31_12-00-00")     # a pandas DataFrame, and runs.epochs

`import lm` loads nothing else: PyTorch and pandas are imported when they are needed.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

PUBLIC = {
    "LanguageModelModule": "lm.training.lightning_module",
    "load_run": "lm.run",
    "load_sweep": "lm.reporting.sweep_frame",
}
"""The names of this package, and the modules that define them. `lm.train` is a module that can be called."""


def __getattr__(name: str) -> Any:
    if name == "train":
        return import_module("lm.train")
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'lm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "train", *PUBLIC})
