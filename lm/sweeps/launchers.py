"""Where the runs of a sweep train: several at a time on this machine, and which launcher uses all of it.

python -m lm.sweeps.launchers     # the name of that launcher, for `make sweep`
"""

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType

from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log, env_override, run_job, setup_globals
from hydra.plugins.plugin import Plugin
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from lm.checks import check_whole
from lm.sweeps.cores import cores
from lm.sweeps.sweep_job import SweepJob, wait_for_any


class LocalLauncher(BasicLauncher):
    """Trains several runs at a time on this machine. This process starts and watches them, and each has its own.

    joblib's workers would outlive a sweep that is killed, and one that is killed would end the sweep.
    """

    __module__ = "hydra_plugins.lm"  # as `register` names it

    def __init__(self, n_jobs: int | None = None) -> None:
        super().__init__()
        self.n_jobs = n_jobs
        check_whole("hydra.launcher.n_jobs", n_jobs, example=2, optional=True)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Train the runs of these overrides; return what Hydra's sweeper wants to know of them, in their order."""
        setup_globals()
        at_once = min(self.n_jobs or cores(), len(job_overrides))
        returns: dict[int, JobReturn] = {}
        with env_override({"OMP_NUM_THREADS": _threads(at_once)}):
            self._launch(job_overrides, initial_job_idx, at_once, returns)
        return [returns[number] for number in sorted(returns)]

    def _launch(
        self, job_overrides: Iterable[Sequence[str]], first: int, at_once: int, returns: dict[int, JobReturn]
    ) -> None:
        running: dict[SweepJob, tuple[DictConfig, JobReturn]] = {}
        try:
            for number, overrides in enumerate(job_overrides, start=first):  # a search draws them here
                config, returns[number] = self._start(number, overrides)
                if isinstance(job := returns[number].return_value, SweepJob):
                    running[job] = config, returns[number]
                if len(running) == at_once:
                    self._finish_some(running)
            while running:
                self._finish_some(running)
        except BaseException:  # a second Ctrl-C
            for job in running:
                job.kill()
            raise

    def _start(self, number: int, overrides: Sequence[str]) -> tuple[DictConfig, JobReturn]:
        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task_function is not None
        loader = self.hydra_context.config_loader
        config = loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        without_callbacks = HydraContext(config_loader=loader, callbacks=Callbacks())  # the job has not ended then
        job = run_job(
            hydra_context=without_callbacks,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        return config, job

    def _finish_some(self, running: dict[SweepJob, tuple[DictConfig, JobReturn]]) -> None:
        assert self.config is not None
        assert self.hydra_context is not None
        for job in wait_for_any(running):
            config, job_return = running.pop(job)
            configure_log(config.hydra.job_logging, config.hydra.verbose)
            job_return.return_value = job.finish()
            self.hydra_context.callbacks.on_job_end(config=config, job_return=job_return)
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)


def _threads(at_once: int) -> str:
    return os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // at_once))


def register(plugin: type[Plugin]) -> None:
    """Let Hydra find a launcher or a sweeper: it takes them from the package `hydra_plugins` alone."""
    try:
        hydra_plugins = import_module("hydra_plugins")
    except ImportError:  # no plugin is installed
        hydra_plugins = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
        hydra_plugins.__path__ = []
    sys.modules[plugin.__module__] = sys.modules[plugin.__init__.__module__]
    Plugins.instance().register(plugin)


def recommended_launcher() -> str:
    """Return the launcher that uses all of this machine: its GPUs if there are several, or its cores.

    Several runs with one thread each do more work than one run on all threads (docs/scaling.md).
    """
    import torch  # a sweep's first process does without it

    if torch.cuda.is_available():
        return "gpus" if torch.cuda.device_count() > 1 else "basic"
    return "local" if cores() > 1 else "basic"


if __name__ == "__main__":
    print(recommended_launcher())
