"""What every command shares: the words a config may compute with, and how an error is told."""

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from omegaconf import OmegaConf

UNNAMED = ("data.dir", "resume")
"""Options that say where things lie, and so don't belong in a run's name."""


def by_dropout(dropout: float, with_dropout: Any, without_dropout: Any) -> Any:
    """Choose a value by whether there is dropout."""
    return with_dropout if float(dropout) > 0 else without_dropout


def run_name(overrides: Sequence[str]) -> str:
    """Name a run of a sweep by what was typed for it, as `cell=gru,dropout=0.25`; numbers are written one way only."""
    pairs = (override.lstrip("+").split("=", 1) for override in overrides)
    named = [f"{key}={_plain(value)}" for key, value in pairs if key not in UNNAMED]
    return ",".join(named) or "default"


def _plain(value: str) -> str:
    try:
        return f"{float(value):g}" if "." in value or "e" in value.lower() else value
    except ValueError:
        return value.replace("/", "-")


def one_sentence_errors(main: Callable[[], Any]) -> Callable[[], None]:
    """Turn what the user can mend into one sentence on the terminal and exit status 1, without a traceback."""

    @wraps(main)
    def wrapped() -> None:
        try:
            main()
        except (ValueError, FileNotFoundError, PermissionError) as error:
            sys.exit(f"error: {error}")

    return wrapped


OmegaConf.register_new_resolver("by_dropout", by_dropout, replace=True)
OmegaConf.register_new_resolver("run_name", run_name, replace=True)
