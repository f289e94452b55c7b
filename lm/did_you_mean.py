"""The options that a command has, by which a misspelt one is refused, with the one that may be meant."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

CONFIGS = Path(__file__).parents[1] / "conf"

OPEN_PREFIXES = ("trainer.", "hydra.", "hydra/")
"""Where an option may be new: arguments of Lightning's and of Hydra's that `conf/` does not write out."""

USER_CONFIG_FLAGS = ("--config-", "-cd", "-cp", "-cn", "hydra.searchpath=")
"""What a user's own configs begin with, whose options are not known here."""

MATCH_CUTOFF = 0.9
"""How alike two names are, of 1, that can't but be the same where there are others that are not known here."""


def unknown_addition(config_name: str, typed: Sequence[str]) -> str | None:
    """Return in a sentence what is typed with a plus and would never be read, as in `+cel=gru`."""
    if any(argument.lstrip("+").startswith(USER_CONFIG_FLAGS) for argument in typed):
        return None
    for argument in (argument for argument in typed if argument.startswith("+") and "=" in argument):
        name = argument.lstrip("+").partition("=")[0]
        if not name.startswith(OPEN_PREFIXES) and name not in options(config_name):
            return unknown_option(name, config_name, argument)
    return None


def did_you_mean(config_name: str, error: Exception) -> str | None:
    """Return in a sentence which option Hydra has not found, if that is its error; it would advise to add it.

    None where that is good advice: an argument of Lightning's or Hydra's that `conf/` does not write out takes a plus.
    """
    match = re.match(r"Could not override '([^']+)'", str(error))
    if match is None:
        return None
    name, known = match[1], options(config_name)
    if name.startswith(OPEN_PREFIXES) and (name in known or not get_close_matches(name, known, cutoff=MATCH_CUTOFF)):
        return None
    if name in known:
        return f"expected an option of what is chosen, found {name}=: type {known[name]} with it, or leave it out"
    return unknown_option(name, config_name, f"{name}=")


def unknown_option(name: str, config_name: str, typed: str) -> str:
    """Return in a sentence that a command has no such option, and which one may be meant."""
    close = get_close_matches(name, options(config_name), n=1)
    advice = f"type {close[0]}=" if close else f"python -m lm.{config_name} --cfg job shows them"
    return f"expected an option of lm.{config_name}, found {typed}: {advice}"


def options(config_name: str) -> dict[str, str]:
    """Return the names of a command's options and groups of options, `data.dir` and `data`.

    Beside each stands a choice that has it, as `data=ptb`; nothing where all have it.
    """
    found: dict[str, str] = {}
    for name, choice in _of_file(CONFIGS / f"{config_name}.yaml", prefix="", choice=""):
        found.setdefault(name, choice)
    return found


def _of_file(path: Path, prefix: str, choice: str) -> Iterator[tuple[str, str]]:
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    content: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    defaults = content.pop("defaults", [])
    yield from ((name, choice) for name in _names(content, prefix))
    for default in defaults:
        if isinstance(default, str) and default != "_self_":
            yield from _of_file(CONFIGS / f"{default}.yaml", prefix, choice)
        elif isinstance(default, dict):
            yield from _of_groups(default)


def _of_groups(default: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for group in (name for name in default if not name.startswith("override ")):
        yield group, ""
        for path in sorted((CONFIGS / group).glob("*.yaml")):
            everywhere = "@package _global_" in path.read_text(encoding="utf-8")
            yield from _of_file(path, "" if everywhere else f"{group}.", f"{group}={path.stem}")


def _names(content: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, value in content.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")
