"""The options of `conf/train.yaml` that define a run, as typed, checked values; `lm.machine_config` has the others."""

import math
from dataclasses import asdict, dataclass, fields
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from lm.checks import check_choice, check_fields, check_flag, check_group, check_number, check_whole
from lm.data.sources import SOURCES
from lm.models.cells import CELLS
from lm.models.cutoffs import check_clusters, check_cutoffs

if TYPE_CHECKING:
    from lm.data.batching import Batching  # imports PyTorch, which checking a config does not need

Options = TypeVar("Options")

SENTENCE_OPTIONS = ("max_length", "truncation_side", "padding_side", "bucket_width")
"""The options of `data` that only batches of sentences read."""

BATCHING_OPTIONS = ("batching", *SENTENCE_OPTIONS)
"""The options of `data` that define batches, whatever the corpus. All others are the source's."""

BATCHING_OF = {"length_conditioning": "sentences", "random_seq_len": "streams", "partial_shuffle": "streams"}
"""The options that need one value of `data.batching`."""

MIN_RANDOM_SEQ_LEN = 10
"""The smallest `seq_len` that lengths are drawn around: the smallest of them is 5."""

GROUPS = {
    "cell": "lstm", "data": "ptb", "optimizer": "sgd", "schedule": "table1", "averaging": "none", "trainer": "{}",
}  # fmt: skip
"""The options that are groups of options, each with an example."""

DEFAULTS_OF_GROUPS = ("lr", "epochs_at_full_rate", "lr_decay_factor")
"""The options of a group, such as `optimizer.lr`, that are the default of an option of that name outside it."""

SIDES = ("right", "left")

Probability = Annotated[float, partial(check_number, example=0.25, least=0, below=1)]
Penalty = Annotated[float, partial(check_number, example=1, least=0, below=1e6)]


