"""The options of `conf/evaluate.yaml` besides the run, typed and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from lm.checks import check_choice, check_fields, check_text, check_whole, unexpected
from lm.data.sources import SPLITS
from lm.evaluation.methods import METHODS
from lm.evaluation.sentence_table import ROWS


@dataclass(frozen=True)
class EvaluationOptions:
    """What to score, and how, under the names that `conf/evaluate.yaml` explains.

    Raises:
        ValueError: if a value cannot be used, by itself or together with the others.
    """

    run: Any
    checkpoint: Any
    method: Annotated[str, partial(check_choice, choices=METHODS)]

    split: Annotated[str, partial(check_choice, choices=SPLITS)]
    batch_size: Annotated[int | None, partial(check_whole, example=20, optional=True)]
    data: Mapping[str, Any]

    text: Annotated[str | None, partial(check_text, example="'the company said'", optional=True)]
    file: Annotated[str | None, partial(check_text, example="FILE", optional=True)]
    state: Annotated[str, partial(check_choice, choices=("reset", "carried"))]
    per: str | None
    csv: Annotated[str | None, partial(check_text, example="table.csv", optional=True)]

    def __post_init__(self) -> None:
        check_fields(self)
        if not isinstance(self.data, Mapping):
            raise unexpected("data", "a group of options", self.data, "{}")
        check_text("data.dir", self.data_dir, "FOLDER", optional=True)
        if self.per is not None:
            check_choice("per", self.per, ROWS)
        if self.text is not None and self.file is not None:
            raise ValueError("expected text= or file=, found both: leave one of them out")

    @property
    def data_dir(self) -> Any:
        """The folder of the corpus's files."""
        return self.data.get("dir")

    @property
    def own_text(self) -> bool:
        """Whether to score the user's own text rather than a split."""
        return self.text is not None or self.file is not None

    @property
    def rows(self) -> str:
        """What a row of the table is, a name in `ROWS`; by default a word of `text`, or a sentence of `file`."""
        return self.per or ("word" if self.file is None else "sentence")

    @property
    def unused(self) -> tuple[str, str, tuple[str, ...]]:
        """The arguments of `refuse_options`: what the options are for, and those that are for something else."""
        if self.own_text:
            return "your own text", "a split", ("split", "batch_size", "data.dir")
        return "a split", "text= or file=", ("state", "per", "csv")
