"""The folder on this machine where downloads and encoded corpora are kept between runs."""

import os
from pathlib import Path

import pooch


def cache_folder() -> Path:
    """Return the folder named by the environment variable `LM_DATA`, by default `lm` in the user's cache folder."""
    named = os.environ.get("LM_DATA")
    return Path(os.path.expanduser(named)) if named else Path(pooch.os_cache("lm"))


def make_writable(folder: Path) -> Path:
    """Return `folder`, created if it is missing.

    Raises:
        ValueError: if files can't be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK) else "no permission"
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        raise ValueError(
            f"expected a cache folder that can be written, found '{folder}' ({reason}): "
            "type LM_DATA=FOLDER before the command"
        )
    return folder
