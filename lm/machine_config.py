"""How and where a run is computed, as typed, checked options; these may change when a run resumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from omegaconf import DictConfig, OmegaConf

from lm.checks import as_typed, check_fields, check_flag, check_number, check_whole, unexpected
from lm.config import field_names, plain
from lm.run_dir import RunDir
from lm.trainer_config import WHOLE_CORPUS, TrainerConfig
from lm.training.loggers import check_loggers

MAX_THREADS = 1024
"""The largest number of threads; OpenMP aborts the process if it cannot start them."""


@dataclass(frozen=True)
class MachineConfig:
    """How and where a run is computed: options that change its speed, its place or its rounding, not the experiment.

    Raises:
        ValueError: as `Config`.
    """

    precision: str
    num_threads: Annotated[int | None, partial(check_whole, example=2, most=MAX_THREADS, optional=True)]
    gpus_per_run: Annotated[float, partial(check_number, example=1, least=0, below=MAX_THREADS)]
    checkpoint_every_minutes: Annotated[float, partial(check_number, example=10, above=0)]
    score_train: Annotated[bool | None, partial(check_flag, optional=True)]
    resume: str | None
    logger: Annotated[dict[str, dict[str, Any]], check_loggers]
    trainer: TrainerConfig

    def __post_init__(self) -> None:
        check_fields(self)
        if self.precision is None:
            raise unexpected("precision", "a precision of Lightning's, or auto", None, "auto")

    @property
    def scores_train(self) -> bool:
        """Whether the final evaluation includes the training split: by default only if training reads all of it."""
        limit = self.trainer.limit_train_batches
        return limit == 1.0 and isinstance(limit, float) if self.score_train is None else self.score_train

    @classmethod
    def from_hydra(cls, config: DictConfig) -> "MachineConfig":
        """Return the typed options of a composed config."""
        values = plain(config)
        typed: dict[str, Any] = {name: values.get(name) for name in field_names(cls)}
        typed["logger"] = typed["logger"] or {}  # after logger=[]
        return cls(**typed | {"trainer": TrainerConfig.from_dict(values["trainer"])})


FIXED = {f"trainer.{name}" for name in (*WHOLE_CORPUS, "check_val_every_n_epoch")}
"""Arguments of the Trainer that change what a run reads, which a resumed run cannot change."""


def resumed(config: DictConfig, run: RunDir, overrides: Sequence[str]) -> DictConfig:
    """Return the config that a run was started with, under the overrides of the command that resumes it.

    Raises:
        ValueError: if an override changes what defines the run.
        FileNotFoundError: if the run's config is missing.
    """
    saved, changeable = run.saved_config(), {"epochs", "data.dir", *field_names(MachineConfig)}
    for key, _, asked in (override.lstrip("+~").partition("=") for override in overrides):
        if key.partition(".")[0] == "logger":
            OmegaConf.update(saved, "logger", config.get("logger"), merge=False, force_add=True)  # none: logger=[]
            continue
        if key in run.choices:
            found: object = as_typed(run.choices[key])
            asked = asked.strip("'\"")
        else:
            found, asked = OmegaConf.select(saved, key), OmegaConf.select(config, key)
            OmegaConf.update(saved, key, asked, force_add=True)
        if key in FIXED:
            differs = as_typed(found) != as_typed(asked)  # `WHOLE_CORPUS`: 1 and 1.0 are not the same
        else:
            differs = found != asked and key.partition(".")[0] != "trainer" and key not in changeable
        if differs:
            raise ValueError(
                f"expected {key}={as_typed(found)}, with which '{run.folder}' was trained, found {as_typed(asked)}: "
                f"type {key}={as_typed(found)}, or start a new run"
            )
    return saved
