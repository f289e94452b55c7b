"""What a checkpoint records about its run, and whether a command may resume it."""

import logging
from typing import Any

import pytorch_lightning as pl

from lm.checks import as_typed
from lm.cli import USER_ERRORS
from lm.config import Config, config_key, option_of
from lm.data.corpus import Corpus
from lm.run_dir import RunDir
from lm.training.schedules import SCHEDULES

log = logging.getLogger(__name__)


RESTORED = {"epoch", "global_step", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers", "states"}
"""The entries of a checkpoint that an exact continuation needs."""


class RunMismatch(ValueError):
    """A folder holds a run with another config or another corpus than the one that is to be trained there."""


def metadata(config: Config, corpus: Corpus) -> dict[str, Any]:
    """Return plain values with which a checkpoint can be read without the corpus."""
    return {
        "config": config.defining(),
        "corpus": {"name": corpus.name, "sha256": corpus.sha256},
        "words": list(corpus.vocabulary.words),
    }


def check_resumable(run: RunDir, metadata: dict[str, Any]) -> None:
    """Check that the last checkpoint has the same config and the same corpus, and is not past the last epoch.

    Raises:
        RunMismatch: if it is not.
        ValueError: if it is of another run than its folder, or damaged, and the run is not finished.
    """
    checkpoint = _newest(run, metadata["config"]["epochs"])
    found, started = checkpoint["metadata"], checkpoint["epoch"] + 1
    if found["corpus"] != metadata["corpus"]:
        raise RunMismatch(
            f"expected the corpus {_corpus(found)} that '{run.last}' was trained on, found {_corpus(metadata)}: "
            "type the data options of that run, or another folder"
        )
    for name, value in found["config"].items():
        asked = metadata["config"].get(name)
        trains_longer = name == "epochs" and asked is not None and asked >= started
        if asked != value and not (trains_longer and not SCHEDULES[found["config"]["schedule"]].to_the_end):
            expected, other = _difference(name, value, asked)
            if name != "epochs" and _of_another_run(run, name, value):
                raise ValueError(
                    f"expected the run's own checkpoint in '{run.last}', found one of a run with {expected}: "
                    "copy the run folder again, or type another folder"
                )
            raise RunMismatch(
                f"expected {expected}, with which '{run.folder}' was trained, found {other}: "
                f"type {expected}, or another folder"
            )


def check_restorable(run: RunDir, module: pl.LightningModule) -> int:
    """Check that training can resume from the checkpoints, and return the number of steps that were done.

    Raises:
        ValueError, FileNotFoundError: if a checkpoint is missing, damaged, incomplete, or of a model of another shape.
    """
    checkpoint = run.checkpoint("last")
    if missing := RESTORED - checkpoint.keys():
        raise _unusable(run, f"no {min(missing)}")
    shapes, expected = (
        {name: tuple(value.shape) for name, value in values.items() if name.startswith("model.")}
        for values in (checkpoint["state_dict"], module.state_dict())
    )
    if shapes != expected:
        name = min(key for key in shapes.keys() | expected.keys() if shapes.get(key) != expected.get(key))
        raise _unusable(run, f"{name} of shape {shapes.get(name)} instead of {expected.get(name)}")
    if any(state.get("best_model_path") for state in checkpoint["callbacks"].values()):
        run.checkpoint("best")  # the final evaluation needs it
    return int(checkpoint["global_step"])


def _unusable(run: RunDir, found: str) -> ValueError:
    return ValueError(
        f"expected everything that training needs to resume in '{run.last}', found {found}: "
        "copy the run folder again, or type another folder"
    )


def _newest(run: RunDir, epochs: int) -> dict[str, Any]:
    """Return the last checkpoint, or the best one of a finished run whose last one is damaged."""
    try:
        return run.checkpoint("last")
    except ValueError as error:
        if not run.is_finished(epochs):
            raise
        log.warning(f"the results are kept, but {error}")
        return run.checkpoint("best")


def _difference(name: str, value: Any, asked: Any) -> tuple[str, str]:
    """Return the first option of a field that differs, as it is typed, and the value that was asked for."""
    if isinstance(value, dict) and isinstance(asked, dict):
        option = next(key for key in value | asked if value.get(key) != asked.get(key))
        return f"{option_of(name, option)}={as_typed(value.get(option))}", as_typed(asked.get(option))
    return f"{config_key(name)}={as_typed(value)}", as_typed(asked)


def _of_another_run(run: RunDir, key: str, value: Any) -> bool:
    """Return whether the config beside a checkpoint has another value than the checkpoint."""
    try:
        return bool(Config.from_hydra(run.saved_config()).defining().get(key) != value)
    except USER_ERRORS:
        return False


def _corpus(metadata: dict[str, Any]) -> str:
    return f"{metadata['corpus']['name']} ({metadata['corpus']['sha256'][:12]})"
