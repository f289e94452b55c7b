"""The arguments of Lightning's Trainer that can be typed, checked."""

import math
import re
from dataclasses import dataclass, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from typing import Annotated, Any

from lm.checks import check_choice, check_fields, check_flag, check_text, check_whole, unexpected


def check_devices(name: str, value: object) -> None:
    """Raise a ValueError unless `value` is a number of devices, a list of GPUs, or auto."""
    if isinstance(value, list) and value:
        for index in value:
            check_whole(name, index, 1, least=0)
    elif value != "auto":
        check_whole(name, value, 1)


def check_limit(name: str, value: object) -> None:
    """Raise a ValueError unless `value` is a number of batches (an int) or a fraction of them (a float)."""
    if isinstance(value, bool) or not (
        (isinstance(value, int) and value > 0) or (isinstance(value, float) and 0 < value <= 1)
    ):
        raise unexpected(
            name, "a whole number of batches of at least 1, or a fraction above 0.0, at most 1.0", value, 1.0
        )


def check_duration(name: str, value: object) -> None:
    """Raise a ValueError unless `value` is a time as Lightning writes it, or None."""
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", value)):
        raise unexpected(
            name, "a time as DAYS:HOURS:MINUTES:SECONDS with two digits each, or null", value, "00:01:30:00"
        )


WHOLE_CORPUS = {
    "limit_train_batches": 1.0,
    "limit_val_batches": 1.0,
    "overfit_batches": 0.0,
    "max_steps": -1,
    "fast_dev_run": False,
}
"""The values of Lightning's options with which a run reads its whole corpus. 1.0 is all batches, 1 is one batch."""

INSTEAD = {
    "accumulate_grad_batches": "batch_size=",
    "fast_dev_run": "trainer.limit_train_batches=1",
    "gradient_clip_val": "max_grad_norm=",
    "max_epochs": "epochs=",
    "max_steps": "epochs=",
    "min_epochs": "epochs=",
    "min_steps": "epochs=",
    "num_nodes": "trainer.devices=",
    "overfit_batches": "trainer.limit_train_batches=",
    "precision": "precision=",
    "val_check_interval": "+trainer.check_val_every_n_epoch=",
}
"""Arguments of Lightning's Trainer that would contradict this project, and what to type instead."""


@dataclass(frozen=True)
class TrainerConfig:
    """The arguments of Lightning's Trainer that can be typed; those with a default take a plus: +trainer.profiler=.

    Raises:
        ValueError: as `Config`.
    """

    accelerator: Annotated[str, partial(check_choice, choices=("auto", "cpu", "gpu", "cuda"))]
    devices: Annotated[int | str | list[int], check_devices]
    strategy: str
    limit_train_batches: Annotated[int | float, check_limit]
    limit_val_batches: Annotated[int | float, check_limit]
    log_every_n_steps: Annotated[int, partial(check_whole, example=50)]
    enable_progress_bar: Annotated[bool, check_flag]
    max_time: Annotated[str | None, check_duration]
    check_val_every_n_epoch: Annotated[int, partial(check_whole, example=1)] = 1
    profiler: Annotated[str | None, partial(check_text, example="simple", optional=True)] = None
    deterministic: Annotated[bool | None, partial(check_flag, optional=True)] = None
    benchmark: Annotated[bool | None, partial(check_flag, optional=True)] = None
    detect_anomaly: Annotated[bool, check_flag] = False
    inference_mode: Annotated[bool, check_flag] = True

    def __post_init__(self) -> None:
        check_fields(self, "trainer.{}".format)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainerConfig":
        """Return the typed arguments."""
        known = [field.name for field in fields(cls)]
        for name in (name for name in values if name not in known):
            close = get_close_matches(name, known, n=1)
            plus = "" if close and close[0] in values else "+"
            similar = f"type {plus}trainer.{close[0]}=" if close else "leave it out"
            advice = f"type {INSTEAD[name]} instead" if name in INSTEAD else similar
            raise ValueError(
                f"expected an argument of Lightning's Trainer that can be set, found trainer.{name}=: {advice}"
            )
        return cls(**{name: None for name in known if name not in values and not hasattr(cls, name)} | values)

    @property
    def seconds(self) -> float:
        """The time after which training stops with a checkpoint."""
        if self.max_time is None:
            return math.inf
        days, hours, minutes, seconds = map(int, self.max_time.split(":"))
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
