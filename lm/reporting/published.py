"""The published perplexities, and which of them belongs to a run."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lm.run_dir import RunDir, Value

FIGURES = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Published:
    """One row of a published table; a perplexity that it does not give is None."""

    name: str
    source: str
    when: dict[str, Value]
    train_ppl: float | None = None
    valid_ppl: float | None = None
    test_ppl: float | None = None


@cache
def published_figures() -> tuple[Published, ...]:
    """Read the published figures that come with the package."""
    entries: Any = OmegaConf.to_container(OmegaConf.load(FIGURES))
    return tuple(Published(**entry) for entry in entries)


def published_for(run: RunDir) -> Published | None:
    """Return the published figures whose configuration is the run's, key by key; all are of streams."""
    if run.value("data.batching") not in (None, "streams"):  # None: from before there were sentences
        return None
    for figures in published_figures():
        if all(_same(run.value(key), value) for key, value in figures.when.items()):
            return figures
    return None


def _same(ours: Value, theirs: Value) -> bool:
    """Compare two values, numbers as floats: `dropout=0` and `dropout=0.0` are one configuration."""
    if _is_number(ours) and _is_number(theirs):
        return float(ours or 0) == float(theirs or 0)
    return type(ours) is type(theirs) and ours == theirs


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
