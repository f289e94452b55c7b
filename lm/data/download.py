"""A file, downloaded from the first of several mirrors that has it with the right SHA-256."""

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pooch
import requests
import urllib3
from filelock import FileLock
from tqdm import tqdm

from lm.data.cache import make_writable

log = logging.getLogger(__name__)

SECONDS_WITHOUT_DATA = 20
SECONDS_IN_ALL = 600
CHUNK = 2**16


class DownloadError(Exception):
    """A mirror could not be used; the message is the reason in a few words."""


class DownloadFailed(FileNotFoundError):
    """No mirror could be used."""


def fetch(file_name: str, sha256: str, mirrors: Sequence[str], folder: Path) -> Path:
    """Return the path of `file_name` in `folder`, downloaded from one of the addresses `mirror + file_name`.

    Processes that start together download it once. The file gets its name when it is complete and verified.

    Raises:
        DownloadFailed: if no mirror could be used.
    """
    path, reasons = folder / file_name, []
    with FileLock(make_writable(folder) / f"{file_name}.lock"):
        if path.is_file() and pooch.file_hash(path) == sha256:
            return path
        for mirror in mirrors:
            log.info("downloading %s", mirror + file_name)
            try:
                return download(mirror + file_name, sha256, path)
            except DownloadError as error:
                reasons.append(f"{mirror}{file_name} {error}")
    raise DownloadFailed(
        f"expected to download {file_name}, found no mirror that has it ({', '.join(reasons)}): "
        "type data.dir=FOLDER with the corpus's files, or data=python_docs, which needs no download"
    )


def download(address: str, sha256: str, path: Path) -> Path:
    """Download one address to `path` with a progress bar; return the path.

    Raises:
        DownloadError: if the address can't be read in time, or has other bytes.
    """
    # One name, used under the lock: what a killed process left is overwritten, then renamed or removed.
    part, found = path.with_name(f"{path.name}.part"), hashlib.sha256()
    try:
        with part.open("wb") as file:
            for chunk in read_address(address):
                found.update(chunk)
                file.write(chunk)
        if found.hexdigest() != sha256:
            raise DownloadError("has a wrong SHA-256")
        os.replace(part, path)
    except OSError as error:
        error.filename = str(path)  # the error of a full disk has none
        raise
    finally:
        part.unlink(missing_ok=True)
    return path


def read_address(address: str) -> Iterator[bytes]:
    """Yield the bytes at an address, in `SECONDS_IN_ALL` at most.

    Raises:
        DownloadError: if that fails.
    """
    deadline = time.monotonic() + SECONDS_IN_ALL
    try:
        # Uncompressed, so that there are as many bytes as the header says.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(address, stream=True, timeout=SECONDS_WITHOUT_DATA, headers=headers) as response:
            response.raise_for_status()
            with tqdm(
                desc=address.rpartition("/")[2], total=response.raw.length_remaining, unit="B", unit_scale=True
            ) as progress:
                while chunk := response.raw.read1(CHUNK):  # unlike `read`, returns what there is
                    progress.update(len(chunk))
                    yield chunk
                    if time.monotonic() > deadline:
                        raise DownloadError(f"was not complete after {SECONDS_IN_ALL} seconds")
    except requests.HTTPError as error:
        raise DownloadError(f"answered {error.response.status_code}") from error
    except requests.TooManyRedirects as error:
        raise DownloadError("redirects for ever") from error
    except urllib3.exceptions.ProtocolError as error:
        raise DownloadError("is truncated") from error
    except urllib3.exceptions.HTTPError as error:
        raise DownloadError("stopped sending") from error
    except requests.RequestException as error:
        raise DownloadError("cannot be reached") from error
