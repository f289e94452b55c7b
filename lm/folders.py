"""Folders with one writer: a new one gets a free name, and a lock keeps other processes out.

The lock is the kernel's `flock`. It ends with its process, however that ends, and it holds between machines if their
shared disk supports it.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

LOCK = ".lock"

CONFIG_FILES = (LOCK, "multirun.yaml", "config.yaml", "hydra.yaml", "overrides.yaml")
"""Files that are written before a command knows that it can do its work."""

_locked: set[Path] = set()
"""The folders that this process has locked."""


class FolderInUse(ValueError):
    """Another process writes to the folder."""


def create_folder(folder: Path) -> Path:
    """Create a new folder and return it: the named one, or with a suffix, such as `_2`, if that exists."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        free = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        with suppress(FileExistsError):
            free.mkdir()
            return free
    raise AssertionError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of an existing folder within the block. A process may lock a folder twice.

    Raises:
        FolderInUse: if another process has locked it.
    """
    folder = folder.resolve()
    descriptor = None if folder in _locked else _acquire(folder / LOCK)
    if descriptor is None:
        yield
        return
    _locked.add(folder)
    try:
        yield
    finally:
        _locked.discard(folder)
        with suppress(OSError):  # another user's
            (folder / LOCK).unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Return the descriptor of the locked file, or None if the disk is read-only, where no process can write."""
    while True:
        if (descriptor := _open(path)) is None:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise FolderInUse(
                f"expected a folder that no other process writes to, found '{path.parent}' in use: "
                "wait for that process, or type another folder"
            ) from None
        except OSError:
            pass  # a disk without locks
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # the process that held it has removed it


def _open(path: Path) -> int | None:
    """Return the descriptor of a file, which is new if there is none. That of another user is opened for reading."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(OSError):
            return os.open(path, flags, 0o666)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def in_use(folder: Path) -> bool:
    """Return whether another process writes to an existing folder."""
    try:
        with locked(folder):
            return False
    except FolderInUse:
        return True


@contextmanager
def waiting_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for this folder. It leaves no file, and is not `locked`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a disk without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_unused(folder: Path) -> bool:
    """Return whether a folder has nothing but configs and empty files."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in CONFIG_FILES]
    return not any(path.stat().st_size for path in files)


def remove_unused(folder: Path) -> None:
    """Remove a folder that is unused, and what is empty then of its parent, or of `outputs/<date>`."""
    if not is_unused(folder):
        return
    with suppress(OSError):
        shutil.rmtree(folder)
        for parent in folder.parents[: 1 if folder.is_absolute() else 2]:
            parent.rmdir()
