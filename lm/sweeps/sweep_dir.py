"""A sweep's folder that is gone on with: what is finished there has to be of the same sweep."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lm.cli import named_options
from lm.run_dir import RunDir
from lm.sweeps.cores import swept_options


def check_folder(sweep: Path, typed: Sequence[str], params: Mapping[str, str] | None) -> None:
    """Make sure that the runs finished in a folder differ from those to come only in what is, or was, swept.

    Args:
        sweep: the folder, which need not be there.
        typed: the options of the sweep to come.
        params: the options that its config sweeps.

    Raises:
        ValueError: where they differ in something else; nothing has been written then.
    """
    finished = [run for path in sorted(sweep.glob("*/results.json")) if (run := RunDir(path.parent)).finished]
    free = swept_options(typed, params).keys() | _varied(finished)
    fixed = {key: value for key, value in named_options(typed).items() if key not in free}
    for run in finished:
        found = named_options(run.overrides)
        for key in sorted((fixed.keys() | found.keys()) - free):
            if fixed.get(key) != found.get(key):
                raise ValueError(_difference(run, key, found.get(key), fixed.get(key)))


def _varied(runs: Sequence[RunDir]) -> set[str]:
    """Return the options in which runs differ from each other: these were swept."""
    options = [named_options(run.overrides) for run in runs]
    return {key for found in options for key in found if any(found[key] != other.get(key) for other in options)}


def _difference(run: RunDir, key: str, trained: str | None, asked: str | None) -> str:
    expected = f"no {key}=" if trained is None else f"{key}={trained}"
    found = "none" if asked is None else asked
    advice = "leave it out" if trained is None else f"type {key}={trained}"
    return (
        f"expected {expected} as '{run.folder}' was trained with, found {found}: {advice}, or another hydra.sweep.dir="
    )
