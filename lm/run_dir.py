"""The folder of one run: the only place that knows the names of its files, how they are written and read back.

outputs/<date>/<time>/ or multirun/<time>/<cell=gru,dropout=0.25>/
.hydra/                  the composed config and its overrides
checkpoints/best.ckpt    the weights with the best validation perplexity
checkpoints/last.ckpt    everything that an exact continuation needs
epochs.csv               one row per epoch
results.json             the outcome: status, perplexities, protocol, versions
"""

import csv
import json
import pickle
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, UnsupportedInterpolationType
from yaml import YAMLError

from lm.atomic_files import write_atomically, write_json

Value = str | int | float | bool | None
AnyConfig = TypeVar("AnyConfig", DictConfig, ListConfig)

MARKS = ("results.json", "epochs.csv", ".hydra/config.yaml")
"""Files that tell a run folder from any other."""

FINISHED, DAMAGED = "finished", "damaged"
UNFINISHED = "running or interrupted"
"""The status of a run without results: a killed run leaves no more than one that still runs."""

UNREADABLE = (OSError, ValueError, YAMLError, RecursionError)
"""Errors of text files that are cut off, overwritten, or of another format."""

DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError, OSError,
          zipfile.BadZipFile)  # fmt: skip
"""Errors of PyTorch and zipfile on checkpoints that are cut off, overwritten, or of another kind."""


