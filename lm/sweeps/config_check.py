"""Refuse a wrong option before anything is written: Hydra calls this before it makes a run's or a sweep's folder."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra import compose
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from lm.cli import USER_ERRORS, exit_on_user_error, explain
from lm.config import SENTENCE_OPTIONS, Config
from lm.data.sources import make_source
from lm.did_you_mean import unread_option
from lm.machine_config import MachineConfig, resumed
from lm.models.cutoffs import vocabulary_cutoffs
from lm.run_dir import RunDir
from lm.sweeps.sweep_options import parse_options
from lm.training.averaging import check_averaging
from lm.training.optimizers import WITHOUT_CELL_LR, check_optimizer
from lm.training.schedules import check_schedule, schedules_without

if TYPE_CHECKING:
    from lm.data.corpus import Corpus

MAX_COMPOSED = 64
"""The largest number of a sweep's runs whose configs are composed in search of one that can be trained."""


class Unread(NamedTuple):
    """Options that nothing reads in some configs.

    Args:
        prefix: how their names begin, or a tuple of beginnings.
        key: the config key that decides.
        values: its values with which they are not read.
        instead: what to type with them, or instead of them.
    """

    prefix: str | tuple[str, ...]
    key: str
    values: tuple[Any, ...]
    instead: str


OF_SENTENCES = tuple(f"data.{name}" for name in SENTENCE_OPTIONS)
OF_SWEEPS = ("hydra/launcher", "hydra.launcher.", "hydra/sweeper", "hydra.sweeper.", "hydra.sweep.")
UNREAD = (
    Unread(OF_SENTENCES, "data.batching", ("streams",), "add data.batching=sentences"),
    Unread("seq_len", "data.batching", ("sentences",), "add data.batching=streams"),
    Unread("cell.lr", "optimizer.name", WITHOUT_CELL_LR, "type lr= instead"),
    Unread("cutoffs", "softmax", ("full",), "add softmax=adaptive"),
    Unread(OF_SWEEPS, "hydra.mode", ("RUN",), "add -m"),
    Unread("hydra.run.dir", "hydra.mode", ("MULTIRUN",), "type hydra.sweep.dir= instead"),
    Unread("gpus_per_run", "hydra/launcher", ("basic", "local", "joblib"), "add -m hydra/launcher=gpus"),
    *(
        Unread(name, "schedule.name", schedules_without(name), "add schedule=table1")
        for name in ("epochs_at_full_rate", "lr_decay_factor")
    ),
)


class ConfigCheck(Callback):
    """Ends the command with one sentence if an option is wrong; Hydra turns other exceptions into warnings."""

    @exit_on_user_error()
    def on_run_start(self, config: DictConfig, config_name: str = "train", **kwargs: Any) -> None:
        """Check the options of a single run."""
        options = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        if unread := self.check_run(config_name, options, config.hydra.overrides.task, config.hydra):
            raise ValueError(next(iter(unread.values())))

    @exit_on_user_error()
    def on_multirun_start(self, config: DictConfig, config_name: str = "train", **kwargs: Any) -> None:
        """Check the options of a sweep, which is refused if none of its runs can be trained, or none reads an option.

        A wrong value beside good ones fails its own run.
        """
        errors: list[Exception] = []
        unread: dict[str, str] = {}
        task, params = config.hydra.overrides.task, config.hydra.sweeper.params
        if config.hydra.runtime.choices["hydra/sweeper"] == "optuna":
            check_composable(config_name, overrides_of_runs(task, params, both_ends=False))
        for overrides in islice(overrides_of_runs(task, params), MAX_COMPOSED):
            try:
                found = self.check_run(config_name, compose(config_name, overrides), overrides, config.hydra)
            except USER_ERRORS as error:
                errors.append(error)
                continue
            unread = {name: found[name] for name in unread or found if name in found}
            if not unread:
                return
        if refusals := [*map(ValueError, unread.values()), *errors]:
            raise refusals[0]

    def check_run(
        self, config_name: str, config: DictConfig, overrides: Sequence[str], hydra: DictConfig
    ) -> dict[str, str]:
        """Check a run's config, and return a sentence for each option of its overrides that it does not read.

        Raises:
            ValueError, OSError: if an option is wrong.
        """
        if unread := unread_option(config_name, config):
            raise ValueError(unread)
        if config.resume is not None:
            config = resumed(config, RunDir.existing(config.resume), overrides)
        check_config(config)
        unresolved: Any = OmegaConf.to_container(hydra.overrides)  # `sweep.subdir=${hydra.job.num}` has no number yet
        check_for_vocabulary(config)
        return unread_options(config, hydra, [*overrides, *unresolved["hydra"]])


