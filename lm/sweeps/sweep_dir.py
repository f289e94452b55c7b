"""The folder of a sweep: whose runs are in it, what they are called, and which sweep can be resumed."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lm.run_dir import RunDir
from lm.run_files import ENDED, parse_yaml
from lm.run_search import find_runs
from lm.sweeps.sweep_options import EXCLUDED_FROM_RUN_NAME, SweepOptions, options_key, run_name, run_options


def runs_of_sweep(sweep: Path) -> list[RunDir]:
    """Return the runs in a sweep's folder, which need not exist."""
    try:
        return find_runs(sweep)
    except FileNotFoundError:
        return []


def check_folder(sweep: Path, options: SweepOptions) -> None:
    """Check that the finished runs in a folder differ from those of a sweep only in what is, or was, swept.

    Raises:
        ValueError: if they differ in something else.
    """
    finished = [run for run in runs_of_sweep(sweep) if run.finished]
    free = options.swept.keys() | _varied(finished)
    for run in finished:
        found = run_options(run.overrides)
        expected = {key: value for key, value in options.constants.items() if key not in EXCLUDED_FROM_RUN_NAME}
        for key in sorted((expected.keys() | found.keys()) - free):
            if expected.get(key) != found.get(key):
                raise ValueError(_difference(run, key, found.get(key), expected.get(key)))


def _varied(runs: Sequence[RunDir]) -> set[str]:
    """Return the options in which runs differ from each other: these were swept."""
    options = [run_options(run.overrides) for run in runs]
    return {key for found in options for key in found if any(found[key] != other.get(key) for other in options)}


def _difference(run: RunDir, key: str, trained: str | None, asked: str | None) -> str:
    expected = f"no {key}=" if trained is None else f"{key}={trained}"
    found = "none" if asked is None else asked
    advice = "leave it out" if trained is None else f"type {key}={trained}"
    return (
        f"expected {expected}, with which '{run.folder}' was trained, found {found}: "
        f"{advice}, or another hydra.sweep.dir="
    )


def name_in_sweep(overrides: Sequence[str], swept: Collection[str] | None, sweep: str) -> str:
    """Return the folder of a run in its sweep: that of the run with the same options, or else a new name."""
    return names_by_options(sweep).get(options_key(overrides)) or run_name(overrides, swept)


@cache
def names_by_options(sweep: str) -> dict[frozenset[tuple[str, str]], str]:
    """Return the names of the runs that are in a sweep's folder when this process first looks."""
    return {options_key(run.overrides): run.name for run in runs_of_sweep(Path(sweep))}


def unfinished_sweep(overrides: Sequence[str], params: Mapping[str, str] | None) -> str:
    """Return the newest folder in `multirun/` with unfinished runs of the same sweep, in whatever order it is typed.

    Raises:
        FileNotFoundError: if there is none.
    """
    options = SweepOptions.parse(overrides, params)
    configs = sorted(Path("multirun").glob("*/multirun.yaml"), key=lambda path: path.stat().st_mtime, reverse=True)
    for config in configs:
        saved = saved_options(config)
        ended = sum(run.status in ENDED for run in runs_of_sweep(config.parent))
        if saved and saved.same_runs(options) and ended < (options.num_runs or ended + 1):
            return str(config.parent)
    raise FileNotFoundError(
        "expected a sweep of these options in multirun/ with unfinished runs, found none: "
        "type make sweep without RESUME=1"
    )


def has_one_corpus(sweep: Path) -> bool:
    """Return whether all runs of a sweep surely read the same corpus: no preset, which may choose it, is swept."""
    options = saved_options(sweep / "multirun.yaml")
    return options is not None and not {key.partition(".")[0] for key in options.swept} & {"data", "experiment"}


def saved_options(path: Path) -> SweepOptions | None:
    """Return the options of the sweep with this `multirun.yaml`, or None if the file is damaged."""
    try:
        config = parse_yaml(path.read_text(encoding="utf-8"))
        overrides = OmegaConf.select(config, "hydra.overrides.task")
        return SweepOptions.parse(overrides, OmegaConf.select(config, "hydra.sweeper.params"))
    except (OSError, ValueError, TypeError, YAMLError, OmegaConfBaseException, HydraException):
        return None
