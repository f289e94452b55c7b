"""The options that a command has, by which a misspelt one is refused, with the one that may be meant."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

CONFIGS = Path(__file__).parents[1] / "conf"

FURTHER = ("trainer.", "hydra.", "hydra/")
"""Where an option may be new: arguments of Lightning's and of Hydra's that `conf/` does not write out."""


def added_for_nothing(config_name: str, typed: Sequence[str]) -> str | None:
    """Return in a sentence what is typed with a plus and would never be read, as in `+cel=gru`.

    A folder of the user's own configs (`--config-dir`) may have groups that are not known here.
    """
    if any(argument.startswith(("--config-dir", "-cd")) for argument in typed):
        return None
    for argument in (argument for argument in typed if argument.startswith("+") and "=" in argument):
        name = argument.lstrip("+").partition("=")[0]
        if not name.startswith(FURTHER) and name not in options(config_name):
            return unknown_option(name, config_name, argument)
    return None


def misspelt(config_name: str, error: Exception) -> str | None:
    """Return in a sentence which option Hydra has not found, if that is its error; it would advise to add it."""
    match = re.match(r"Could not override '([^']+)'", str(error))
    return unknown_option(match[1], config_name, f"{match[1]}=") if match else None


def unknown_option(name: str, config_name: str, typed: str) -> str:
    """Return in a sentence that a command has no such option, and which one may be meant."""
    close = get_close_matches(name, options(config_name), n=1)
    advice = f"type {close[0]}=" if close else f"python -m lm.{config_name} --cfg job shows them"
    return f"expected an option of lm.{config_name}, found {typed}: {advice}"


def options(config_name: str) -> set[str]:
    """Return the names of a command's options and groups of options, `data.dir` and `data`."""
    return set(_of_file(CONFIGS / f"{config_name}.yaml", ""))


def _of_file(path: Path, prefix: str) -> Iterator[str]:
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    content: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    for default in content.pop("defaults", []):
        if isinstance(default, str) and default != "_self_":
            yield from _of_file(CONFIGS / f"{default}.yaml", prefix)
        elif isinstance(default, dict):
            yield from _of_groups(default)
    yield from _names(content, prefix)


def _of_groups(default: dict[str, Any]) -> Iterator[str]:
    for group in (name for name in default if not name.startswith("override ")):
        yield group
        for path in sorted((CONFIGS / group).glob("*.yaml")):
            everywhere = "@package _global_" in path.read_text(encoding="utf-8")
            yield from _of_file(path, "" if everywhere else f"{group}.")


def _names(content: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, value in content.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")
