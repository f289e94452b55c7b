"""A file in a sweep's folder that stops its runs, in whatever process and on whatever machine they are."""

import signal
from contextlib import suppress
from pathlib import Path


class StopFile:
    """While the file exists, running runs stop, and others do not start. Its text is the reason."""

    def __init__(self, sweep: Path) -> None:
        self.path = sweep / ".stop"

    def write(self, reason: str) -> None:
        """Stop the sweep: by the name of a signal, or by a sentence that says why it cannot continue.

        The sweep continues if the file cannot be written.
        """
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(reason, encoding="utf-8")

    def reason(self) -> str | None:
        """Return why the sweep stops, or None."""
        try:
            return self.path.read_text(encoding="utf-8")
        except OSError:
            return None

    def signal(self) -> signal.Signals | None:
        """Return the signal that stops the sweep, or None."""
        return signal.Signals.__members__.get(self.reason() or "")

    def refusal(self) -> str | None:
        """Return the sentence that stops the sweep, or None."""
        return None if self.signal() else self.reason()

    def clear(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
