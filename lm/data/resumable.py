"""The position in the batches of an epoch, as Lightning sets, saves and restores it."""

from collections.abc import Sized
from typing import Any, Self


class Resumable(Sized):
    """An iterable over batches that can continue within an epoch.

    An iteration starts at `_resume_at`, sets that to 0, and sets `_next_batch` before it yields a batch.
    """

    batch_sampler = None  # Lightning reads it if there is a `sampler`
    _epoch = _next_batch = _resume_at = 0

    @property
    def sampler(self) -> Self:
        """The object whose `set_epoch` Lightning calls."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Use the batches of an epoch, counted from 0, from the next iteration on."""
        self._epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the position: the epoch, and the index of its next batch."""
        return {"epoch": self._epoch, "next_batch": self._next_batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a position from `state_dict`; after the last batch that is the first one."""
        self.set_epoch(state["epoch"])
        self._next_batch = self._resume_at = state["next_batch"] % len(self)
