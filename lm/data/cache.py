"""The folder on this machine where downloads and encoded corpora are kept between runs."""

import os
from pathlib import Path

import pooch


def cache_folder() -> Path:
    """Give the folder named by the environment variable `LM_DATA`, or else `lm` in the user's cache folder."""
    named = os.environ.get("LM_DATA")
    return Path(named).expanduser() if named else Path(pooch.os_cache("lm"))


def writable(folder: Path) -> Path:
    """Create `folder` where it is missing and return it, or raise a ValueError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else "no permission"
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise ValueError(f"The cache folder {folder} cannot be written ({reason}): set LM_DATA to a folder that can.")
    return folder
