"""The learning rate schedules by name. A new one is an entry here and `conf/schedule/<name>.yaml`."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pytorch_lightning.utilities.types import LRSchedulerConfigType

from lm.checks import check_choice
from lm.config import Config


@dataclass(frozen=True)
class ScheduleEntry:
    """What is true of one schedule.

    Args:
        factor: the learning rate relative to `lr`, after a number of epochs (with a fraction, if updated by step).
        interval: whether the rate is updated after each "epoch" or after each "step".
    """

    factor: Callable[[float, Config], float]
    interval: str


def decay(epochs: float, config: Config) -> float:
    """Return 1 for `epochs_at_full_rate` epochs; then divide by `lr_decay_factor` before each further epoch.

    With `epochs_at_full_rate=4` the fifth epoch is the first with a smaller rate (TensorFlow's reading of Zaremba's
    schedule; his Lua code first decays an epoch later).
    """
    return 1.0 / float(config.lr_decay_factor ** max(0, epochs + 1 - config.epochs_at_full_rate))


SCHEDULES = {
    "decay": ScheduleEntry(decay, "epoch"),
}


def make_scheduler(
    name: str, config: Config, optimizer: torch.optim.Optimizer, steps_per_epoch: Callable[[], int]
) -> LRSchedulerConfigType:
    """Return the schedule of that name as Lightning expects it.

    Raises:
        ValueError: if no schedule has that name.
    """
    check_choice("schedule", name, SCHEDULES)
    entry = SCHEDULES[name]
    updates = 1 if entry.interval == "epoch" else steps_per_epoch()
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: entry.factor(done / updates, config))
    return {"scheduler": scheduler, "interval": entry.interval}
