"""Hydra from Python: the options of a command composed, and a command run, without a command line."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lm.cli import ON_EXIT, Task, explain
from lm.did_you_mean import CONFIGS, option_names, unknown_addition, unknown_option, wrong_choice
from lm.overrides import split_arguments

_LOCK = threading.RLock()
"""Hydra keeps what it has initialised in one place for all threads."""


def compose_options(config_name: str, options: Mapping[str, Any]) -> DictConfig:
    """Return the options of a command: these, and the defaults of `conf/<config_name>.yaml` for all others.

    Raises:
        ValueError: if the command has no such option.
    """
    with _initialized(config_name):
        config = compose(config_name)
        for name in names_of(options):
            if name not in option_names(config):
                raise ValueError(unknown_option(name, config_name, f"{name}="))
    return OmegaConf.merge(config, _as_config(options))  # type: ignore[return-value]


def names_of(options: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of options, such as `cache` and `cache.theta`."""
    return list(option_names(_as_config(options)))


def _as_config(options: Mapping[str, Any]) -> DictConfig:
    """Return options as a config.

    Raises:
        ValueError: if a value is neither a number nor a text, nor a list or a mapping of them.
    """
    try:
        return OmegaConf.create(_plain(options))  # type: ignore[no-any-return]
    except OmegaConfBaseException as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _plain(value: Any) -> Any:
    """Return an option, or a mapping of them, with numbers of Python for those of NumPy and PyTorch."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value.item() if hasattr(value, "item") else value


@contextmanager
def _initialized(config_name: str) -> Iterator[None]:
    """Initialise Hydra within the block: one thread at a time, and even in a program that uses Hydra itself."""
    with _LOCK:
        before, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
        try:
            with initialize_config_dir(str(CONFIGS), version_base="1.3", job_name=config_name):
                yield
        finally:
            GlobalHydra.instance().hydra = before


def run_task(config_name: str, task: Task, overrides: Sequence[str], literal: Sequence[str]) -> Path:
    """Run a command's task as its command line does with these overrides, and return the folder of its output.

    `literal` is that of `lm.cli.command`.

    Raises:
        ValueError: where the command would end with a sentence.
        KeyboardInterrupt: if a signal has stopped it.
    """
    overrides = _checked(overrides, literal)
    try:
        with _initialized(config_name), _own_logging():
            if found := wrong_choice(overrides) or unknown_addition(config_name, overrides):
                raise ValueError(found)
            job = GlobalHydra.instance().hydra.run(config_name, task, list(overrides))  # type: ignore[union-attr]
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(explain(config_name, error)) from error
    except SystemExit as end:
        if isinstance(end.code, str):
            raise ValueError(end.code.removeprefix("error: ")) from end
        raise KeyboardInterrupt from end
    finally:
        ON_EXIT.close()
    return Path(job.hydra_cfg.hydra.runtime.output_dir)  # type: ignore[union-attr]


def _checked(overrides: Sequence[str], literal: Sequence[str]) -> list[str]:
    if isinstance(overrides, str):
        raise ValueError(f"expected a list of overrides, found the text {overrides!r}: type [{overrides!r}]")
    checked, flags = split_arguments(overrides, literal)
    if flags:
        raise ValueError(f"expected overrides such as 'cell=gru', found {flags[0]}: leave it out")
    return checked


@contextmanager
def _own_logging() -> Iterator[None]:
    """Give the process its log handlers back, which Hydra replaces by those of the run."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
