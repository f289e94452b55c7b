"""An evaluation method: how a trained model assigns probabilities to a text, batch by batch.

Shapes: T time, B batch, H hidden, K temperatures, N targets of a text.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, NamedTuple, Self

from torch import Tensor

from lm.checks import check_fields
from lm.data.sentences import AnyBatch
from lm.models.language_model import LanguageModel


class Nats(NamedTuple):
    """Negative log-probabilities of one batch.

    `words` is their sum over the targets, a scalar; or one value per target, [T, B], zero where a target is ignored;
    with several temperatures one row for each, [K, T, B].
    `lengths` is the sum over the predicted sentence lengths, a scalar, if the model predicts them.
    `hidden_TBH` are the hidden states that the decoder read, if there is one value per target.
    """

    words: Tensor
    lengths: Tensor | None = None
    hidden_TBH: Tensor | None = None


class TextNats(NamedTuple):
    """One value per target of a text, in its order.

    `nats_N` are in float64 on the CPU; with several temperatures there is one row for each, [K, N].
    `hidden_NH` are the hidden states that predicted the targets `targets_N`, if the method needs them. `nats` and
    `length_nats` are sums over the targets and over the predicted lengths.
    """

    nats_N: Tensor
    targets_N: Tensor
    hidden_NH: Tensor | None = None
    nats: float = 0.0
    length_nats: float = 0.0


class Method(ABC):
    """Scores the batches of a text in order.

    A method may adapt the model, hold other models, or remember what it has read. It must predict a target before it
    uses it: targets are there to be scored, and to learn from afterwards.
    """

    name: ClassVar[str]

    temperatures: Sequence[float] = (1.0,)
    """What the logits are divided by."""

    seq_len: int | None = None
    """The number of words after which the method adapts, so that it reads one column; None if any batches will do."""

    needs_stream: bool = False
    """Whether a text must be one stream, because a method learns from what it has read before."""

    needs_hidden: bool = False
    """Whether `of_text` needs the hidden states."""

    predicts_lengths: bool = True
    """Whether `score` returns the nats of the sentence lengths that a model predicts."""

    has_hidden: bool = True
    """Whether `score` returns the hidden states, one for each target."""

    needs_study: bool = False
    """Whether `study` has to be called before a text is scored."""

    grid: ClassVar[Mapping[str, Sequence[float]]] = {}
    """The values of each option that `tune=true` tries."""

    def prepare(self, model: LanguageModel) -> AbstractContextManager[None]:
        """Return a context in which a text is scored; the model leaves it as it entered. By default dropout is off."""
        return evaluation_mode(model)

    @abstractmethod
    def score(self, model: LanguageModel, batch: AnyBatch, state: Any, per_token: bool) -> tuple[Nats, Any]:
        """Score one batch.

        Args:
            model: on the device of the batch.
            batch: inputs and targets; an `IGNORE_INDEX` is not scored. Sentences are padded on the right.
            state: returned with the previous batch of the text; None for the first one.
            per_token: return one value per target rather than their sum.
        """

    def of_text(self, text: TextNats) -> Tensor:
        """Return the nats of each target, [N], when the whole text has been read."""
        return text.nats_N

    def study(self, model: LanguageModel, ids: Tensor) -> Self:
        """Return the method with what it needs to know from the training text `ids`; by default that is nothing."""
        return self

    def settings(self) -> dict[str, Any]:
        """Return the options of the method as plain values."""
        return {name: getattr(self, name) for name in self.option_names()}

    @classmethod
    def option_names(cls) -> list[str]:
        """Return the names of the options, the fields of a dataclass."""
        return [field.name for field in fields(cls) if field.name != "inner"] if is_dataclass(cls) else []

    def check(self) -> None:
        """Check the options, each with the check in its annotation.

        Raises:
            ValueError: if one has a wrong value.
        """
        check_fields(self, lambda name: name if name == self.name else f"{self.name}.{name}")

    def with_settings(self, **settings: Any) -> Self:
        """Return the same with other options."""
        other = copy(self)
        for name, value in settings.items():
            setattr(other, name, value)
        return other

    def protocol(self) -> dict[str, Any]:
        """Return the name of the method and its options, for the results."""
        return {"method": self.name} | ({"settings": {self.name: self.settings()}} if self.settings() else {})

    def at(self, temperatures: Sequence[float]) -> Self:
        """Return the same method with the logits divided by these temperatures."""
        return self.with_settings(temperatures=temperatures)


class Wrapper(Method):
    """A method that changes what another one predicts, and reads the text as that one does."""

    def __init__(self, inner: Method) -> None:
        self.inner = inner
        self.temperatures, self.seq_len, self.needs_study = inner.temperatures, inner.seq_len, inner.needs_study
        self.needs_stream, self.needs_hidden = inner.needs_stream, inner.needs_hidden
        self.predicts_lengths = inner.predicts_lengths

    def prepare(self, model: LanguageModel) -> AbstractContextManager[None]:
        """Prepare the inner method."""
        return self.inner.prepare(model)

    def score(self, model: LanguageModel, batch: AnyBatch, state: Any, per_token: bool) -> tuple[Nats, Any]:
        """Score one batch with the inner method."""
        return self.inner.score(model, batch, state, per_token)

    def check(self) -> None:
        """Check the options of both methods."""
        super().check()
        self.inner.check()

    def of_text(self, text: TextNats) -> Tensor:
        """Return the nats of the inner method."""
        return self.inner.of_text(text)

    def study(self, model: LanguageModel, ids: Tensor) -> Self:
        """Let the inner method study the training text."""
        return self.with_settings(inner=self.inner.study(model, ids))

    def at(self, temperatures: Sequence[float]) -> Self:
        """Return the same around the inner method at these temperatures."""
        return self.with_settings(inner=self.inner.at(temperatures), temperatures=temperatures)

    def protocol(self) -> dict[str, Any]:
        """Return the names of both methods, as in `dynamic,cache`, and their options."""
        inner = self.inner.protocol()
        name = self.name if inner["method"] == "static" else f"{inner['method']},{self.name}"
        return {"method": name, "settings": {**inner.get("settings", {}), self.name: self.settings()}}


@contextmanager
def evaluation_mode(model: LanguageModel) -> Iterator[None]:
    """Turn dropout off within the block, then restore the model's mode."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
