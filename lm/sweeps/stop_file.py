"""A sweep that is to stop: a file in its folder says so to every run, whatever process or machine that is in."""

from contextlib import suppress
from pathlib import Path


class StopFile:
    """The file of a sweep's folder that, while it is there, has runs stop and others not start. It says why."""

    def __init__(self, sweep: Path) -> None:
        self.path = sweep / ".stop"

    def write(self, reason: str) -> None:
        """Have the sweep stop. Where that can't be written, it goes on."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(reason, encoding="utf-8")

    def reason(self) -> str | None:
        """Return why the sweep is to stop, or None."""
        try:
            return self.path.read_text(encoding="utf-8")
        except OSError:
            return None

    def clear(self) -> None:
        """Have it go on."""
        self.path.unlink(missing_ok=True)
