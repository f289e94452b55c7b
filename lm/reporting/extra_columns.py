"""The options of the table, in `conf/report.yaml` and `hydra.callbacks.report`. This module does not import pandas."""

from dataclasses import dataclass

from lm.checks import check_flag, check_number


@dataclass(frozen=True)
class ExtraColumns:
    """Columns that are shown on request.

    Args:
        parameters: the model's parameters.
        speed: tokens per second in training.
        epochs_to: the first epoch with a validation perplexity of at most this.
        evaluations: the perplexities in each run's `evaluations.json`.

    Raises:
        ValueError: if `epochs_to` is not a positive number, or another one is not true or false.
    """

    parameters: bool = False
    speed: bool = False
    epochs_to: float | None = None
    evaluations: bool = False

    def __post_init__(self) -> None:
        check_flag("parameters", self.parameters)
        check_flag("speed", self.speed)
        check_flag("evaluations", self.evaluations)
        check_number("epochs_to", self.epochs_to, example=120, above=0, optional=True)
