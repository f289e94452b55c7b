"""An evaluation method: how a trained model assigns probabilities to a text, batch by batch.

Shapes: T time, B batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from lm.data.bptt import Batch
from lm.data.sentences import SentenceBatch
from lm.models.language_model import LanguageModel


class Nats(NamedTuple):
    """Negative log-probabilities of one batch.

    `words` is their sum over the targets, a scalar; or one value per target, [T, B], zero where a target is ignored.
    `lengths` is the sum over the predicted sentence lengths, a scalar, if the model predicts them.
    """

    words: Tensor
    lengths: Tensor | None = None


class Method(ABC):
    """Scores the batches of a text in order.

    A method may adapt the model, hold other models, or remember what it has read. It must predict a target before it
    uses it: targets are there to be scored, and to learn from afterwards.
    """

    name: ClassVar[str]

    def prepare(self, model: LanguageModel) -> AbstractContextManager[None]:
        """Return a context in which a text is scored; the model leaves it as it entered. By default dropout is off."""
        return evaluation_mode(model)

    @abstractmethod
    def score(
        self, model: LanguageModel, batch: Batch | SentenceBatch, state: Any, per_token: bool
    ) -> tuple[Nats, Any]:
        """Score one batch.

        Args:
            model: on the device of the batch.
            batch: inputs and targets; an `IGNORE_INDEX` is not scored. Sentences are padded on the right.
            state: returned with the previous batch of the text; None for the first one.
            per_token: return one value per target rather than their sum.
        """

    def protocol(self) -> dict[str, Any]:
        """Return the name of the method and its options, for the results."""
        return {"method": self.name}


@contextmanager
def evaluation_mode(model: LanguageModel) -> Iterator[None]:
    """Turn dropout off within the block, then restore the model's mode."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
