"""One run folder: what is in it, how it is written and read back."""

import csv
import json
import logging
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from lm.atomic_files import write_atomically, write_json
from lm.config import Config, config_key
from lm.data.corpus import Corpus
from lm.data.vocabulary import Vocabulary
from lm.models.language_model import LanguageModel

log = logging.getLogger(__name__)

DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, ValueError, OSError)
"""What PyTorch raises on files that are cut off, overwritten or no checkpoint at all."""


def metadata(settings: Config, corpus: Corpus) -> dict[str, Any]:
    """Return what a checkpoint says of itself, in plain values, so that it can be read without the corpus."""
    return {
        "settings": asdict(settings),
        "corpus": {"name": corpus.name, "sha256": corpus.sha256},
        "words": list(corpus.vocabulary.words),
    }


class RunMismatch(ValueError):
    """A folder holds a run of other settings or of another corpus than the one that is to go there."""


class RunDir:
    """The folder of one run.

    Args:
        folder: where it is or will be.
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
            FileNotFoundError: where there is none.
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
        """Whether there is a checkpoint to go on from."""
        return self.last.is_file()

    def config(self) -> DictConfig:
        """Return the config that the run was started with.

        Raises:
            FileNotFoundError: where it was not saved.
        """
        if not self.config_path.is_file():
            raise FileNotFoundError(
                f"expected the run's config, found no file '{self.config_path}': "
                "copy the run folder again, with .hydra in it"
            )
        return OmegaConf.create(OmegaConf.to_container(OmegaConf.load(self.config_path)))  # type: ignore[return-value]

    def save_epochs(self, epochs: int) -> None:
        """Have the saved config say how long the run is to be now, so that it goes on to there the next time, too."""
        if self.config_path.is_file() and (config := self.config()).epochs != epochs:
            config.epochs = epochs
            with write_atomically(self.config_path) as file:
                OmegaConf.save(config, file)

    def finished(self, epochs: int) -> bool:
        """Say whether the run has its results, of so many epochs."""
        if not (self.has_checkpoint and self.results_path.is_file()):
            return False
        results = self.results()
        return bool(results["status"] == "finished" and results["epochs"] == epochs)

    def epochs(self) -> list[dict[str, float]]:
        """Return the rows of `epochs.csv`."""
        with self.epochs_path.open(encoding="utf-8", newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    def results(self) -> dict[str, Any]:
        """Return what `results.json` holds."""
        values: dict[str, Any] = json.loads(self.results_path.read_text(encoding="utf-8"))
        return values

    def write_results(self, results: dict[str, Any]) -> None:
        """Write `results.json`, whole or not at all."""
        write_json(self.results_path, results)

    def checkpoint(self, name: str) -> dict[str, Any]:
        """Return the checkpoint `best` or `last` as plain values and tensors, on the CPU.

        Raises:
            FileNotFoundError: where there is none of that name.
            ValueError: where the file is damaged, or no checkpoint of this project.
        """
        path = self.checkpoints / f"{name}.ckpt"
        if not path.is_file():
            raise FileNotFoundError(f"expected a checkpoint, found no file '{path}': type the folder of a trained run")
        try:
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            checkpoint["metadata"], checkpoint["state_dict"]
        except DAMAGE as error:
            raise _damaged(path, error) from error
        return checkpoint

    def check_resumable(self, metadata: dict[str, Any]) -> None:
        """Make sure that the last checkpoint is of the same settings and the same corpus, and not past the last epoch.

        Raises:
            RunMismatch: where it is not.
            ValueError: where it is damaged, and the run can't do without.
        """
        checkpoint = self._newest(metadata["settings"]["epochs"])
        found, begun = checkpoint["metadata"], checkpoint["epoch"] + 1
        if found["corpus"] != metadata["corpus"]:
            raise RunMismatch(
                f"expected the corpus {_corpus(found)} that '{self.folder}' was trained on, found {_corpus(metadata)}: "
                "type the data options of that run, or another folder"
            )
        for name, value in asdict(Config(**found["settings"])).items():
            asked, key = metadata["settings"][name], config_key(name)
            if asked != value and not (name == "epochs" and asked >= begun):
                raise RunMismatch(
                    f"expected {key}={value} as '{self.folder}' was trained with, found {asked}: "
                    f"type {key}={value}, or another folder"
                )

    def _newest(self, epochs: int) -> dict[str, Any]:
        """Return the last checkpoint; a run that is finished is known by its best one, too."""
        try:
            return self.checkpoint("last")
        except ValueError as error:
            if not self.finished(epochs):
                raise
            log.warning(f"the results stay, but {error}")
            return self.checkpoint("best")

    def load(self, name: str = "best") -> tuple[LanguageModel, Vocabulary, dict[str, Any]]:
        """Return the model with the weights of the checkpoint `best` or `last`, its vocabulary, and its metadata.

        Raises:
            FileNotFoundError, ValueError: as `checkpoint`.
        """
        checkpoint = self.checkpoint(name)
        try:
            vocabulary = Vocabulary(checkpoint["metadata"]["words"])
            settings = Config(**checkpoint["metadata"]["settings"])
            model = LanguageModel(len(vocabulary), **settings.model_arguments())
            model.load_state_dict(_without_prefix(checkpoint["state_dict"], "model."))
        except DAMAGE as error:
            raise _damaged(self.checkpoints / f"{name}.ckpt", error) from error
        return model.eval(), vocabulary, checkpoint["metadata"]


def _corpus(metadata: dict[str, Any]) -> str:
    return f"{metadata['corpus']['name']} ({metadata['corpus']['sha256'][:12]})"


def _without_prefix(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"expected a checkpoint of this project, found '{path}' damaged or of another kind ({type(error).__name__}): "
        "delete it and train the run again, or copy it again"
    )
