"""The registry of loggers: Lightning's own, as `logger=` chooses one or several of them.

python -m lm.train logger=csv
python -m lm.train logger=[tensorboard,wandb] logger.wandb.project=ptb

A new logger is an entry in `LOGGERS` and a file in `conf/logger/`.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lm.checks import check_choice, check_group, check_installed, unexpected
from lm.run_dir import RunDir

LoggerOptions = dict[str, Any]


@dataclass(frozen=True)
class LoggerEntry:
    """One of Lightning's loggers.

    Args:
        class_name: in `pytorch_lightning.loggers`.
        arguments: the arguments for a run that resumes from a step, or from None if it is new.
        package: the module that it imports, and the extra of this project that installs it; empty: none.
    """

    class_name: str
    arguments: Callable[[RunDir, int | None], LoggerOptions]
    package: str = ""


def _tensorboard(run: RunDir, resumed_from: int | None) -> LoggerOptions:
    # TensorBoard hides what a killed run logged after the step to resume from. It does so from the second `purge_step`
    # of a run on: the first one only marks the start.
    purge_step = 0 if resumed_from is None else resumed_from + 1
    place = {"save_dir": run.folder.parent, "name": "", "version": run.folder.name}
    return {**place, "default_hp_metric": False, "purge_step": purge_step}


def _csv(run: RunDir, resumed_from: int | None) -> LoggerOptions:
    # Lightning deletes the earlier table of a folder.
    return {"save_dir": run.folder, "name": "", "version": "csv" if resumed_from is None else f"csv_{resumed_from}"}


def _wandb(run: RunDir, resumed_from: int | None) -> LoggerOptions:
    folder = hashlib.sha256(str(run.folder.resolve()).encode()).hexdigest()
    return {"save_dir": run.folder, "name": run.name, "id": folder[:16], "resume": "allow"}


def _mlflow(run: RunDir, resumed_from: int | None) -> LoggerOptions:
    return {"run_name": run.name}


LOGGERS = {
    "tensorboard": LoggerEntry("TensorBoardLogger", _tensorboard),
    "csv": LoggerEntry("CSVLogger", _csv),
    "wandb": LoggerEntry("WandbLogger", _wandb, "wandb"),
    "mlflow": LoggerEntry("MLFlowLogger", _mlflow, "mlflow"),
}


def check_loggers(name: str, value: object) -> None:
    """Raise a ValueError unless `value` has options for loggers of the registry whose packages are installed."""
    if not isinstance(value, Mapping):
        raise unexpected(name, "loggers with their options", value, "tensorboard")
    for logger, options in value.items():
        check_choice(name, logger, LOGGERS)
        check_group(f"{name}.{logger}", options)
        package = LOGGERS[logger].package
        if package:
            check_installed(package, package, f"logger={logger}")


def make_loggers(
    chosen: Mapping[str, LoggerOptions], run: RunDir, hparams: LoggerOptions, resumed_from: int | None
) -> list[Any]:
    """Return the chosen loggers, with the hyperparameters of the run.

    Their options are further arguments of Lightning's classes. `resumed_from` is a step, or None for a new run.

    Raises:
        ValueError: if a logger has no such option.
    """
    return [_make(name, options, run, hparams, resumed_from) for name, options in chosen.items()]


def _make(name: str, options: LoggerOptions, run: RunDir, hparams: LoggerOptions, resumed_from: int | None) -> Any:
    entry = LOGGERS[name]
    try:
        logger = getattr(import_module("pytorch_lightning.loggers"), entry.class_name)(
            **entry.arguments(run, resumed_from) | options
        )
    except TypeError as error:
        raise ValueError(
            f"expected arguments of Lightning's {entry.class_name} in logger.{name}, found: {error}; leave it out"
        ) from error
    if name == "tensorboard":
        logger.hparams = hparams  # Lightning writes hparams.yaml once, before it has any
    else:
        logger.log_hyperparams(hparams)
    return logger


def log_results(loggers: Sequence[Any], best: Mapping[str, Any]) -> None:
    """Log the perplexities of the best weights; in TensorBoard beside the hyperparameters of the run."""
    metrics = {f"result/{name}": best[name] for name in ("valid_ppl", "test_ppl")}
    for logger in loggers:
        if type(logger).__name__ == LOGGERS["tensorboard"].class_name:
            logger.log_hyperparams(logger.hparams, metrics)
        else:
            logger.log_metrics(metrics)
        logger.finalize("success")


@contextmanager
def closing_loggers() -> Iterator[None]:
    """End the run of Weights & Biases with the block, or the next run of this process would continue it."""
    try:
        yield
    finally:
        if (wandb := sys.modules.get("wandb")) is not None and wandb.run is not None:
            wandb.finish()
