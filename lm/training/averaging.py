"""Averages of the weights by name. A new one is an entry here and `conf/averaging/<name>.yaml`.

python -m lm.train averaging=ema averaging.decay=0.999

This module does not import PyTorch: a config is checked fast without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from lm.checks import Checks, check_entry, check_number, check_whole
from lm.training.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from lm.config import Config
    from lm.training.averaged_weights import AveragedWeights


@dataclass(frozen=True)
class AveragingEntry:
    """What is true of one kind of averaging.

    Args:
        callback: its class as "module:class"; None if nothing is averaged.
        options: the arguments of the class, each with its check.
    """

    callback: str | None
    options: Checks = field(default_factory=dict)


AVERAGING: Mapping[str, AveragingEntry] = {
    "none": AveragingEntry(None),
    "nt_asgd": AveragingEntry(
        "lm.training.averaged_weights:NonMonotonicAverage", {"patience": partial(check_whole, example=5)}
    ),
    "ema": AveragingEntry(
        "lm.training.averaged_weights:ExponentialAverage",
        {"decay": partial(check_number, example=0.999, least=0, below=1)},
    ),
}

OF_OPTIMIZER = "lm.training.averaged_weights:OptimizerAverage"


def check_averaging(config: "Config") -> None:
    """Raise a ValueError if the average or one of its options is wrong, or the optimiser averages too."""
    check_entry("averaging", config.averaging, config.averaging_options, AVERAGING)
    if OPTIMIZERS[config.optimizer].averages and config.averaging != "none":
        raise ValueError(
            f"expected averaging=none with optimizer={config.optimizer}, which averages the weights itself, "
            f"found {config.averaging}: type averaging=none"
        )


def make_averaging(config: "Config") -> "list[AveragedWeights]":
    """Return the callback that averages the weights, if any.

    Raises:
        ValueError: as `check_averaging`.
    """
    check_averaging(config)
    of_optimizer = OF_OPTIMIZER if OPTIMIZERS[config.optimizer].averages else None
    callback = AVERAGING[config.averaging].callback or of_optimizer
    return [] if callback is None else [resolve_name(callback)(**config.averaging_options)]
