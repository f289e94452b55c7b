"""All that defines a run, as typed and checked plain values."""

import math
from dataclasses import dataclass, fields
from typing import Any

from lm.data.batching import OPTIONS, Batching
from lm.models.cells import get_cell

EXAMPLES: dict[str, int | float] = {
    "hidden_size": 200,
    "embedding_size": 200,
    "num_layers": 2,
    "init_range": 0.1,
    "batch_size": 20,
    "seq_len": 20,
    "epochs": 25,
    "lr": 1.0,
    "lr_decay_factor": 1.2,
    "max_grad_norm": 5,
}
"""What must be positive, each with a value to type."""


WORDS: dict[Any, str] = {
    int: "a whole number",
    int | None: "a whole number or null",
    float: "a number",
    bool: "true or false",
    str: "a word",
}


@dataclass(frozen=True)
class Config:
    """One run's model and training, under the names that `conf/train.yaml` explains, those of `OPTIONS` under `data`.

    Checkpoints of earlier versions lack the fields that have a value here.

    Raises:
        ValueError: where a value can't be used; the sentence says what was expected, found, and what to type instead.
    """

    cell: str
    dropout: float
    hidden_size: int
    embedding_size: int
    num_layers: int
    tie_weights: bool
    init_range: float
    batch_size: int
    seq_len: int
    epochs: int
    lr: float
    epochs_at_full_rate: int
    lr_decay_factor: float
    max_grad_norm: float
    seed: int
    batching: str = "streams"
    max_length: int | None = None
    truncation_side: str = "right"
    padding_side: str = "right"
    bucket_width: int = 2
    length_conditioning: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        for name, example in EXAMPLES.items():
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"expected {name} to be positive, found {getattr(self, name)}: type {name}={example}")
        get_cell(self.cell)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"expected a dropout of at least 0 and below 1, found {self.dropout}: type dropout=0.25")
        if self.epochs_at_full_rate < 0 or self.seed < 0:
            raise ValueError(
                "expected epochs_at_full_rate and seed to be 0 or more, found "
                f"{self.epochs_at_full_rate} and {self.seed}: type epochs_at_full_rate=4 seed=1"
            )
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError(
                f"expected equal sizes with tie_weights=true, found embedding_size={self.embedding_size} and "
                f"hidden_size={self.hidden_size}: type embedding_size={self.hidden_size}"
            )
        self.batches()
        if self.length_conditioning and self.batching != "sentences":
            raise ValueError(
                f"expected data.batching=sentences with length_conditioning=true, found {self.batching}: "
                "type data.batching=sentences"
            )

    def model_arguments(self) -> dict[str, Any]:
        """Return what `LanguageModel` takes beside the vocabulary's size."""
        names = (
            "cell",
            "embedding_size",
            "hidden_size",
            "num_layers",
            "dropout",
            "init_range",
            "tie_weights",
            "length_conditioning",
        )
        return {name: getattr(self, name) for name in names}

    def batches(self) -> Batching:
        """Return how the corpus is cut into batches."""
        return Batching(**{field.name: getattr(self, field.name) for field in fields(Batching)})


def config_key(name: str) -> str:
    """Return what is typed for a setting."""
    return f"data.{name}" if name in OPTIONS else name


def _check_type(name: str, value: object, wanted: Any) -> None:
    """A whole number is a float, too; a truth value is no number."""
    allowed = {float: (int, float)}.get(wanted, wanted)
    if not isinstance(value, allowed) or (isinstance(value, bool) and wanted is not bool):
        words = WORDS[wanted]
        key, example = config_key(name), EXAMPLES.get(name, "VALUE")
        raise ValueError(f"expected {key} to be {words}, found '{value}': type {key}={example}")
