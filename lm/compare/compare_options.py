"""The options of `conf/compare.yaml`, typed and checked, and the folders on the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from lm.checks import check_choice, check_fields, check_group, check_text
from lm.overrides import parse_arguments
from lm.path_lists import matches, split_paths


@dataclass(frozen=True)
class CompareOptions:
    """What to compare, under the names that `conf/compare.yaml` explains.

    Raises:
        ValueError: if a value cannot be used.
    """

    first: Any
    second: Any
    split: Annotated[str, partial(check_choice, choices=("test", "valid"))]
    to: Annotated[str | None, partial(check_text, example="FOLDER", optional=True)]
    data: Annotated[Mapping[str, Any], check_group]

    def __post_init__(self) -> None:
        sides = [side for side in (self.first, self.second) if side and isinstance(side, str)]
        if len(sides) < 2:
            raise ValueError(f"expected the folders of two runs, found {len(sides)}: type python -m lm.compare RUN RUN")
        check_fields(self)
        check_text("data.dir", self.data.get("dir"), "FOLDER", optional=True)


def name_folders(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the first two folders as `first=` and `second=`; flags and their values stay."""
    words, named = parse_arguments(arguments).overrides, []
    names = [name for name in ("first", "second") if not any(word.startswith(f"{name}=") for word in words)]
    for argument in arguments:
        is_path = "=" not in argument or "/" in argument.partition("=")[0] or bool(matching_folders(argument))
        is_folder = argument in words and is_path
        named.append(f"{names.pop(0)}={argument}" if is_folder and names else argument)
    return named


def matching_folders(text: str) -> list[Path]:
    """Return the folders that a text names: one folder, several with commas between them, or a pattern."""
    found = [matches(name) for name in split_paths(text)]
    return [Path(path) for paths in found for path in paths if Path(path).is_dir()] if all(found) else []
