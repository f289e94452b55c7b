"""Lists of files and folders in one text, with commas between them, such as `A,B` and `cell=gru,*`."""

import os
from glob import glob


def split_paths(text: str) -> list[str]:
    """Split a text at its commas. Those in the name of a file or a folder stay, as in `cell=gru,dropout=0.25`.

    A part may be a pattern, such as `cell=gru,*`. Of several readings that with the longest first part is taken.
    """
    parts = text.split(",")
    names = [",".join(parts[:count]) for count in range(len(parts), 0, -1)]
    first = next((name for name in names if exists(name)), parts[0])
    rest = text[len(first) + 1 :]
    return [first, *split_paths(rest)] if len(first) < len(text) else [first]


def exists(name: str) -> bool:
    """Return whether there is a file or a folder of that name, or of that pattern."""
    return os.path.exists(name) or bool(glob(name))
