"""Checks of an option's value; each raises a ValueError of one sentence: expected, found, what to type instead."""

import math
from collections.abc import Callable, Collection
from typing import Any, get_type_hints

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


def check_number(
    name: str,
    value: object,
    example: float,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
    optional: bool = False,
) -> None:
    """Raise a ValueError unless `value` is finite and within all of the limits."""
    if value is None and optional:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
    if not (isinstance(value, int | float) and number and least <= value <= most and above < value < below):
        limits = {"of at least": least, "above": above, "below": below, "at most": most}
        described = " and".join(f" {words} {limit:g}" for words, limit in limits.items() if math.isfinite(limit))
        raise unexpected(name, f"a number{described}{_or_null(optional)}", value, example)


def check_flag(name: str, value: object, optional: bool = False) -> None:
    """Raise a ValueError unless `value` is true or false; None passes if `optional`."""
    if not isinstance(value, bool) and not (value is None and optional):
        raise unexpected(name, f"true or false{_or_null(optional)}", value, "true")


def check_text(name: str, value: object, example: str, optional: bool = False) -> None:
    """Raise a ValueError unless `value` is text that is not blank; None passes if `optional`."""
    if not (value is None and optional) and not (isinstance(value, str) and value.strip()):
        raise unexpected(name, f"text{_or_null(optional)}", value, example)


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Raise a ValueError unless `value` is one of the choices; the first one is the advice."""
    if not isinstance(value, str) or value not in choices:
        raise unexpected(name, f"one of {', '.join(choices)}", value, next(iter(choices)))


def check_fields(config: Any, key: Callable[[str], str] = str) -> None:
    """Run the check in the annotation of every field of a dataclass; `key` returns what is typed for a field."""
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        for check in getattr(hint, "__metadata__", ()):
            check(key(name), getattr(config, name))


def unexpected(name: str, wanted: str, value: object, example: object) -> ValueError:
    """Return the error for an option that is not what it has to be."""
    return ValueError(f"expected {name} to be {wanted}, found {show(value)}: type {name}={example}")


def show(value: object) -> str:
    """Return a value as it is typed in YAML, with quotes around text."""
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else repr(value)


def _or_null(optional: bool) -> str:
    return " or null" if optional else ""
