"""The options of `conf/train.yaml` as typed, checked values. Every check of one of them stands here, or in `Batching`.

`Config` is what defines a run: another value makes another run. `MachineConfig` is how and where it is computed.
"""

from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Annotated, Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from lm.checks import check_flag, check_number, check_whole, unexpected
from lm.data.batching import OPTIONS, Batching, source_options
from lm.models.cells import get_cell

MODEL_ARGUMENTS = (
    "cell", "embedding_size", "hidden_size", "num_layers", "dropout", "init_range", "tie_weights",
    "length_conditioning",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """One run's model, training and corpus, under the names that `conf/train.yaml` explains.

    Raises:
        ValueError: if a value cannot be used. The sentence says what was expected, found, and what to type instead.
    """

    cell: str
    dropout: Annotated[float, partial(check_number, example=0.25, least=0, below=1)]
    hidden_size: Annotated[int, partial(check_whole, example=200)]
    embedding_size: Annotated[int, partial(check_whole, example=200)]
    num_layers: Annotated[int, partial(check_whole, example=2)]
    tie_weights: Annotated[bool, check_flag]
    length_conditioning: Annotated[bool, check_flag]
    init_range: Annotated[float, partial(check_number, example=0.1, above=0, below=1e6)]

    batch_size: Annotated[int, partial(check_whole, example=20)]
    seq_len: Annotated[int, partial(check_whole, example=20)]
    epochs: Annotated[int, partial(check_whole, example=25)]
    optimizer: str
    lr: Annotated[float, partial(check_number, example=1.0, above=0, below=1e6)]
    schedule: str
    epochs_at_full_rate: Annotated[int, partial(check_whole, example=4, least=0)]
    lr_decay_factor: Annotated[float, partial(check_number, example=1.2, above=0, below=1e6)]
    max_grad_norm: Annotated[float, partial(check_number, example=5, above=0, below=1e30)]
    seed: Annotated[int, partial(check_whole, example=1, least=0, most=2**32 - 1)]

    batching: str
    max_length: int | None
    truncation_side: str
    padding_side: str
    bucket_width: int
    source: dict[str, Any]
    optimizer_options: dict[str, Any]

    def __post_init__(self) -> None:
        get_cell(self.cell)
        check_fields(self)
        self.batches()
        if self.tie_weights and self.embedding_size != self.hidden_size:
            raise ValueError(
                f"expected equal sizes with tie_weights=true, found embedding_size={self.embedding_size} and "
                f"hidden_size={self.hidden_size}: type embedding_size={self.hidden_size}"
            )
        if self.length_conditioning and self.batching != "sentences":
            raise ValueError(
                f"expected data.batching=sentences with length_conditioning=true, found {self.batching}: "
                "type data.batching=sentences"
            )

    @classmethod
    def from_hydra(cls, config: DictConfig) -> "Config":
        """Return the typed options of a composed config."""
        values = plain(config)
        cell, optimizer, schedule, data = (group(values, name) for name in ("cell", "optimizer", "schedule", "data"))
        typed: dict[str, Any] = {name: (data if name in OPTIONS else values).get(name) for name in _names(cls)}
        return cls(**typed | {
            "cell": cell["name"],
            "optimizer": optimizer["name"],
            "optimizer_options": {key: value for key, value in optimizer.items() if key != "name"},
            "schedule": schedule["name"],
            "source": source_options(data),
        })  # fmt: skip

    def defining(self) -> dict[str, Any]:
        """Return plain values that `Config(**values)` restores; the folder of the corpus is not part of the run."""
        return asdict(self) | {"source": {key: value for key, value in self.source.items() if key != "dir"}}

    def model_arguments(self) -> dict[str, Any]:
        """Return the arguments of `LanguageModel` besides the vocabulary's size."""
        return {name: getattr(self, name) for name in MODEL_ARGUMENTS}

    def batches(self) -> Batching:
        """Return how the corpus is cut into batches."""
        return Batching(**{name: getattr(self, name) for name in _names(Batching)})


@dataclass(frozen=True)
class MachineConfig:
    """How and where a run is computed: options that change its speed, its place or its rounding, not the experiment.

    Raises:
        ValueError: as `Config`.
    """

    precision: str
    num_threads: Annotated[int | None, partial(check_whole, example=2, optional=True)]
    gpus_per_run: Annotated[float, partial(check_number, example=1, least=0)]
    checkpoint_every_minutes: Annotated[float, partial(check_number, example=10, above=0)]
    resume: str | None
    trainer: dict[str, Any]

    def __post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def from_hydra(cls, config: DictConfig) -> "MachineConfig":
        """Return the typed options of a composed config."""
        values = plain(config)
        return cls(**{name: values.get(name) for name in _names(cls)} | {"trainer": group(values, "trainer")})


def check_fields(config: Any) -> None:
    """Run the check of every field that has one."""
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        for check in getattr(hint, "__metadata__", ()):
            check(config_key(name), getattr(config, name))


def config_key(name: str) -> str:
    """Return what is typed for a field."""
    return f"data.{name}" if name in OPTIONS else name


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain values, interpolations resolved."""
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return values


def group(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the options of a config group.

    Raises:
        ValueError: if another value stands in its place, as after `cell=null`.
    """
    examples = {"cell": "lstm", "data": "ptb", "optimizer": "sgd", "schedule": "table1", "trainer": "{}"}
    found = values.get(name)
    if not isinstance(found, dict):
        raise unexpected(name, "a config group", found, examples[name])
    return found


def _names(cls: type) -> list[str]:
    return [known.name for known in fields(cls)]
