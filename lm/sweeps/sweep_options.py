"""The options of a sweep and of its runs: which of them are swept, and how a run is named after them."""

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

EXCLUDED_FROM_RUN_NAME = ("data.dir", "resume")
"""Options that say where files are. They do not make another run."""

MAX_NAME_BYTES = 180
"""File systems allow 255, and some tools append to a name."""


@dataclass(frozen=True)
class SweepOptions:
    """The options of a sweep: an override on the command line replaces what the config sweeps.

    Args:
        constants: the options with one value.
        swept: the values of each swept option; None if the sweeper chooses them, as in `interval(0,0.5)`.
    """

    constants: dict[str, str]
    swept: dict[str, list[str] | None]

    @classmethod
    def parse(cls, overrides: Sequence[str], params: Mapping[str, str] | None) -> "SweepOptions":
        """Return the options of a command line and of the config's `hydra.sweeper.params`.

        Raises:
            HydraException: if Hydra cannot parse them.
        """
        parsed = parse_options(overrides, params)
        constants = {key: one for key, one in parsed.items() if not one.is_sweep_override()}
        return cls(
            {key: canonical(one.get_value_element_as_str()) for key, one in constants.items()},
            {key: _values(one) for key, one in parsed.items() if key not in constants},
        )

    @property
    def num_runs(self) -> int | None:
        """The number of runs, or None if the sweeper decides."""
        counts = [len(values) for values in self.swept.values() if values is not None]
        return math.prod(counts) if len(counts) == len(self.swept) else None

    def duplicates(self) -> dict[str, list[str]]:
        """Return the distinct values of each option that has a value twice."""
        lists = {key: values for key, values in self.swept.items() if values is not None}
        distinct = {key: list({canonical(value): value for value in values}.values()) for key, values in lists.items()}
        return {key: values for key, values in distinct.items() if len(values) < len(lists[key])}

    def same_runs(self, other: "SweepOptions") -> bool:
        """Return whether another sweep has the same runs, whatever the order of its options and values."""
        return self._comparable() == other._comparable()

    def _comparable(self) -> dict[str, set[str] | None]:
        swept = {key: None if values is None else set(map(canonical, values)) for key, values in self.swept.items()}
        found = swept | {key: {value} for key, value in self.constants.items()}
        return {key: values for key, values in found.items() if key not in EXCLUDED_FROM_RUN_NAME}


def parse_options(overrides: Sequence[str], params: Mapping[str, Any] | None = None) -> dict[str, Override]:
    """Return the parsed overrides by option; one of the command line replaces what the config sweeps.

    Raises:
        HydraException: if Hydra cannot parse them.
    """
    lines = [*(f"{key}={values}" for key, values in (params or {}).items()), *overrides]
    hydra = GlobalHydra.instance()
    parser = OverridesParser.create(config_loader=hydra.config_loader() if hydra.is_initialized() else None)
    return {option_name(one.input_line or ""): one for one in parser.parse_overrides(lines)}


def option_name(override: str) -> str:
    """Return the option of an override, without the plus that adds it."""
    return override.lstrip("+").partition("=")[0]


def _values(override: Override) -> list[str] | None:
    return list(override.sweep_string_iterator()) if override.is_discrete_sweep() else None


def run_name(overrides: Sequence[str], swept: Collection[str] | None = None) -> str:
    """Return the name of a run: its swept options (None: all) in alphabetical order, as `cell=gru,dropout=0.25`."""
    options = {key: value for key, value in run_options(overrides).items() if swept is None or key in swept}
    return _shorten(",".join(f"{key}={_file_name(value)}" for key, value in sorted(options.items()))) or "default"


def run_options(overrides: Sequence[str]) -> dict[str, str]:
    """Return the options by which a run is known, with one spelling for equal values."""
    values = {option_name(override): override.partition("=")[2] for override in overrides}
    return {key: canonical(value) for key, value in values.items() if key not in EXCLUDED_FROM_RUN_NAME}


def options_key(overrides: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Return what runs with equal options have in common."""
    return frozenset(run_options(overrides).items())


def canonical(value: str) -> str:
    """Return the one spelling of equal values: `0.25` for `0.250`, `true` for `True`, `a` for `'a'`."""
    if value.lower() in ("true", "false", "null"):
        return value.lower()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" and not {value[0], "\\"} & set(value[1:-1]):
        return value[1:-1]
    try:
        number = float(value) if "." in value or "e" in value.lower() else math.nan
    except ValueError:
        return value
    if not math.isfinite(number):
        return value
    return repr(number + 0.0).removesuffix(".0")  # a negative zero is zero


def _file_name(value: str) -> str:
    return value.replace("%", "%25").replace("/", "%2F")


def _shorten(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    start = encoded[: MAX_NAME_BYTES - 11].decode(errors="ignore")
    return f"{start}...{hashlib.sha256(encoded).hexdigest()[:8]}"