@dataclass(frozen=True)
class Config:
    """One run's model, training and corpus, under the names that `conf/train.yaml` explains.

    Raises:
        ValueError: if a value cannot be used. The sentence says what was expected, found, and what to type instead.
    """

    cell: Annotated[str, partial(check_choice, choices=CELLS)]
    dropout: Probability
    hidden_size: Annotated[int, partial(check_whole, example=200)]
    embedding_size: Annotated[int, partial(check_whole, example=200)]
    num_layers: Annotated[int, partial(check_whole, example=2)]
    tie_weights: Annotated[bool, check_flag]
    last_hidden_size: Annotated[int, partial(check_whole, example=200)]
    length_conditioning: Annotated[bool, check_flag]
    init_range: Annotated[float, partial(check_number, example=0.1, above=0, below=1e6)]

    dropout_type: Annotated[str, partial(check_choice, choices=("standard", "locked"))]
    input_dropout: Probability
    hidden_dropout: Probability
    output_dropout: Probability
    embedding_dropout: Probability
    weight_dropout: Probability
    activation_penalty: Penalty
    temporal_penalty: Penalty

    batch_size: Annotated[int, partial(check_whole, example=20)]
    seq_len: Annotated[int, partial(check_whole, example=20)]
    random_seq_len: Annotated[bool, check_flag]
    partial_shuffle: Annotated[bool, check_flag]
    epochs: Annotated[int, partial(check_whole, example=25)]
    optimizer: str
    weight_decay: Annotated[float, partial(check_number, example=1e-4, least=0, below=1)]
    lr: Annotated[float, partial(check_number, example=1.0, above=0, below=1e6)]
    schedule: str
    averaging: str
    patience: Annotated[int | None, partial(check_whole, example=5, optional=True)]
    epochs_at_full_rate: Annotated[int, partial(check_whole, example=4, least=0)]
    lr_decay_factor: Annotated[float, partial(check_number, example=1.2, least=0.001, below=1e6)]
    max_grad_norm: Annotated[float, partial(check_number, example=5, above=0, below=1e30)]
    seed: Annotated[int, partial(check_whole, example=1, least=0, most=2**32 - 1)]

    batching: Annotated[str, partial(check_choice, choices=("streams", "sentences"))]
    max_length: Annotated[int | None, partial(check_whole, example=50, optional=True)]
    truncation_side: Annotated[str, partial(check_choice, choices=SIDES)]
    padding_side: Annotated[str, partial(check_choice, choices=SIDES)]
    bucket_width: Annotated[int, partial(check_whole, example=2)]
    source: dict[str, Any]
    optimizer_options: dict[str, Any]
    schedule_options: dict[str, Any]
    averaging_options: dict[str, Any]
    recurrent_init_range: Annotated[
        float | None, partial(check_number, example=0.1, above=0, below=1e6, optional=True)
    ] = None
    softmax: Annotated[str, partial(check_choice, choices=("full", "adaptive"))] = "full"
    cutoffs: Annotated[list[int] | None, check_cutoffs] = None

    def __post_init__(self) -> None:
        check_fields(self, config_key)
        check_choice("data", self.source.get("name"), SOURCES)
        self._check_layers()
        if self.softmax == "adaptive":
            self._check_adaptive_softmax()
        self._check_batching()
        self._check_decay()

    def _check_layers(self) -> None:
        if self.num_layers == 1 and self.hidden_size != self.last_hidden_size:
            raise ValueError(
                f"expected equal sizes with num_layers=1, found hidden_size={self.hidden_size} and "
                f"last_hidden_size={self.last_hidden_size}: type last_hidden_size={self.hidden_size}"
            )
        if self.weight_dropout and not CELLS[self.cell].recurrent:
            raise ValueError(
                f"expected a cell with hidden-hidden matrices with weight_dropout={self.weight_dropout}, "
                f"found {self.cell}: type weight_dropout=0"
            )

    def _check_batching(self) -> None:
        for option, batching in BATCHING_OF.items():
            if getattr(self, option) and self.batching != batching:
                raise ValueError(
                    f"expected data.batching={batching} with {option}=true, found {self.batching}: "
                    f"type data.batching={batching}"
                )
        if self.random_seq_len and self.seq_len < MIN_RANDOM_SEQ_LEN:
            raise ValueError(
                f"expected seq_len of at least {MIN_RANDOM_SEQ_LEN} with random_seq_len=true, found {self.seq_len}: "
                f"type seq_len={MIN_RANDOM_SEQ_LEN}"
            )

    def _check_decay(self) -> None:
        decays = max(0, self.epochs - self.epochs_at_full_rate) if self.schedule == "decay" else 0
        if abs(decays * math.log10(self.lr_decay_factor)) > 300:
            raise ValueError(
                f"expected lr_decay_factor to keep the learning rate in the range of a float for {decays} decays, "
                f"found {self.lr_decay_factor}: type lr_decay_factor={10 ** (1 / decays):.6f}"
            )

    def _check_adaptive_softmax(self) -> None:
        if self.tie_weights:
            raise ValueError(
                "expected tie_weights=false with softmax=adaptive, whose matrices have other shapes than the "
                "embedding's, found true: type tie_weights=false"
            )
        check_clusters(self.last_hidden_size, self.cutoffs)

    @classmethod
    def from_hydra(cls, config: DictConfig) -> "Config":
        """Return the typed options of a composed config."""
        values, names = plain(config), field_names(cls)
        data = values["data"]
        options: dict[str, Any] = {name: (data if name in BATCHING_OPTIONS else values).get(name) for name in names}
        for group in ("optimizer", "schedule", "averaging"):
            options[group] = values[group].get("name")
            own = {key: value for key, value in values[group].items() if key not in ("name", *DEFAULTS_OF_GROUPS)}
            options[f"{group}_options"] = own
        return cls(**options | {"cell": values["cell"].get("name"), "source": source_options(data)})

    def defining(self) -> dict[str, Any]:
        """Return plain values that `Config(**values)` restores; the folder of the corpus is not part of the run."""
        return asdict(self) | {"source": {key: value for key, value in self.source.items() if key != "dir"}}

    def model_arguments(self) -> dict[str, Any]:
        """Return the arguments of `LanguageModel` besides the vocabulary's size."""
        from lm.models.language_model import LanguageModel

        names = signature(LanguageModel).parameters
        return {name: getattr(self, name) for name in names if name != "vocabulary_size"}

    def batches(self) -> "Batching":
        """Return how the corpus is cut into batches."""
        from lm.data.batching import Batching

        return Batching(**{name: getattr(self, name) for name in field_names(Batching)})


def dropout_options(num_layers: int) -> list[str]:
    """Return the options of dropout that a model reads: no layer follows the hidden dropout of a single one."""
    return ["input_dropout", *(["hidden_dropout"] if num_layers > 1 else []), "output_dropout"]


def typed(options: type[Options], config: DictConfig) -> Options:
    """Return the typed options of a composed config; a missing one is None."""
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return options(**{name: values.get(name) for name in field_names(options)})


def config_key(name: str) -> str:
    """Return the config key of a field."""
    return f"data.{name}" if name in BATCHING_OPTIONS else name


def option_of(name: str, option: str) -> str:
    """Return the config key of an option in a field that has several, as `optimizer.eps` in `optimizer_options`."""
    group = "data" if name == "source" else name.removesuffix("_options")
    return group if option == "name" else f"{group}.{option}"


def source_options(data: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `data` that are the source's."""
    return {name: value for name, value in data.items() if name not in BATCHING_OPTIONS}


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain values, interpolations resolved.

    Raises:
        ValueError: if a group of options is missing, as after `cell=null`, or another value stands in its place.
    """
    for name, example in GROUPS.items():
        check_group(name, config.get(name), example)
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return values


def field_names(cls: type) -> list[str]:
    """Return the names of the fields of a dataclass."""
    return [known.name for known in fields(cls)]
