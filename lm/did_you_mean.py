"""Refuse an option that a command does not have, and name the one that may be meant."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, ListConfig

CONFIGS = Path(__file__).parents[1] / "conf"

OPEN_PREFIXES = ("trainer.", "logger.", "hydra.", "hydra/")
"""Where an option may be new: arguments of Lightning and Hydra that `conf/` does not list."""

CHECKED_ELSEWHERE = ("data", "optimizer", "logger", "schedule", "averaging", "trainer", "hydra")
"""Groups whose options are the arguments of what they configure, which refuses others."""

USER_CONFIG_FLAGS = ("--config-", "-cd", "-cp", "-cn", "hydra.searchpath=")
"""How arguments begin that add the user's own configs, whose options are not known here."""

SEVERAL_CHOICES = ("logger",)
"""Groups of which several choices are made at once, as in `logger=[tensorboard,csv]`."""

MATCH_CUTOFF = 0.9
"""The similarity, of 1, from which two names are taken for the same where unknown names are possible."""


def unknown_addition(config_name: str, arguments: Sequence[str]) -> str | None:
    """Return in a sentence which option is added with a plus although nothing reads it, such as `+cel=gru`."""
    if any(argument.lstrip("+").startswith(USER_CONFIG_FLAGS) for argument in arguments):
        return None
    for argument in (argument for argument in arguments if argument.startswith("+") and "=" in argument):
        name = argument.lstrip("+").partition("=")[0]
        if not name.startswith(OPEN_PREFIXES) and name not in options(config_name):
            return unknown_option(name, config_name, argument)
    return None


def wrong_choice(overrides: Sequence[str]) -> str | None:
    """Return in a sentence which group of options is given something else than a choice, such as `cell=null`."""
    for override in overrides:
        name, _, found = override.partition("=")
        group = name.removesuffix(".name")  # the name alone would leave the other options of the choice as they are
        choices = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) if group else []
        parsed = OverridesParser.create().parse_override(override) if choices else None
        value = None if parsed is None or parsed.is_sweep_override() else parsed.value()
        if parsed and group != name:
            return unknown_choice(group, override, choices)
        if isinstance(value, list) and group in SEVERAL_CHOICES:
            for choice in (str(choice) for choice in value if choice not in choices):
                return unknown_choice(group, choice, choices)
        elif parsed and not (parsed.is_sweep_override() or isinstance(value, str)):
            return unknown_choice(group, found, choices)
    return None


def did_you_mean(config_name: str, error: Exception) -> str | None:
    """Return in a sentence which option or choice Hydra has not found, if that is its error.

    None if Hydra's advice is right to add it with a plus, as to an argument of Lightning that `conf/` does not list.
    """
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return unknown_choice(group, choice, error.options)
    if match := re.match(r"(?:Invalid plugin|Unknown plugin class :) '(.*?)'", str(error)):
        return f"expected a _target_ in an installed package hydra_plugins, found {match[1]}: leave _target_ out"
    if match := re.match(r"Multiple values for (\S+)\.", str(error)):
        return f"expected {match[1]}= once and without a plus, found it twice: type {match[1]}= alone"
    match = re.match(r"Could not override '([^']+)'", str(error))
    if match is None:
        return None
    in_group = re.search(rf"full_key: ({re.escape(match[1])}\.\S+)", str(error.__cause__))  # as in `cache={{thta: 1}}`
    name, known = (in_group or match)[1], options(config_name)
    if name.startswith(OPEN_PREFIXES) and (name in known or not get_close_matches(name, known, cutoff=MATCH_CUTOFF)):
        return None
    if known.get(name):
        advice = f"add {known[name]}, or leave {name}= out"
        return f"expected an option that the chosen config groups have, found {name}=: {advice}"
    return unknown_option(name, config_name, f"{name}=")


def unread_option(config_name: str, config: DictConfig) -> str | None:
    """Return in a sentence which option of a composed config is unknown, as in a config of the user's own.

    A group of its own is no option: configs may compute with it, as `conf/experiment/equal_parameters.yaml` does.
    """
    known = default_names(config_name)
    for name in option_names(config):
        group = name.partition(".")[0]
        own_group = group not in known and isinstance(config[group], DictConfig)
        if name not in known and group not in CHECKED_ELSEWHERE and not own_group:
            return unknown_option(name, config_name, f"{name}=")
    return None


@cache
def default_names(config_name: str) -> frozenset[str]:
    """Return the names of a command's options without overrides."""
    with _hydra():
        return frozenset(option_names(compose(config_name)))


def unknown_option(name: str, config_name: str, found: str) -> str:
    """Return in a sentence that a command has no such option, and which one may be meant."""
    others = [other for other in options(config_name) if other != name]
    close = [other for other in others if other.startswith(f"{name}.")] or get_close_matches(name, others, n=1)
    advice = f"type {close[0]}=" if close else f"python -m lm.{config_name} --cfg job shows them"
    return f"expected an option of lm.{config_name}, found {found}: {advice}"


def unknown_choice(group: str, found: str, choices: Sequence[str]) -> str:
    """Return in a sentence that a group has no such choice, and which one may be meant."""
    close = (*get_close_matches(found, choices, n=1), choices[0])[0]
    return f"expected {group} to be one of {', '.join(choices)}, found {found}: type {group}={close}"


@cache
def options(config_name: str) -> dict[str, str]:
    """Return the names of a command's options and groups of options, such as `data.dir` and `data`.

    Each has the choice that brings it, such as `data=ptb`; an option that is always there has an empty string.
    """
    with _hydra():
        config = compose(config_name, return_hydra_config=True)
        composed = list(option_names(config))
        found = dict.fromkeys(composed, "")
        for group, chosen in config.hydra.runtime.choices.items():
            if not group.startswith("hydra/"):
                found[group] = ""
                for name, choice in _options_of_group(group, chosen, composed).items():
                    if not found.get(name) or name.startswith(f"{group}."):
                        found[name] = choice
    return found


def _options_of_group(group: str, chosen: Any, composed: Collection[str]) -> dict[str, str]:
    """Return the options that only some choices of a group bring, each with the first of these choices.

    The composed config has the choice `chosen`, or a list of several, and the options `composed`.
    """
    choices = GlobalHydra.instance().config_loader().get_group_options(group)
    names = {choice: _names_in_file(group, choice) for choice in choices}
    current = [
        names[choice] for choice in choices if choice in (chosen if isinstance(chosen, ListConfig) else [chosen])
    ]
    always = set.intersection(*names.values()) | (set(composed) - set().union(*current))
    return {name: f"{group}={choice}" for choice in reversed(choices) for name in names[choice] - always}


def _names_in_file(group: str, choice: str) -> set[str]:
    """Return the options in the file of a choice: composing a config with each of them would take seconds."""
    loader: Any = GlobalHydra.instance().config_loader()
    file = loader.repository.load_config(f"{group}/{choice}")
    return set(option_names(file.config, "" if file.header["package"] == "_global_" else f"{group}."))


def option_names(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of a config's options, except Hydra's own."""
    for key in (str(key) for key in config if key != "hydra"):
        yield f"{prefix}{key}"
        if isinstance(value := config._get_node(key), DictConfig) and not value._is_none():
            yield from option_names(value, f"{prefix}{key}.")


def _hydra() -> nullcontext[None] | initialize_config_dir:
    """Compose in the running command's search path, or else in `conf/`."""
    running = GlobalHydra.instance().is_initialized()
    return nullcontext() if running else initialize_config_dir(str(CONFIGS), version_base="1.3")
