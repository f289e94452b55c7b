"""What commands print: results on standard output, everything else on standard error, readable on any terminal."""

import codecs
import logging
import os
import re
import signal
import sys
from contextlib import suppress
from typing import TextIO

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

ASCII = {
    "…": "...", "±": "+-", "×": "x", "→": "->", "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
"""What stands for a character that the terminal's encoding lacks; others become escapes, as `\\xe9`."""

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""All control characters except the line feed."""

ERRORS = "lm.ascii"


def prepare_streams() -> None:
    """Let both streams print any text in any encoding, and replace a closed one by one that goes nowhere."""
    codecs.register_error(ERRORS, _to_ascii)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # as Python starts with `>&-`; a print to None would go to standard output
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
            os.set_inheritable(getattr(sys, name).fileno(), True)  # or no process that this one starts had the stream
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    characters = error.object[error.start : error.end]
    return "".join(ASCII.get(one) or one.encode("ascii", "backslashreplace").decode() for one in characters), error.end


def print_results(text: str) -> None:
    """Print to standard output at once, control characters as `printable` does.

    Raises:
        SystemExit: if the reader has closed the pipe, as `head -1` does.
        OSError: if the disk behind it is full.
    """
    try:
        print(printable(text), flush=True)
    except OSError as error:
        status = discard(sys.stdout)
        if isinstance(error, BrokenPipeError):
            sys.exit(status)
        error.filename = "standard output"
        raise


def discard(stream: TextIO) -> int:
    """Send a stream that can no longer be written nowhere; return the exit status for a closed pipe."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or the exit would fail to flush again
    return 128 + signal.SIGPIPE  # the status of a process that the signal ends


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """A handler for a terminal. A full disk or a closed pipe behind it is no reason to stop a run."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Stop printing if the stream cannot be written; show any other error."""
        if isinstance(sys.exc_info()[1], OSError):
            discard(self.stream)
        else:
            super().handleError(record)


def print_note(text: str) -> None:
    """Print to standard error; a note that cannot be printed is no reason to stop."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    r"""Return a text with its control characters as escapes, as `\x1b`, so that it cannot control a terminal."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, as `1 word` and `1,200 words`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_swept_run(run: object) -> None:
    """Print which run the next result is of, if there may be several."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        print_results(f"run {run}")


def decimals(number: float) -> str:
    """Return a number with four decimals, or in scientific notation from a million on."""
    return f"{number:.4f}" if abs(number) < 1e6 else f"{number:.4e}"


def short(number: float) -> str:
    """Return a number of at least 0 in at most eight characters, as `905.54` and `1.2e+200`."""
    text = f"{number:.2f}"
    return text if len(text) <= 8 else f"{number:.1e}"


class LogFile(logging.FileHandler):
    """A log file. What cannot be written, as on a read-only disk, is on the terminal only."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Print no traceback."""
