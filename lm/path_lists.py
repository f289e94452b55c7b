"""Lists of files and folders in one text, with commas between them, such as `A,B` and `cell=gru,*`."""

import os
from glob import glob


def split_paths(text: str) -> list[str]:
    """Split a text at its commas. Those in the name of a file or a folder stay, as in `cell=gru,dropout=0.25`.

    A part may be a pattern, such as `cell=gru,*`. Of several readings that with the longest first part is taken.
    """
    parts, names = text.split(","), []
    while parts:
        count = next((count for count in range(len(parts), 0, -1) if matches(",".join(parts[:count]))), 1)
        names.append(",".join(parts[:count]))
        parts = parts[count:]
    return names


def matches(name: str) -> list[str]:
    """Return the file or the folder of that name, or else those of that pattern in the order of their names."""
    return [name] if os.path.exists(name) else sorted(glob(name))