def check_composable(config_name: str, runs: Iterable[list[str]]) -> None:
    """Raise a ValueError if a config of a search cannot be composed. Hydra's own sweeper checks its runs itself."""
    for overrides in islice(runs, MAX_COMPOSED):
        try:
            compose(config_name, overrides)
        except HydraException as error:
            raise ValueError(explain(config_name, error)) from error


def overrides_of_runs(overrides: Sequence[str], params: Any, both_ends: bool = True) -> Iterator[list[str]]:
    """Yield the overrides of each run of a sweep; of an interval, those with both of its ends or with the first one."""
    choices = []
    for override in parse_options(overrides, params).values():
        key = override.get_key_element()
        if override.is_discrete_sweep():
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        elif override.is_interval_sweep():
            interval: Any = override.value()
            ends = (interval.start, interval.end) if both_ends else (interval.start,)
            choices.append([f"{key}={end}" for end in ends])
        else:
            choices.append([str(override.input_line)])
    return (list(run) for run in product(*choices))


def check_config(config: DictConfig) -> None:
    """Raise a ValueError or an OSError if an option of a composed config is wrong."""
    run = Config.from_hydra(config)
    MachineConfig.from_hydra(config)
    check_optimizer(run.optimizer, run.optimizer_options)
    check_schedule(run)
    check_averaging(run)
    make_source(**run.source)


def check_for_vocabulary(config: DictConfig) -> None:
    """Check the options that are right for some vocabularies only; the corpus is read if there is one of them.

    Raises:
        ValueError, OSError: if one is wrong.
    """
    run, size = Config.from_hydra(config), OmegaConf.select(config, "equal_parameters.vocabulary_size")
    if size and run.softmax != "full":
        raise ValueError(f"expected softmax=full with equal_parameters, found {run.softmax}: type softmax=full")
    if not size and run.cutoffs is None:
        return
    from lm.data.corpus import load_corpus  # imports PyTorch, which other checks do not need

    corpus = load_corpus(make_source(**run.source))
    check_vocabulary_size(size, corpus)
    vocabulary_cutoffs(len(corpus.vocabulary), run.cutoffs)


def unread_options(config: DictConfig, hydra: DictConfig, overrides: Sequence[str]) -> dict[str, str]:
    """Return the options on the command line that the run does not read, each with a sentence about it."""
    values = {"hydra.mode": hydra.mode.name, "hydra/launcher": hydra.runtime.choices["hydra/launcher"]}
    sentences = {}
    for name in (override.lstrip("+~").partition("=")[0] for override in overrides):
        for unread in UNREAD:
            value = values.get(unread.key, OmegaConf.select(config, unread.key))
            if name.startswith(unread.prefix) and value in unread.values:
                found = f"{name}= with {unread.key}={value}" if unread.key != "hydra.mode" else f"{name}="
                sentences[name] = f"expected an option that is used, found {found}: {unread.instead}, or leave it out"
    return sentences


def check_vocabulary_size(expected: int | None, corpus: "Corpus") -> None:
    """Raise a ValueError if sizes were matched for equal parameters with a vocabulary of another size."""
    found = len(corpus.vocabulary)
    if expected not in (None, found):
        raise ValueError(
            f"expected a vocabulary of {expected} words, for which sizes were matched, found {found} in {corpus.name}: "
            f"type equal_parameters.vocabulary_size={found}"
        )
