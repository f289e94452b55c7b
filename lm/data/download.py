"""One file, downloaded from the first of several public copies that has it with the right SHA-256."""

from collections.abc import Sequence
from pathlib import Path

import pooch
import requests
from filelock import FileLock

from lm.data.cache import writable

SECONDS_TO_WAIT = 20


def fetch(file_name: str, sha256: str, copies: Sequence[str], folder: Path) -> Path:
    """Give the path of `file_name` in `folder`, whose bytes have this SHA-256.

    Tries the addresses `copy + file_name` in order. Processes that start together download it once, and a file
    appears under its name only when it is whole and verified. Raises a FileNotFoundError if no copy could be used.
    """
    path = folder / file_name
    with FileLock(writable(folder) / f"{file_name}.lock"):
        if path.is_file() and pooch.file_hash(str(path)) == sha256:
            return path
        failures = []
        for copy in copies:
            try:
                return download(copy + file_name, sha256, path)
            except (requests.RequestException, ValueError) as error:
                failures.append(f"{copy}{file_name} ({reason(error)})")
    raise FileNotFoundError(
        f"{file_name} could not be downloaded from any of its copies, {', '.join(failures)}: give a folder that holds "
        "the corpus with data.dir=FOLDER, or use data=python_docs, which needs no download."
    )


def download(address: str, sha256: str, path: Path) -> Path:
    """Download one address to `path` with a progress bar; a ValueError means that the bytes are not the right ones."""
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=SECONDS_TO_WAIT)
    pooch.retrieve(address, f"sha256:{sha256}", path.name, path.parent, downloader=downloader)
    return path


def reason(error: Exception) -> str:
    """Say in a few words why one copy could not be used."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code}"
    return "wrong SHA-256" if type(error) is ValueError else "cannot be reached"
