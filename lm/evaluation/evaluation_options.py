"""The options of `conf/evaluate.yaml`, typed and checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Self

from omegaconf import DictConfig, OmegaConf

from lm.checks import check_choice, check_fields, check_flag, check_group, check_text, check_whole
from lm.config import field_names
from lm.data.sources import SPLITS
from lm.data.text_reader import PREPARATION
from lm.evaluation.composition import Composition
from lm.evaluation.evaluations import option_key
from lm.evaluation.methods import METHODS, Temperature
from lm.evaluation.sentence_table import ROWS


@dataclass(frozen=True)
class EvaluationOptions:
    """What to score, and how, under the names that `conf/evaluate.yaml` explains.

    Args:
        method_options: for each method that has some, its options.

    Raises:
        ValueError: if a value cannot be used, by itself or together with the others.
    """

    run: Any
    checkpoint: Any
    method: str
    tune: Annotated[bool, check_flag]
    method_options: Mapping[str, Any]

    split: Annotated[str, partial(check_choice, choices=SPLITS)]
    batch_size: Annotated[int | None, partial(check_whole, example=20, optional=True)]
    data: Mapping[str, Any]

    text: Annotated[str | None, partial(check_text, example="'the company said'", optional=True)]
    file: Annotated[str | None, partial(check_text, example="FILE", optional=True)]
    state: Annotated[str, partial(check_choice, choices=("reset", "carried"))]
    per: str | None
    nats: Annotated[str | None, partial(check_text, example="FILE.npz", optional=True)]
    csv: Annotated[str | None, partial(check_text, example="table.csv", optional=True)]

    def __post_init__(self) -> None:
        check_fields(self)
        groups = {name: found for name, found in self.method_options.items() if name != Temperature.name}
        for name, found in {"data": self.data, **groups}.items():
            check_group(name, found)
        check_text("data.dir", self.data_dir, "FOLDER", optional=True)
        if self.per is not None:
            check_choice("per", self.per, ROWS)
        if self.text is not None and self.file is not None:
            raise ValueError("expected text= or file=, found both: leave one of them out")
        if not isinstance(self.method, str):
            check_choice("method", self.method, METHODS)
        if not any(self.composition.grid().values()) and self.tune:
            raise ValueError(f"expected a method with options to tune, found {self.method}: type method=cache")

    @classmethod
    def from_hydra(cls, config: DictConfig) -> Self:
        """Return the typed options of a composed config."""
        values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        values["method_options"] = {name: values[name] for name in METHODS if name in values}
        options: dict[str, Any] = {name: values.get(name) for name in field_names(cls)}
        return cls(**options)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the methods."""
        return tuple(name.strip() for name in self.method.split(","))

    @cached_property
    def composition(self) -> Composition:
        """The methods with their options."""
        return Composition(self.names, {name: self._group(name) for name in METHODS})

    def _group(self, name: str) -> Mapping[str, Any]:
        """Return the options of a method; one that is missing is None, as after `~cache.theta`, which is refused."""
        found = self.method_options.get(name, {})
        typed = {name: found} if name == Temperature.name else found
        return {**dict.fromkeys(METHODS[name].option_names()), **typed}

    @property
    def data_dir(self) -> Any:
        """The folder of the corpus's files."""
        return self.data.get("dir")

    @property
    def other_corpus(self) -> bool:
        """Whether the corpus is another one than that of the training."""
        return self.data.get("name") is not None

    @property
    def own_text(self) -> bool:
        """Whether to score the user's own text rather than a split."""
        return self.text is not None or self.file is not None

    @property
    def rows(self) -> str:
        """What a row of the table is, a name in `ROWS`; by default a word of `text`, or a sentence of `file`."""
        return self.per or ("word" if self.file is None else "sentence")

    @property
    def unused(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        """The arguments of `refuse_options`: what the options are for, and those that are for something else."""
        if self.own_text:
            reads_corpus = self.tune or self.composition.method().needs_study
            yield (
                "your own text",
                "a split",
                ("split", "batch_size", "nats", "data", *(() if reads_corpus else ("data.dir",))),
            )
        else:
            yield "a split", "text= or file=", ("state", "per", "csv")
        yield "the run's own preparation", "training", [f"data.{name}" for name in PREPARATION]
        for name in METHODS:
            if name not in self.names:
                keys = [option_key(name, option) for option in self._group(name)]
                yield f"method={self.method}", f"method={name}", keys
