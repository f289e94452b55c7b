"""The position in the batches of an epoch, as Lightning sets, saves and restores it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sized
from typing import Any, Generic, Self, TypeVar

Item = TypeVar("Item")


class Resumable(Sized, ABC, Generic[Item]):
    """An iterable over batches that can continue within an epoch."""

    batch_sampler = None  # Lightning reads it if there is a `sampler`
    _epoch = _next_batch = _resume_at = 0

    @abstractmethod
    def batches_from(self, first: int) -> Iterator[Item]:
        """Yield the batches of the epoch that is set, from this one on, counted from 0."""

    def __iter__(self) -> Iterator[Item]:
        """Yield the epoch's batches in order; the first time after `load_state_dict`, from its position on."""
        first, self._resume_at = self._resume_at, 0
        for index, batch in enumerate(self.batches_from(first), first):
            self._next_batch = index + 1
            yield batch

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
