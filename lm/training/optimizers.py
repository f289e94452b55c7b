"""The optimisers by name. A new one is an entry here and `conf/optimizer/<name>.yaml`, whose further keys it takes.

python -m lm.train optimizer=adamw lr=0.003 weight_decay=0.01

This module does not import PyTorch: a config is checked fast without it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from lm.checks import Checks, check_entry, check_flag, check_number, check_numbers

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class OptimizerEntry:
    """What is true of one optimiser. Each takes `lr` and `weight_decay`.

    Args:
        on_cpu: its class on a CPU, as "module:class".
        on_gpu: its class on a GPU.
        options: its options, each with its check.
        arguments: its fixed arguments. A fused implementation needs fewest passes over the weights.
        sparse: whether it takes sparse gradients of the embedding on a CPU.
        grad_scale: whether its step divides the gradients by `grad_scale`. For the others they are scaled before.
        averages: whether it averages the weights, so that the averages are validated.
        reads_cell_lr: whether `lr` is that of the cell by default, as in its file in `conf/optimizer/`.
    """

    on_cpu: str
    on_gpu: str
    options: Checks = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    sparse: bool = False
    grad_scale: bool = False
    averages: bool = False
    reads_cell_lr: bool = False


FUSED = {"fused": True}
BELOW_1 = partial(check_number, example=0.9, least=0, below=1)
EPS = partial(check_number, example=1e-8, above=0, below=1)
ADAM_OPTIONS = {"betas": partial(check_numbers, example="[0.9,0.999]", count=2, least=0, below=1), "eps": EPS}
RMSPROP_OPTIONS: Checks = {"alpha": BELOW_1, "eps": EPS, "momentum": BELOW_1, "centered": check_flag}
ASGD_OPTIONS = {
    "lambd": partial(check_number, example=1e-4, least=0, below=1),
    "alpha": partial(check_number, example=0.75, least=0, most=1),
    "t0": partial(check_number, example=0, least=0),
}

OPTIMIZERS = {
    "sgd": OptimizerEntry(
        "lm.training.sgd:SGD", "torch.optim:SGD", {}, FUSED, sparse=True, grad_scale=True, reads_cell_lr=True
    ),
    "adamw": OptimizerEntry("torch.optim:AdamW", "torch.optim:AdamW", ADAM_OPTIONS, FUSED, grad_scale=True),
    "adam": OptimizerEntry("torch.optim:Adam", "torch.optim:Adam", ADAM_OPTIONS, FUSED, grad_scale=True),
    "rmsprop": OptimizerEntry("torch.optim:RMSprop", "torch.optim:RMSprop", RMSPROP_OPTIONS),
    "asgd": OptimizerEntry(
        "lm.training.asgd:ASGD", "lm.training.asgd:ASGD", ASGD_OPTIONS, averages=True, reads_cell_lr=True
    ),
}

WITHOUT_CELL_LR = tuple(name for name, entry in OPTIMIZERS.items() if not entry.reads_cell_lr)
"""The optimisers that do not read `cell.lr`."""


def check_optimizer(name: str, options: Mapping[str, Any]) -> None:
    """Raise a ValueError if no optimiser has that name, or an option is missing, unknown or wrong."""
    check_entry("optimizer", name, options, OPTIMIZERS)


def make_optimizer(
    name: str,
    parameters: "Iterable[Tensor]",
    device: "torch.device",
    lr: float,
    weight_decay: float = 0.0,
    **options: Any,
) -> "torch.optim.Optimizer":
    """Return the optimiser of that name in `OPTIMIZERS`.

    `weight_decay` times the weights is added to the gradients (L2); AdamW subtracts it from the weights (decoupled).

    Raises:
        ValueError: as `check_optimizer`.
    """
    check_optimizer(name, options)
    entry = OPTIMIZERS[name]
    optimizer_class = resolve_name(entry.on_cpu if device.type == "cpu" else entry.on_gpu)
    if "betas" in options:
        options["betas"] = [float(beta) for beta in options["betas"]]  # PyTorch refuses a 0 that is no float
    optimizer: torch.optim.Optimizer = optimizer_class(
        parameters, lr=lr, weight_decay=weight_decay, **entry.arguments, **options
    )
    return optimizer


def clip_gradients(
    optimizer: "torch.optim.Optimizer",
    max_norm: float,
    norm: "Tensor",
    by_grad_scale: bool,
    relative_length: float = 1.0,
) -> None:
    """Scale the gradients of any optimiser down to a norm of `max_norm`, given the norm that they have.

    Args:
        optimizer: after its backward pass.
        max_norm: the largest norm allowed.
        norm: of all gradients together, a scalar.
        by_grad_scale: leave the scaling to the optimiser's step, which reads every gradient anyway.
        relative_length: first divide the gradients of a longer or shorter window by its relative length. They are then
            on the scale of a usual one.
    """
    scale = (
        (norm / max_norm).clamp(min=relative_length).float()
    )  # fused optimisers take a float32, whatever the weights are
    if by_grad_scale:
        optimizer.grad_scale = scale  # type: ignore[attr-defined]
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.div_(scale)


@contextmanager
def scaled_lr(optimizer: "torch.optim.Optimizer", factor: float) -> Iterator[None]:
    """Multiply the learning rates by a factor within the block."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor
    try:
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