class RunDir:
    """The folder of one run. What has been read once is kept: an instance is a snapshot.

    Args:
        folder: the folder, which need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.best, self.last = self.checkpoints / "best.ckpt", self.checkpoints / "last.ckpt"
        self.results_path, self.epochs_path = folder / "results.json", folder / "epochs.csv"
        self.config_path = folder / ".hydra" / "config.yaml"

    @classmethod
    def existing(cls, folder: Path | str) -> "RunDir":
        """Return the run saved in `folder`.

        Raises:
            FileNotFoundError: if the folder holds no checkpoint.
        """
        run = cls(Path(folder))
        if not run.has_checkpoint:
            raise FileNotFoundError(
                f"expected a run folder with checkpoints/last.ckpt, found none in '{folder}': "
                "type the folder of a run, as outputs/<date>/<time> or multirun/<time>/<name>"
            )
        return run

    @property
    def name(self) -> str:
        """The folder's name, such as `cell=gru,dropout=0.25`."""
        return self.folder.name

    @property
    def has_checkpoint(self) -> bool:
        """Whether training can resume here."""
        return self.last.is_file()

    @property
    def status(self) -> str:
        """The outcome that `results.json` records."""
        return str(self.results.get("status", UNFINISHED))

    @property
    def finished(self) -> bool:
        """Whether the run has the perplexities that the table needs."""
        return self.status == FINISHED

    @property
    def error(self) -> str:
        """The first line of the recorded error, or an empty string."""
        return (str(self.results.get("error") or "").strip().splitlines() or [""])[0]

    @cached_property
    def results(self) -> dict[str, Any]:
        """The content of `results.json`; damage is a status, since it must not hide the other runs of a sweep."""
        if not self.results_path.is_file():
            return {}
        try:
            results = json.loads(self.results_path.read_text(encoding="utf-8"))
        except UNREADABLE as error:
            return {"status": DAMAGED, "error": f"results.json cannot be read: {error}"}
        if not isinstance(results, dict) or (results.get("status") == FINISHED and not results.get("best")):
            return {"status": DAMAGED, "error": "results.json holds no perplexities"}
        return results

    def write_results(self, results: dict[str, Any]) -> None:
        """Write `results.json`, whole or not at all."""
        write_json(self.results_path, results)
        self.results = results

    def write_outcome(self, status: str, error: str) -> None:
        """Write the `results.json` of a run that has no results."""
        self.write_results({"status": status, "error": error})

    def delete_results(self) -> None:
        """Delete `results.json`, because training continues."""
        self.results_path.unlink(missing_ok=True)
        self.results = {}

    def is_finished(self, epochs: int) -> bool:
        """Return whether the run has its results after that many epochs."""
        return self.has_checkpoint and self.finished and self.results.get("epochs") == epochs

    @property
    def epochs(self) -> list[dict[str, float]]:
        """The rows of `epochs.csv`. A row that is still being written is left out."""
        if not self.epochs_path.is_file():
            return []
        with self.epochs_path.open(encoding="utf-8", newline="", errors="replace") as file:
            rows = [_numbers(row) for row in csv.DictReader(file)]
        return [row for row in rows if "epoch" in row]

    def write_epochs(self, rows: Sequence[dict[str, float]]) -> None:
        """Write `epochs.csv`, whole or not at all."""
        with write_atomically(self.epochs_path) as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def saved_config(self) -> DictConfig:
        """Return the config that the run was started with.

        Raises:
            FileNotFoundError: if it was not saved.
            ValueError: if it is damaged.
        """
        if not self.config_path.is_file():
            raise FileNotFoundError(
                f"expected the run's config, found no file '{self.config_path}': "
                "copy the run folder again, with .hydra in it"
            )
        try:
            config = OmegaConf.create(OmegaConf.to_container(OmegaConf.load(self.config_path)))
        except UNREADABLE as error:
            raise damaged(self.config_path, "config", error) from error
        if not isinstance(config, DictConfig):
            raise damaged(self.config_path, "config", TypeError())
        return config

    def save_epochs(self, epochs: int) -> None:
        """Write the number of epochs into the saved config, so that the next resume trains to that number too."""
        if self.config_path.is_file() and (config := self.saved_config()).epochs != epochs:
            config.epochs = epochs
            with write_atomically(self.config_path) as file:
                OmegaConf.save(config, file)

    @cached_property
    def config(self) -> DictConfig:
        """The saved config for a report: empty if it is missing or damaged."""
        return _load(self.config_path, DictConfig({}))

    @cached_property
    def overrides(self) -> list[str]:
        """The overrides of the run's command line."""
        return [str(override) for override in _load(self.folder / ".hydra" / "overrides.yaml", ListConfig([]))]

    @cached_property
    def overridden(self) -> dict[str, str]:
        """The names of the overrides, with their values as text."""
        pairs = (override.partition("=") for override in self.overrides)
        return {key.lstrip("+~"): text for key, _, text in pairs}

    @cached_property
    def _hydra(self) -> DictConfig:
        return _load(self.folder / ".hydra" / "hydra.yaml", DictConfig({}))

    @property
    def choices(self) -> dict[str, Any]:
        """The chosen option of each config group."""
        found = OmegaConf.select(self._hydra, "hydra.runtime.choices")
        return dict(found) if isinstance(found, DictConfig) else {}

    @property
    def number(self) -> int:
        """The position in its sweep, counted from 0."""
        found = OmegaConf.select(self._hydra, "hydra.job.num")
        return found if isinstance(found, int) else 0

    def value(self, key: str) -> Value:
        """Return the value of a dotted config key or config group, or None.

        A value that only the training process could compute, such as an environment variable, is None too.
        """
        if key in self.choices:
            return str(self.choices[key])
        try:
            value = OmegaConf.select(self.config, key)
        except (InterpolationResolutionError, UnsupportedInterpolationType):
            return None
        return value if isinstance(value, str | int | float | bool | None) else str(value)

    def checkpoint(self, name: str) -> dict[str, Any]:
        """Return the checkpoint `best` or `last` as plain values and tensors on the CPU, its checksums verified.

        Raises:
            FileNotFoundError: if there is none of that name.
            ValueError: if the file is damaged, or no checkpoint of this project.
        """
        import torch  # here, since reports and configs need no torch

        path = self.checkpoints / f"{name}.ckpt"
        if not path.is_file():
            raise FileNotFoundError(f"expected a checkpoint, found no file '{path}': type the folder of a trained run")
        try:
            with zipfile.ZipFile(path) as archive:  # PyTorch writes a CRC-32 per tensor, and does not verify them
                if (record := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"wrong checksum of {record}")
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            checkpoint["metadata"], checkpoint["state_dict"]
        except DAMAGE as error:
            raise damaged(path, "checkpoint", error) from error
        return checkpoint


def find_runs(folder: Path) -> list[RunDir]:
    """Return every run folder directly below `folder`, or `folder` itself if it is one, in the order of the sweep.

    Raises:
        FileNotFoundError: if there is no such folder, or no run in it.
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
    return sorted((RunDir(path) for path in folders), key=lambda run: (run.number, run.name))


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run's, and not the report's or anything else."""
    return any((folder / mark).is_file() for mark in MARKS)


def _load(path: Path, missing: AnyConfig) -> AnyConfig:
    """Hydra writes these files in place, so a full disk leaves them cut off; they then count as missing."""
    try:
        loaded = OmegaConf.load(path)
    except UNREADABLE:
        return missing
    return loaded if isinstance(loaded, type(missing)) else missing


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    try:
        return {name: float(text) for name, text in row.items() if text != ""}
    except (TypeError, ValueError):
        return {}


def damaged(path: Path, kind: str, error: Exception) -> ValueError:
    """Return the error for a file of a run that cannot be read."""
    return ValueError(
        f"expected a {kind} of this project, found '{path}' damaged or of another kind ({type(error).__name__}): "
        "delete it and train the run again, or copy it again"
    )
