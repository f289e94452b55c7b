"""The options of the table, in `conf/report.yaml` and `hydra.callbacks.report`. This module does not import pandas."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from lm.checks import check_fields, check_flag, check_number


@dataclass(frozen=True)
class ExtraColumns:
    """Columns that are shown on request, as `conf/report.yaml` explains.

    Raises:
        ValueError: if `epochs_to` is not a positive number, or another one is not true or false.
    """

    parameters: Annotated[bool, check_flag] = False
    speed: Annotated[bool, check_flag] = False
    epochs_to: Annotated[float | None, partial(check_number, example=120, above=0, optional=True)] = None
    evaluations: Annotated[bool, check_flag] = False

    def __post_init__(self) -> None:
        check_fields(self)
