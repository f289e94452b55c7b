"""What every command shares: how its config is composed, the words a config may compute with, how errors are told."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from lm.did_you_mean import CONFIGS, did_you_mean, unknown_addition
from lm.models.parameter_count import matching_hidden_size
from lm.output import prepare_streams
from lm.sweeps.cores import cores, cores_per_run, num_workers

EXCLUDED_FROM_RUN_NAME = ("data.dir", "resume")
"""Options that say where files lie rather than which run it is, and so don't belong in its name."""

USER_ERRORS = (ValueError, OSError, MemoryError, OmegaConfBaseException)
"""Errors that the user can mend: told in one sentence, without a traceback."""

EXTRAS = {"joblib": "local", "ray": "ray", "submitit_slurm": "slurm"}
"""Hydra's launchers, and this project's extras that install them."""

Task = Callable[[DictConfig], Any]


def command(config_name: str) -> Callable[[Task], Callable[[], None]]:
    """Make a function of a config a command: Hydra composes `conf/<config_name>.yaml` and what was typed.

    What the user can mend ends in one sentence on the terminal and exit status 1; all else keeps its traceback.
    """

    def decorate(task: Task) -> Callable[[], None]:
        composed = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(
            exit_on_user_error(task)
        )

        @wraps(task)
        def main() -> None:
            prepare_streams()
            # Left to itself, Hydra tells its errors over several lines, and those of the task with a traceback.
            os.environ["HYDRA_FULL_ERROR"] = "1"
            if found := unknown_addition(config_name, sys.argv[1:]):
                sys.exit(f"error: {found}")
            try:
                composed()
            except (HydraException, OmegaConfBaseException, OSError) as error:
                sys.exit(f"error: {missing_extra(error) or did_you_mean(config_name, error) or sentence(error)}")
            except KeyboardInterrupt:
                sys.exit(130)  # as shells have it for SIGINT

        return main

    return decorate


def exit_on_user_error(task: Task) -> Task:
    """Turn what the user can mend into an exit with one sentence."""

    @wraps(task)
    def wrapped(config: DictConfig) -> Any:
        try:
            return task(config)
        except USER_ERRORS as error:
            sys.exit(f"error: {sentence(error)}")

    return wrapped


def missing_extra(error: Exception) -> str | None:
    """Return what to install where a launcher's package is missing."""
    for plugin, extra in EXTRAS.items():
        if f"'hydra/launcher/{plugin}'" in str(error):
            return f"expected the package of Hydra's launcher {plugin}, found none: type pip install -e '.[{extra}]'"
    return None


def sentence(error: Exception) -> str:
    """Return what an error says as one line."""
    if isinstance(error, OSError) and error.strerror:
        place = "a file or folder" if error.filename is None else f"the file or folder '{error.filename}'"
        advice = "make room for it" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "type another one"
        return f"expected to use {place}, found: {error.strerror}; {advice}"
    if isinstance(error, InterpolationResolutionError) and isinstance(error.__context__, Exception):
        return sentence(error.__context__)  # of what a config computes: its own words, not the config's way to it
    text, _, _ = str(error).partition("Config search path")
    return " ".join(text.split())


def by_dropout(dropout: float, with_dropout: Any, without_dropout: Any) -> Any:
    """Choose a value by whether there is dropout."""
    return with_dropout if dropout else without_dropout


def run_name(overrides: Sequence[str]) -> str:
    """Name a run of a sweep by what was typed for it, as `cell=gru,dropout=0.25`."""
    return ",".join(f"{key}={value}" for key, value in named_options(overrides).items()) or "default"


def named_options(overrides: Sequence[str]) -> dict[str, str]:
    """Return what was typed for a run that belongs to its name; numbers are written one way only."""
    pairs = (override.lstrip("+").partition("=") for override in overrides)
    return {key: _plain(value) for key, _, value in pairs if key not in EXCLUDED_FROM_RUN_NAME}


def _plain(value: str) -> str:
    try:
        return f"{float(value):g}" if "." in value or "e" in value.lower() else value
    except ValueError:
        return value.replace("/", "-")


def run_folder(resume: str | None, otherwise: str) -> str:
    """Return the folder of the run to go on with, or else a new one.

    Raises:
        FileNotFoundError: where the folder to go on with holds no run.
    """
    from lm.run_dir import RunDir  # here, for most commands need no torch to compose their config

    return otherwise if resume is None else str(RunDir.existing(resume).folder)


def config_folder(folder: str) -> str | None:
    """Return where in a run's folder Hydra is to save the config: nowhere, where the run has one and goes on."""
    return None if (Path(folder) / "checkpoints" / "last.ckpt").is_file() else ".hydra"


def gpus_here(gpus_per_run: float) -> float:
    """Return how much of a GPU a run on this machine takes: nothing where there is none."""
    import torch  # here, for most commands need no torch to compose their config

    return gpus_per_run if torch.cuda.is_available() else 0


OmegaConf.register_new_resolver("by_dropout", by_dropout, replace=True)
OmegaConf.register_new_resolver("config_folder", config_folder, replace=True)
OmegaConf.register_new_resolver("cores", cores, replace=True)
OmegaConf.register_new_resolver("cores_per_run", cores_per_run, replace=True)
OmegaConf.register_new_resolver("gpus_here", gpus_here, replace=True)
OmegaConf.register_new_resolver("matching_hidden_size", matching_hidden_size, replace=True)
OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
OmegaConf.register_new_resolver("run_name", run_name, replace=True)
OmegaConf.register_new_resolver("workers", num_workers, replace=True)
