"""The resolvers of `conf/`, such as `${by_dropout:${dropout},5,4}`: import this before a config is resolved."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from omegaconf import OmegaConf


def either(option: Any, value: Any, otherwise: Any) -> Any:
    """Return one of two values, depending on whether an option is on: neither 0 nor false."""
    return value if option else otherwise


def run_folder(resume: str | None, otherwise: str) -> str:
    """Return the folder of the run to resume, or else a new one.

    Raises:
        FileNotFoundError: if there is no run in the folder to resume.
    """
    from lm.run_dir import RunDir

    return otherwise if resume is None else str(RunDir.existing(resume).folder)


def config_folder(folder: str) -> str | None:
    """Return where Hydra saves the config in a run's folder: nowhere if a run resumes, which has its config."""
    return None if (Path(folder) / "checkpoints" / "last.ckpt").is_file() else ".hydra"


@cache
def temporary_folder() -> str:
    """Return a folder for what Hydra writes about a sweep, which is deleted when this process ends."""
    folder = tempfile.mkdtemp(prefix="lm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def gpus_here(gpus_per_run: float) -> float:
    """Return how much of a GPU a run on this machine uses: nothing if there is none."""
    import torch  # composing other configs is fast without it

    return gpus_per_run if torch.cuda.is_available() else 0


RESOLVERS = {
    "by_dropout": "lm.resolvers:either",
    "config_folder": "lm.resolvers:config_folder",
    "cores": "lm.sweeps.cores:cores",
    "cores_per_run": "lm.sweeps.cores:cores_per_run",
    "gpus_here": "lm.resolvers:gpus_here",
    "if_tied": "lm.resolvers:either",
    "matching_hidden_size": "lm.models.parameter_count:matching_hidden_size",
    "run_folder": "lm.resolvers:run_folder",
    "run_name": "lm.sweeps.sweep_dir:name_in_sweep",
    "temporary_folder": "lm.resolvers:temporary_folder",
    "unfinished_sweep": "lm.sweeps.sweep_dir:unfinished_sweep",
}
"""The function of each resolver as "module:function". It is imported when a config needs it."""


for name, function in RESOLVERS.items():
    OmegaConf.register_new_resolver(name, lambda *arguments, of=function: resolve_name(of)(*arguments), replace=True)
