"""Checks of an option's value; each raises a ValueError of one sentence: expected, found, what to type instead."""

import math
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from typing import Any, get_type_hints

Checks = Mapping[str, Callable[[str, Any], None]]
"""The options of a choice, each with its check."""

MAX_WHOLE = 2**31 - 1
"""The largest whole number of an option that names no other: sizes and counts beyond it fit no memory."""


def check_whole(
    name: str, value: object, example: int, least: int = 1, most: int = MAX_WHOLE, optional: bool = False
) -> None:
    """Raise a ValueError unless `value` is a whole number from `least` to `most`; None passes if `optional`."""
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        limit = f"at most {most}" if isinstance(value, int) and value > most else f"at least {least}"
        raise unexpected(name, f"a whole number of {limit}{_or_null(optional)}", value, example)


def check_number(name: str, value: object, example: float, *, optional: bool = False, **limits: float) -> None:
    """Raise a ValueError unless `value` is finite and within all limits: `least`, `above`, `below`, `most`."""
    if not (value is None and optional) and not _is_within(value, **limits):
        raise unexpected(name, f"a number{_described(limits)}{_or_null(optional)}", value, example)


def check_numbers(name: str, value: object, example: str, count: int, **limits: float) -> None:
    """Raise a ValueError unless `value` is a list of `count` finite numbers within all limits of `check_number`."""
    if not isinstance(value, list) or len(value) != count or not all(_is_within(one, **limits) for one in value):
        raise unexpected(name, f"a list of {count} numbers{_described(limits)}", value, example)


def check_flag(name: str, value: object, optional: bool = False) -> None:
    """Raise a ValueError unless `value` is true or false; None passes if `optional`."""
    if not isinstance(value, bool) and not (value is None and optional):
        raise unexpected(name, f"true or false{_or_null(optional)}", value, "true")


def check_text(name: str, value: object, example: str, optional: bool = False) -> None:
    """Raise a ValueError unless `value` is text that is not blank; None passes if `optional`."""
    if not (value is None and optional) and not (isinstance(value, str) and value.strip()):
        raise unexpected(name, f"text{_or_null(optional)}", value, example)


def check_group(name: str, value: object, example: str = "{}") -> None:
    """Raise a ValueError unless `value` is a group of options."""
    if not isinstance(value, Mapping):
        raise unexpected(name, "a group of options", value, example)


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise a ValueError unless `value` is one of the choices; the first one is the advice."""
    if not isinstance(value, str) or value not in choices:
        raise unexpected(name, f"one of {', '.join(choices)}", value, next(iter(choices)))


def check_installed(package: str, extra: str, purpose: str) -> None:
    """Raise a ValueError unless a package is installed, which an extra of `pyproject.toml` installs."""
    if find_spec(package) is None:
        raise ValueError(f"expected the package {package} for {purpose}, found none: type {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs an extra of `pyproject.toml`."""
    return f"pip install -e '.[{extra}]'"


def check_fields(config: Any, key: Callable[[str], str] = str) -> None:
    """Run the check in the annotation of every field of a dataclass; `key` returns what is typed for a field."""
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        for check in getattr(hint, "__metadata__", ()):
            check(key(name), getattr(config, name))


def check_entry(group: str, name: object, options: Mapping[str, Any], entries: Mapping[str, Any]) -> None:
    """Raise a ValueError unless `name` is in a registry, and `options` has a right value for each of its `options`."""
    check_choice(group, name, entries)
    checks: Checks = entries[str(name)].options
    for option in options.keys() - checks.keys():
        raise ValueError(f"expected an option of {group}={name}, found {group}.{option}=: leave it out")
    for option, check in checks.items():
        check(f"{group}.{option}", options.get(option))


def unexpected(name: str, wanted: str, value: object, example: object) -> ValueError:
    """Return the error for an option that is not what it has to be."""
    return ValueError(f"expected {name} to be {wanted}, found {show(value)}: type {name}={example}")


def show(value: object) -> str:
    """Return a value as it is typed in YAML, with quotes around text."""
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else repr(value)


def as_typed(value: object) -> str:
    """Return a value as it is typed: `null`, `true`, `0.5`, `gru`."""
    return value if isinstance(value, str) else show(value)


def _is_within(
    value: object,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < math.inf and least <= value <= most and above < value < below


def _described(limits: Mapping[str, float]) -> str:
    words = {"least": "of at least", "above": "above", "below": "below", "most": "at most"}
    return " and".join(f" {words[name]} {limits[name]:g}" for name in words if name in limits)


def _or_null(optional: bool) -> str:
    return " or null" if optional else ""
