"""The folder of one run: the only place that knows the names of its files, how they are written and read back.

outputs/<date>/<time>/ or multirun/<time>/<cell=gru,dropout=0.25>/
.hydra/                  the composed config and its overrides
checkpoints/best.ckpt    the weights with the best validation perplexity
checkpoints/last.ckpt    everything that an exact continuation needs
epochs.csv               one row per epoch
results.json             the outcome: status, perplexities, protocol, versions
nats.npz                 the nats of every scored token of validation and test
evaluations.json         the scores of lm.evaluate, the newest last
"""

import csv
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import lm.resolvers  # noqa: F401  # which a run's config needs
from lm.atomic_files import write_atomically, write_json
from lm.folders import waiting_lock
from lm.run_files import (
    FINISHED,
    parse_epochs,
    parse_hydra,
    parse_overrides,
    parse_results,
    parse_run_config,
    read_arrays,
    read_checkpoint,
    read_config,
    read_evaluations,
)

Value = str | int | float | bool | None
Content = TypeVar("Content")

DAMAGED = "damaged"
UNFINISHED = "running or interrupted"
"""The status of a run without results: a run that was killed looks like one that is still running."""


class RunDir:
    """The folder of one run. What has been read once is kept: an instance is a snapshot.

    Args:
        folder: the folder, which need not exist yet.
        name: the run's name in reports; by default the folder's, such as `cell=gru,dropout=0.25`.
    """

    def __init__(self, folder: Path, name: str = "") -> None:
        self.folder, self.name = folder, name or folder.name
        self.sweep = ""
        """The name of its sweep in a report on several sweeps."""
        self._damage: dict[Path, str] = {}
        self.checkpoints = folder / "checkpoints"
        self.best, self.last = self.checkpoints / "best.ckpt", self.checkpoints / "last.ckpt"
        self.results_path, self.epochs_path = folder / "results.json", folder / "epochs.csv"
        self.nats_path, self.config_path = folder / "nats.npz", folder / ".hydra" / "config.yaml"
        self.evaluations_path = folder / "evaluations.json"

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
    def has_checkpoint(self) -> bool:
        """Whether training can resume here."""
        return self.last.is_file()

    @property
    def status(self) -> str:
        """The outcome that `results.json` records, or `damaged`, which must not hide the other runs of a sweep."""
        return DAMAGED if self.damage else str(self.results.get("status", UNFINISHED))

    @property
    def finished(self) -> bool:
        """Whether the run has the perplexities that the table needs."""
        return self.status == FINISHED

    @property
    def error(self) -> str:
        """The first line of the recorded error, or an empty string."""
        return self.damage or (str(self.results.get("error") or "").strip().splitlines() or [""])[0]

    @property
    def damage(self) -> str:
        """One sentence about the first text file of the run that cannot be read, or an empty string."""
        for name in ("results", "config", "overrides", "_hydra", "epochs"):
            getattr(self, name)  # reads the file
        return next(iter(self._damage.values()), "")

    @cached_property
    def results(self) -> dict[str, Any]:
        """The content of `results.json`, empty if it is missing or damaged."""
        return self._read(self.results_path, parse_results, {})

    def result(self, key: str) -> Any:
        """Return a dotted entry of `results.json`, such as `best.valid_ppl`, or None."""
        found: Any = self.results
        for name in key.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def write_results(self, results: dict[str, Any]) -> None:
        """Write `results.json`, whole or not at all."""
        write_json(self.results_path, results)
        self._damage.pop(self.results_path, None)
        self.results = results

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The entries of `evaluations.json`. Raises ValueError if it is damaged."""
        return read_evaluations(self.evaluations_path)

    def append_evaluation(self, entry: dict[str, Any]) -> None:
        """Append an entry to `evaluations.json`, whole or not at all; other processes wait meanwhile.

        Raises ValueError if the file is damaged.
        """
        with waiting_lock(self.folder):
            write_json(self.evaluations_path, [*self.evaluations, entry])

    @cached_property
    def nats(self) -> dict[str, Any]:
        """The arrays of `nats.npz`, empty if it is missing. Raises ValueError if it is damaged."""
        return read_arrays(self.nats_path)

    def write_outcome(self, status: str, error: str) -> None:
        """Write the `results.json` of a run that has no results. Those of a finished run stay."""
        if not RunDir(self.folder).finished:
            self.write_results({"status": status, "error": error})

    def delete_results(self) -> None:
        """Delete `results.json`, because training continues."""
        self.results_path.unlink(missing_ok=True)
        self._damage.pop(self.results_path, None)
        self.results = {}

    def delete_temporary_files(self) -> None:
        """Delete what `write_atomically` left here when an earlier process was killed."""
        files = (self.results_path, self.epochs_path, self.nats_path, self.evaluations_path, self.config_path)
        for path in (self.best, self.last, *files):
            for temporary in path.parent.glob(f".{path.name}.*"):
                temporary.unlink(missing_ok=True)

    def is_finished(self, epochs: int) -> bool:
        """Return whether the run has its results after that many epochs, or has stopped early."""
        ended = self.results.get("epochs") == epochs or self.results.get("stopped_early", False)
        return self.has_checkpoint and self.finished and ended

    @property
    def epochs(self) -> list[dict[str, float]]:
        """The rows of `epochs.csv`, without the cells that are empty and a row that is still being written."""
        return self._read(self.epochs_path, parse_epochs, [])

    def write_epochs(self, rows: Sequence[dict[str, float | None]]) -> None:
        """Write `epochs.csv`, whole or not at all; None becomes an empty cell."""
        with write_atomically(self.epochs_path) as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def saved_config(self) -> DictConfig:
        """Return the config that the run was started with, as `read_config` does and with its errors."""
        return read_config(self.config_path)

    def save_epochs(self, epochs: int) -> None:
        """Write the number of epochs into the saved config, so that the next resume trains to that number too."""
        if self.config_path.is_file() and (config := self.saved_config()).epochs != epochs:
            config.epochs = epochs
            with write_atomically(self.config_path) as file:
                OmegaConf.save(config, file)

    @cached_property
    def config(self) -> DictConfig:
        """The saved config for a report: empty if it is missing or damaged."""
        return self._read(self.config_path, parse_run_config, DictConfig({}))

    @cached_property
    def overrides(self) -> list[str]:
        """The overrides of the run's command line."""
        return self._read(self.folder / ".hydra" / "overrides.yaml", parse_overrides, [])

    @cached_property
    def overridden(self) -> dict[str, str]:
        """The names of the overrides, with their values as text."""
        pairs = (override.partition("=") for override in self.overrides)
        return {key.lstrip("+~"): text for key, _, text in pairs}

    @cached_property
    def _hydra(self) -> dict[str, Any]:
        return self._read(self.folder / ".hydra" / "hydra.yaml", parse_hydra, {})

    @property
    def choices(self) -> dict[str, Any]:
        """The chosen option of each config group."""
        return dict(self._hydra.get("choices", {}))

    @property
    def number(self) -> int:
        """The position in its sweep, counted from 0."""
        found = self._hydra.get("number")
        return found if isinstance(found, int) else 0

    def _read(self, path: Path, parse: Callable[[str], Content], missing: Content) -> Content:
        """Return what a text file of the run holds; a damaged one counts as missing, and is recorded.

        Any exception is damage: PyYAML and OmegaConf raise nearly everything for files that are cut off or overwritten.
        """
        if not path.is_file():
            return missing
        try:
            return parse(path.read_text(encoding="utf-8"))
        except Exception as error:
            found = f"is damaged ({type(error).__name__}): copy the run again, or train it again"
            if isinstance(error, PermissionError):
                found = "cannot be read, permission denied: change its permissions"
            self._damage[path] = f"{path.relative_to(self.folder)} {found}"
            return missing

    def value(self, key: str) -> Value:
        """Return the value of a config key or group; None if it is missing, or known to the training process alone."""
        if key in self.choices:
            return None if self.choices[key] in (None, "null") else str(self.choices[key])
        try:
            value = OmegaConf.select(self.config, key)
        except (OmegaConfBaseException, RecursionError):
            return None
        if isinstance(value, DictConfig) and isinstance(name := value.get("name"), str):
            return name  # a group of a run whose `hydra.yaml` does not name the choice
        return value if isinstance(value, str | int | float | bool | None) else str(value)

    def checkpoint(self, name: str) -> dict[str, Any]:
        """Return the checkpoint `best` or `last`, as `read_checkpoint` does and with its errors."""
        return read_checkpoint(self.checkpoints / f"{name}.ckpt")
