"""The Optuna study of a search, in the sweep's folder: the trials, and the perplexities that their runs reported.

A trial is a run of the sweep: both have the same overrides. The file is a journal of Optuna, to which several processes
may append: `optuna-dashboard multirun/<time>/study.journal` shows it too.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm.checks import check_installed

if TYPE_CHECKING:
    from optuna import Study

STUDY, STUDY_NAME = "study.journal", "search"
"""The study's file in the sweep's folder, and its name in the file."""

EXTRA = "search"
"""The extra of `pyproject.toml` that installs Optuna."""

OVERRIDES = "overrides"
"""The attribute of a trial that has the overrides of its run."""


def has_study(sweep: Path) -> bool:
    """Return whether a sweep is a search."""
    return (sweep / STUDY).is_file()


def check_optuna() -> None:
    """Raise a ValueError unless Optuna is installed."""
    check_installed("optuna", EXTRA, "a search")


def open_study(sweep: Path, **options: Any) -> "Study":
    """Return the study of a sweep's folder, which is new if there is none.

    Args:
        sweep: the sweep's folder.
        options: a sampler and a pruner, which no file holds.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the runs have lines of their own
    storage = JournalStorage(JournalFileBackend(str(sweep / STUDY)))
    if storage.get_all_studies():
        return optuna.load_study(study_name=STUDY_NAME, storage=storage, **options)
    return optuna.create_study(study_name=STUDY_NAME, storage=storage, direction="minimize", **options)


def remove_torn_line(sweep: Path) -> None:
    """Remove the last line of the journal if a full disk has cut it off: Optuna would append to it."""
    path = sweep / STUDY
    if not path.is_file() or (content := path.read_bytes()).endswith(b"\n") or not content:
        return
    os.truncate(path, content.rfind(b"\n") + 1)
