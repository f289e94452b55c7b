"""The overrides on a command line, such as `cell=gru`: how they are read, and how commands are printed to be typed."""

import os
import re
import shlex
from argparse import Namespace
from collections.abc import Collection, Sequence

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from lm.path_lists import matches, split_paths

HYDRA_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
"""Folders that are taken literally, except for interpolations such as `${now:%H-%M-%S}`."""

TEXTS = ("text", "prompt")
"""Literal options that are no files or folders: `null` is a word there."""

PLAIN_VALUE = re.compile(r"[\w./:+@-]+")
"""Values that neither the shell nor Hydra reads as anything else."""


def typed_command(module: str, *overrides: tuple[str, object], flags: Sequence[str] = ()) -> str:
    """Return a command as it can be typed into a shell, such as `python -m lm.train resume=outputs/a`."""
    return " ".join(["python -m", module, *flags, *(quote_override(key, value) for key, value in overrides)])


def quote_override(key: str, value: object) -> str:
    """Return `key=value` quoted for the shell and for Hydra, so that the value is read literally."""
    text = str(value)
    if PLAIN_VALUE.fullmatch(text) and text != "null":
        return f"{key}={text}"
    return shlex.quote(f"{key}={quote_value(text, Quote.double)}")


def requote(override: str) -> str:
    """Return an override quoted for the shell, with quotes of Hydra only where they are needed, and no single ones."""
    name, _, value = override.partition("=")
    parser = OverridesParser.create()
    parsed = parser.parse_override(override)
    if value[:1] not in ("'", '"') or parsed.is_sweep_override() or not isinstance(text := parsed.value(), str):
        return shlex.quote(override)
    plain = PLAIN_VALUE.fullmatch(text) and parser.parse_override(f"{name}={text}").value() == text
    return f"{name}={text}" if plain else shlex.quote(f"{name}={QuotedString(text, Quote.double).with_quotes()}")


def quote_value(text: str, quote: Quote = Quote.single) -> str:
    """Return a text quoted for Hydra, with its interpolations escaped."""
    return QuotedString(escape_interpolations(text), quote).with_quotes()


def escape_interpolations(text: str) -> str:
    """Return the config value that OmegaConf resolves to this text."""
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", text)


def parse_arguments(arguments: Sequence[str]) -> Namespace:
    """Return a command's arguments as Hydra parses them: `overrides` are all that are no flags or values of one."""
    return get_args_parser().parse_intermixed_args(list(arguments))


def split_arguments(arguments: Sequence[str], literal_names: Collection[str]) -> tuple[list[str], list[str]]:
    """Return a command's overrides, their literal values quoted for Hydra, and its flags, which may stand anywhere.

    Raises:
        ValueError: if an override cannot be read.
    """
    parsed, flags = parse_arguments(arguments), list(arguments)
    for override in parsed.overrides:
        flags.remove(override)
    overrides = [literal(override, literal_names, parsed.multirun) for override in parsed.overrides]
    for override in overrides:
        check_override(override, parsed.multirun)
    return overrides, flags


def check_override(override: str, multirun: bool) -> None:
    """Raise a ValueError if Hydra cannot read an override, or reads several values without `-m`."""
    name, equals, value = override.partition("=")
    if not equals and not override.startswith("~"):
        raise ValueError(f"expected an option as name=value, found {override}: --cfg job shows all with their values")
    if name.lstrip("+") in HYDRA_FOLDERS and value in ("''", "null"):
        raise ValueError(f"expected {name} to be a folder, found {value}: leave it out")
    try:
        swept = OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException as error:
        advice = f"type {quote_override(name, value)}"
        raise ValueError(f"expected an option as name=value, found {override}: {advice}") from error
    if swept and not multirun:
        raise ValueError(f"expected one value without -m, found {override}: type -m {override}")


def literal(override: str, names: Collection[str], multirun: bool = False) -> str:
    """Return an override with its value quoted for Hydra, if it is one of the names and not quoted yet.

    Hydra alone reads the comma in `run=multirun/x/cell=gru,dropout=0.25` as a sweep, and refuses `text="it 's"`.
    In a sweep a value that Hydra can sweep over stays as it is; a list of files or folders may have such names.
    """
    name, equals, value = override.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    is_folder = name.lstrip("+") in HYDRA_FOLDERS
    if not equals or not (is_folder or name in names) or quoted or (value == "null" and name not in TEXTS):
        return override
    if value.startswith("~/") and name not in TEXTS:
        value = os.path.expanduser(value)  # the shell does so after `run=`, but not after `hydra.run.dir=`
    if is_folder:
        return f"{name}={QuotedString(value, Quote.single).with_quotes()}"
    if multirun and all(map(matches, paths := split_paths(value))):
        return f"{name}={','.join(map(quote_value, paths))}"
    if multirun and is_sweep(override):
        return override
    return f"{name}={quote_value(value)}"


def is_sweep(override: str) -> bool:
    """Return whether Hydra reads several values in an override."""
    try:
        return OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException:
        return False


def refuse_options(typed: Collection[str], purpose: str, other_purpose: str, names: Collection[str]) -> None:
    """Raise a ValueError if one of the options that were typed is among those that would not be read."""
    for name in typed:
        if name in names:
            found = f"{name}=, which is for {other_purpose}"
            raise ValueError(f"expected options for {purpose}, found {found}: leave it out")


def overridden_names() -> list[str]:
    """Return the names of the options on the command line."""
    return [name for override in HydraConfig.get().overrides.task for name in _names(override)]


def _names(override: str) -> list[str]:
    """Return the name of an override, or the names of all options in `cache={theta: 1, window: 500}`."""
    name, _, value = override.lstrip("+~").partition("=")
    group = OverridesParser.create().parse_override(override).value() if value.startswith("{") else None
    return [f"{name}.{key}" for key in group] if isinstance(group, dict) else [name]
