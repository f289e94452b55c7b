"""Files that are whole or not there."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, Literal


@contextmanager
def write_atomically(path: Path, mode: Literal["w", "wb"] = "w") -> Iterator[IO[Any]]:
    """Open a file beside `path` that takes its place when the block ends without an error; text is UTF-8 as written.

    The target of a link is replaced rather than the link. A pipe or a device is written to as it is.

    Raises:
        OSError: where it can't be written, as on a full disk; it names `path`, which is left as it was.
    """
    special = path.exists() and not path.is_file()
    try:
        with _open(path, mode) if special else _beside(Path(os.path.realpath(path)), mode) as file:
            yield file
    except OSError as error:
        error.filename = str(path)  # of its own it names none, or the temporary one
        raise


def check_place(path: Path) -> None:
    """Check that there can be a file of that name: its folder is there, and it is none itself.

    Raises:
        OSError: if there can't.
    """
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def write_file(path: Path, content: str | bytes) -> None:
    """Write a whole text or bytes, as `write_atomically` does and with its errors."""
    with write_atomically(path, "wb" if isinstance(content, bytes) else "w") as file:
        file.write(content)


def write_json(path: Path, values: Any) -> None:
    """Write plain values, indented, as `write_atomically` does and with its errors.

    Raises:
        ValueError: for a number that is not finite, which JSON cannot express.
    """
    with write_atomically(path) as file:
        json.dump(values, file, indent=2, allow_nan=False)
        file.write("\n")


@contextmanager
def _beside(path: Path, mode: Literal["w", "wb"]) -> Iterator[IO[Any]]:
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with _open(temporary, mode.replace("w", "x")) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name with nothing behind it
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open(file: Path, mode: str) -> IO[Any]:
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    return open(file, mode, encoding=encoding, newline=newline)
