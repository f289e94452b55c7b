"""What every command shares: Hydra composes its config, and errors that the user can fix end in one sentence.

Shell completion comes with the console scripts: eval "$(lm-train -sc install=bash)"
"""

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator, ExitStack
from functools import wraps
from inspect import cleandoc
from typing import Any

import hydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

import lm.resolvers  # noqa: F401  # registers them
from lm.checks import install_command
from lm.did_you_mean import CONFIGS, did_you_mean, unknown_addition, wrong_choice
from lm.output import discard, prepare_streams, print_note
from lm.overrides import split_arguments

ON_EXIT = ExitStack()
"""What is undone when the command ends, however that is: locks, signal handlers, unused folders."""

USER_ERRORS = (ValueError, OSError, MemoryError, OmegaConfBaseException)
"""Errors that the user can fix. They are printed in one sentence, without a traceback."""

EXTRAS = {"ray": "ray", "submitit_slurm": "slurm"}
"""Hydra's launchers, and this project's extras that install them."""

Task = Callable[[DictConfig], Any]


def command(config_name: str, literal: Sequence[str] = ()) -> Callable[[Task], Callable[[], None]]:
    """Make a function of a config a command: Hydra composes `conf/<config_name>.yaml` with the overrides.

    Args:
        config_name: the name of the config, and of the command.
        literal: options whose values are taken as they are typed, commas, quotes, `<` and `$` included.
    """

    def decorate(task: Task) -> Callable[[], None]:
        run = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(
            exit_on_user_error()(task)
        )

        @wraps(task)
        def main() -> None:
            prepare_streams()
            # Without it Hydra prints its errors over several lines, and a traceback of those of the task.
            os.environ["HYDRA_FULL_ERROR"] = "1"
            OmegaConf.register_new_resolver("usage", lambda: usage(task), replace=True)
            with exit_on_user_error():
                overrides, flags = split_arguments(sys.argv[1:], literal)
            sys.argv[1:] = [*overrides, *flags]
            run_and_explain(run, config_name, overrides)

        return main

    return decorate


def run_and_explain(run: Callable[[], None], config_name: str, overrides: Sequence[str]) -> None:
    """Run a command by Hydra; errors that the user can fix end it in one sentence."""
    try:
        if found := wrong_choice(overrides) or unknown_addition(config_name, sys.argv[1:]):
            sys.exit(f"error: {found}")
        run()
    except BrokenPipeError:
        sys.exit(discard(sys.stdout))
    except (HydraException, RuntimeError, *USER_ERRORS) as error:
        found = explain(config_name, error)
        if isinstance(error, RuntimeError) and found == one_line(error):
            raise  # a bug
        sys.exit(f"error: {found}")
    except KeyboardInterrupt:
        print_note("stopped by SIGINT")
        sys.exit(130)  # the status that shells use for SIGINT
    finally:
        ON_EXIT.close()


def usage(task: Task) -> str:
    """Return the docstring of a command's module for the template of Hydra's help, in which `$$` is a `$`."""
    return cleandoc(sys.modules[task.__module__].__doc__ or "").replace("$", "$$")


class exit_on_user_error(ContextDecorator):
    """Turn errors that the user can fix into an exit with one sentence. Launchers pickle what this decorates."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, USER_ERRORS):
            sys.exit(f"error: {one_line(error)}")


def explain(config_name: str, error: Exception) -> str:
    """Return in one sentence what an error of Hydra's, or of the system, means for a command."""
    return missing_extra(error) or did_you_mean(config_name, error) or one_line(error)


def missing_extra(error: Exception) -> str | None:
    """Return what to install if the package of a launcher is missing."""
    for plugin, extra in EXTRAS.items():
        if f"'hydra/launcher/{plugin}'" in str(error):
            return f"expected the package of Hydra's launcher {plugin}, found none: type {install_command(extra)}"
    return None


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    if isinstance(error, OSError) and error.strerror:
        place = "a file or folder" if error.filename is None else f"the file or folder '{error.filename}'"
        advice = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "type another one"
        return f"expected to use {place}, found: {error.strerror}; {advice}"
    if str(error).startswith("Error merging override") and error.__cause__:
        return one_line(error.__cause__)  # Hydra's own message does not say what is wrong
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, ValueError):
        return one_line(error.__cause__)  # what a launcher or a sweeper refuses
    if isinstance(error, InterpolationResolutionError) and isinstance(error.__context__, Exception):
        return one_line(error.__context__)  # the error of a resolver, without the way to it through the config
    text = re.split(r"Config search path|\s+full_key:", str(error))[0]
    key = getattr(error, "full_key", None)
    found = f"expected a value of {key}, found: {text}" if key and str(key) not in text else text
    return " ".join(found.split())
