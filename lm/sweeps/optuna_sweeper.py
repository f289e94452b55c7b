"""Hydra's sweeper `optuna`: a search instead of a grid, with any launcher.

python -m lm.train -m hydra/sweeper=optuna 'lr=tag(log,interval(0.3,2))' 'dropout=interval(0,0.6)' cell=lstm,gru
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.samplers import BaseSampler

from lm.checks import check_whole
from lm.cli import exit_on_user_error, one_line
from lm.study import open_study, remove_torn_line
from lm.sweeps.cores import cores
from lm.sweeps.search_space import SearchSpace
from lm.sweeps.sweep_job import BASIC, LOCAL
from lm.sweeps.trials import Trials

log = logging.getLogger(__name__)

RAY, SUBMITIT = "hydra_plugins.hydra_ray_launcher.", "hydra_plugins.hydra_submitit_launcher."
"""The packages of the launchers that start a run on a worker when they are given its overrides."""

SPACE_KEY = "space"
"""The attribute of a study that says what is searched."""


class OptunaSweeper(Sweeper):
    """Trains the runs that Optuna draws; `conf/hydra/sweeper/optuna.yaml` explains the options."""

    __module__ = "hydra_plugins.lm_search"  # as `register` names it

    def __init__(self, n_trials: int, sampler: DictConfig, pruner: DictConfig, params: Any = None) -> None:
        super().__init__()
        self.n_trials, self.sampler, self.pruner, self.params = n_trials, sampler, pruner, params or {}
        check_whole("hydra.sweeper.n_trials", n_trials, example=20)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra has composed, and make the launcher."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @exit_on_user_error()
    def sweep(self, arguments: list[str]) -> None:
        """Train trials until the study has enough of them; those of an earlier command count."""
        assert self.config is not None
        assert self.launcher is not None
        space = SearchSpace.parse(arguments, self.params)
        workers = workers_of(self.config.hydra.launcher)
        make_sampler, _ = self.sampler_of(0), instantiate(self.pruner)  # wrong options end here
        sweep = Path(self.config.hydra.sweep.dir)
        remove_torn_line(sweep)
        study = open_study(sweep, sampler=make_sampler)
        check_space(study, space, sweep)
        OmegaConf.save(self.config, sweep / "multirun.yaml")
        trials = Trials(study, space, self.sampler_of, self.n_trials, sweep, workers)
        launch(self.launcher, trials)
        trials.tell_ended()

    def sampler_of(self, number: int) -> BaseSampler:
        """Return the sampler of a trial, with a seed of its own."""
        seed = self.sampler.get("seed")
        seeds = {} if seed is None else {"seed": int(np.random.SeedSequence([seed, number]).generate_state(1)[0])}
        sampler: BaseSampler = instantiate(self.sampler, **seeds)
        return sampler


def check_space(study: Study, space: SearchSpace, sweep: Path) -> None:
    """Raise a ValueError if a study is continued that searches something else; a new one records what it searches."""
    asked = {key: str(found) for key, found in space.distributions.items()}
    known = study.user_attrs.get(SPACE_KEY)
    if known is None:
        study.set_user_attr(SPACE_KEY, asked)
    elif known != asked:
        key = next(key for key in {**known, **asked} if known.get(key) != asked.get(key))
        raise ValueError(
            f"expected {key}= from {known.get(key, 'one value')} as in the search in '{sweep}', found "
            f"{asked.get(key, 'one value')}: type the same options, or another hydra.sweep.dir="
        )


def workers_of(launcher: DictConfig) -> Callable[[], int] | None:
    """Return a function that returns how many runs a launcher trains at a time.

    None if it takes the next run only when a worker is free. Ray's workers are known only after the launcher starts.

    Raises:
        ValueError: if the launcher takes all runs at once.
    """
    name = str(launcher._target_)
    if name in (BASIC, LOCAL):
        return None
    if name.startswith(RAY):
        return lambda: ray_workers(launcher.ray.remote)
    if name.startswith(SUBMITIT):
        return lambda: int(launcher.get("array_parallelism") or cores())
    raise ValueError(f"expected a launcher that can search, found {name}: type hydra/launcher=local")


def ray_workers(remote: DictConfig) -> int:
    """Return how many runs with these resources Ray's cluster trains at a time."""
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    needed = {"CPU": remote.get("num_cpus"), "GPU": remote.get("num_gpus")}
    return max(1, min((int(found.get(name, 0) / count) for name, count in needed.items() if count), default=1))


def launch(launcher: Launcher, trials: Trials) -> None:
    """Train the trials."""
    first = trials.first_number()
    if not trials:
        return
    if not type(launcher).__module__.startswith(SUBMITIT.rstrip(".")):
        launcher.launch(trials, initial_job_idx=first)
        return
    # Submitit's launcher reads all overrides before it submits a job, and returns when the job has ended.
    threads = []
    for number, overrides in enumerate(trials, start=first):
        threads.append(threading.Thread(target=launch_one, args=(launcher, trials, number, overrides), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()


def launch_one(launcher: Launcher, trials: Trials, number: int, overrides: list[str]) -> None:
    """Train one run. An error of the cluster fails this run, and not the others."""
    try:
        launcher.launch([overrides], initial_job_idx=number)
    except Exception as error:
        log.error(f"{' '.join(overrides)} failed: {one_line(error)}")
        trials.fail(overrides, f"{type(error).__name__}: {one_line(error)}")
