"""The run folders of a sweep, read back from `results.json`, `epochs.csv` and `.hydra/`."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, UnsupportedInterpolationType
from yaml import YAMLError

import lm.cli  # noqa: F401  # registers what saved configs compute with

Value = str | int | float | bool | None
Config = TypeVar("Config", DictConfig, ListConfig)

MARKS = ("results.json", "epochs.csv", ".hydra/config.yaml")
FINISHED = "finished"
RUNNING = "running, or broken off"
DAMAGED = "damaged"


@dataclass(frozen=True)
class Run:
    """One run folder: what is known of the run so far, nothing of its weights."""

    folder: Path
    results: dict[str, Any]
    epochs: list[dict[str, float]]
    config: DictConfig
    overrides: list[str]
    choices: dict[str, Any]
    number: int

    @property
    def name(self) -> str:
        """The folder's name, such as `cell=gru,dropout=0.25`."""
        return self.folder.name

    @property
    def status(self) -> str:
        """What became of the run; a killed one leaves no results, as one that still runs."""
        return str(self.results.get("status", RUNNING))

    @property
    def finished(self) -> bool:
        """Whether the run has the perplexities that the table needs."""
        return self.status == FINISHED

    @property
    def error(self) -> str:
        """The first line of what went wrong, empty where nothing did."""
        return (str(self.results.get("error") or "").strip().splitlines() or [""])[0]

    @cached_property
    def overridden(self) -> dict[str, str]:
        """The names that the command line gave, with their text."""
        pairs = (override.partition("=") for override in self.overrides)
        return {key.lstrip("+~"): text for key, _, text in pairs}

    def value(self, key: str) -> Value:
        """Return the run's value of a dotted config key or config group; None where it has none.

        What only the process that trained could compute, such as an environment variable, is None too.
        """
        if key in self.choices:
            return str(self.choices[key])
        try:
            value = OmegaConf.select(self.config, key)
        except (InterpolationResolutionError, UnsupportedInterpolationType):
            return None
        return value if isinstance(value, str | int | float | bool | None) else str(value)


def find_runs(folder: Path) -> list[Run]:
    """Read every run folder directly below `folder`, or `folder` itself where it is one, in the order of the sweep.

    Raises:
        FileNotFoundError: where there is no such folder, or no run in it.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a sweep's folder, found nothing at {folder}: type sweep=multirun/FOLDER")
    folders = [folder] if is_run(folder) else [path for path in folder.iterdir() if is_run(path)]
    if not folders:
        raise FileNotFoundError(
            f"expected a sweep's folder, found no run folder in {folder}: type sweep=FOLDER with the folder "
            "that holds folders such as 'cell=lstm,dropout=0.25'"
        )
    return sorted((read_run(path) for path in folders), key=lambda run: (run.number, run.name))


def is_run(folder: Path) -> bool:
    """Tell a run folder from the report's own and from anything else."""
    return any((folder / mark).is_file() for mark in MARKS)


def read_run(folder: Path) -> Run:
    """Read one run folder, whatever of it is there yet."""
    hydra = _load(folder / ".hydra" / "hydra.yaml", DictConfig({}))
    return Run(
        folder=folder,
        results=_read_results(folder / "results.json"),
        epochs=_read_epochs(folder / "epochs.csv"),
        config=_load(folder / ".hydra" / "config.yaml", DictConfig({})),
        overrides=[str(override) for override in _load(folder / ".hydra" / "overrides.yaml", ListConfig([]))],
        choices=dict(OmegaConf.select(hydra, "hydra.runtime.choices") or {}),
        number=OmegaConf.select(hydra, "hydra.job.num") or 0,
    )


def _load(path: Path, missing: Config) -> Config:
    """Hydra writes these files in place, so a full disk leaves them cut off; they then count as missing."""
    try:
        loaded = OmegaConf.load(path)
    except (OSError, ValueError, YAMLError):
        return missing
    return loaded if isinstance(loaded, type(missing)) else missing


def _read_results(path: Path) -> dict[str, Any]:
    """Damage in one run must not hide the others, so it becomes a status."""
    if not path.is_file():
        return {}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return {"status": DAMAGED, "error": f"results.json can't be read: {error}"}
    if not isinstance(results, dict) or (results.get("status") == FINISHED and not results.get("best")):
        return {"status": DAMAGED, "error": "results.json holds no perplexities"}
    return results


def _read_epochs(path: Path) -> list[dict[str, float]]:
    """Read the curves; a row that is still being written is left out."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [_numbers(row) for row in csv.DictReader(file)]
    return [row for row in rows if "epoch" in row]


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    try:
        return {name: float(text) for name, text in row.items()}
    except (TypeError, ValueError):
        return {}
