"""What an option may be; anything else is told in one sentence."""

import math
from collections.abc import Sequence


def check_whole(name: str, value: object, example: int, least: int = 1) -> None:
    """Raise a ValueError unless `value` is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"expected {name} to be a whole number of at least {least}, found {value}: type {name}={example}"
        )


def check_number(name: str, value: object, example: float) -> None:
    """Raise a ValueError unless `value` is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"expected {name} to be a number, found {value}: type {name}={example}")


def check_flag(name: str, value: object) -> None:
    """Raise a ValueError unless `value` is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"expected {name} to be true or false, found {value}: type {name}=true")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise a ValueError unless `value` is one of the choices."""
    if value not in choices:
        raise ValueError(f"expected {name} to be one of {', '.join(choices)}, found {value}: type {name}={choices[0]}")
