"""The learning rate schedules by name. A new one is an entry here and `conf/schedule/<name>.yaml`.

python -m lm.train optimizer=adamw schedule=cosine schedule.warmup_epochs=1

This module does not import PyTorch: a config is checked fast without it.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lm.checks import Checks, check_entry, check_number, check_whole, unexpected

if TYPE_CHECKING:
    import torch
    from pytorch_lightning.utilities.types import LRSchedulerConfigType

    from lm.config import Config


@dataclass(frozen=True)
class ScheduleEntry:
    """What is true of one schedule.

    Args:
        factor: the learning rate relative to `lr`, after a number of epochs (with a fraction, if updated by step); None
            if it depends on the validation.
        interval: whether the rate is updated after each "epoch", each "step" or each "validation".
        options: the options of its group, each with its check.
        reads: the options of `conf/train.yaml` that only some schedules read.
    """

    factor: "Callable[[float, Config], float] | None"
    interval: str
    options: Checks = field(default_factory=dict)
    reads: tuple[str, ...] = ()

    @property
    def to_the_end(self) -> bool:
        """Whether each learning rate depends on the number of all epochs."""
        return self.interval == "step"


def decay(epochs: float, config: "Config") -> float:
    """Return 1 for `epochs_at_full_rate` epochs; then divide by `lr_decay_factor` before each further epoch.

    With `epochs_at_full_rate=4` the fifth epoch is the first that decays (TensorFlow's reading of Zaremba's
    schedule; his Lua code first decays an epoch later).
    """
    return 1.0 / float(config.lr_decay_factor ** max(0, epochs + 1 - config.epochs_at_full_rate))


def cosine(epochs: float, config: "Config") -> float:
    """Rise linearly from 0 to 1 in `warmup_epochs`; then fall as half a cosine to `final_factor` in the last epoch.

    Loshchilov and Hutter (2017, arXiv:1608.03983), without restarts.
    """
    warmup, final = config.schedule_options["warmup_epochs"], config.schedule_options["final_factor"]
    if epochs < warmup:
        return float(epochs / warmup)
    return float(final + (1 - final) * half_cosine((epochs - warmup) / (config.epochs - warmup)))


def one_cycle(epochs: float, config: "Config") -> float:
    """Rise from `initial_factor` to 1 and fall to `final_factor`, each as half a cosine.

    Smith and Topin (2017, arXiv:1708.07120), as in `torch.optim.lr_scheduler.OneCycleLR`, without its momentum.
    """
    options = config.schedule_options
    top = options["warmup_fraction"] * config.epochs
    if epochs < top:
        return float(1 - (1 - options["initial_factor"]) * half_cosine(epochs / top))
    progress = (epochs - top) / (config.epochs - top)
    return float(options["final_factor"] + (1 - options["final_factor"]) * half_cosine(progress))


def half_cosine(progress: float) -> float:
    """Return the half cosine that falls from 1 to 0 while `progress` rises from 0 to 1."""
    return (1 + math.cos(math.pi * progress)) / 2


FACTOR = partial(check_number, example=0.1, least=0, most=1)
COSINE_OPTIONS: Checks = {
    "warmup_epochs": partial(check_number, example=1, least=0, below=1e6),
    "final_factor": FACTOR,
}
ONE_CYCLE_OPTIONS: Checks = {
    "warmup_fraction": partial(check_number, example=0.3, least=0, below=1),
    "initial_factor": FACTOR,
    "final_factor": FACTOR,
}
PLATEAU_OPTIONS: Checks = {
    "patience": partial(check_whole, example=0, least=0),
    "threshold": partial(check_number, example=1e-4, least=0, below=1),
}

SCHEDULES = {
    "decay": ScheduleEntry(decay, "epoch", reads=("epochs_at_full_rate", "lr_decay_factor")),
    "cosine": ScheduleEntry(cosine, "step", COSINE_OPTIONS),
    "one_cycle": ScheduleEntry(one_cycle, "step", ONE_CYCLE_OPTIONS),
    "plateau": ScheduleEntry(None, "validation", PLATEAU_OPTIONS, reads=("lr_decay_factor",)),
}


def schedules_without(option: str) -> tuple[str, ...]:
    """Return the names of the schedules that do not read an option of `conf/train.yaml`."""
    return tuple(name for name, entry in SCHEDULES.items() if option not in entry.reads)


def check_schedule(config: "Config") -> None:
    """Raise a ValueError if the schedule or one of its options is wrong, or does not fit the number of epochs."""
    check_entry("schedule", config.schedule, config.schedule_options, SCHEDULES)
    if (warmup := config.schedule_options.get("warmup_epochs", 0)) >= config.epochs:
        raise ValueError(
            f"expected schedule.warmup_epochs below epochs={config.epochs}, found {warmup}: "
            f"type schedule.warmup_epochs={config.epochs / 10:g}"
        )
    if config.schedule == "plateau" and config.lr_decay_factor <= 1:
        raise unexpected("lr_decay_factor", "above 1 with schedule=plateau", config.lr_decay_factor, 4)


def make_scheduler(
    config: "Config", optimizer: "torch.optim.Optimizer", steps_per_epoch: Callable[[], int]
) -> "LRSchedulerConfigType":
    """Return the schedule of the config as Lightning expects it.

    Raises:
        ValueError: as `check_schedule`.
    """
    from torch.optim.lr_scheduler import LambdaLR

    check_schedule(config)
    entry = SCHEDULES[config.schedule]
    if entry.factor is None:
        return make_plateau(config, optimizer)
    factor = entry.factor

    def at(updates: int) -> float:
        steps = 1 if updates == 0 or entry.interval == "epoch" else steps_per_epoch()  # unknown before the first step
        return factor(updates / steps, config)

    return {"scheduler": LambdaLR(optimizer, at), "interval": entry.interval}


def make_plateau(config: "Config", optimizer: "torch.optim.Optimizer") -> "LRSchedulerConfigType":
    """Return the schedule that divides the rate by `lr_decay_factor` when the validation loss no longer falls.

    The LightningModule updates it after each validation, by `update_plateau`. Lightning would do so only after the
    checkpoint of the epoch.
    """
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    scheduler = ReduceLROnPlateau(optimizer, factor=1 / config.lr_decay_factor, eps=0, **config.schedule_options)
    return {"scheduler": scheduler, "interval": "step", "frequency": sys.maxsize, "monitor": "valid_ppl"}


def update_plateau(scheduler: Any, valid_ppl: float) -> None:
    """Update a scheduler after a validation, if it depends on it: on the loss, in nats per token."""
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(math.log(valid_ppl))
