"""Recurrent language models on the Penn Treebank, after Zaremba et al. (2014).

    import lm

    run = lm.train(overrides=["cell=gru", "dropout=0.25"])   # as python -m lm.train
    run = lm.load_run("outputs/2025-01-31/12-00-00")
    run.perplexity("test"), run.generate("the company"), run.score(["the company said"])
    runs = lm.load_sweep("multirun/2025-01-31_12-00-00")     # a pandas DataFrame, and runs.epochs

`import lm` loads nothing else: PyTorch and pandas are imported when they are needed.
"""

from pkgutil import resolve_name
from typing import Any

__version__ = "0.2.0"

PUBLIC = {
    "LanguageModelModule": "lm.training.lightning_module:LanguageModelModule",
    "load_run": "lm.run:load_run",
    "load_sweep": "lm.reporting.sweep_frame:load_sweep",
    "train": "lm.train",
}
"""The names of this package, and where they are defined. `lm.train` is a module that can be called."""


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return resolve_name(PUBLIC[name])
    raise AttributeError(f"module 'lm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
