"""The trials of a search, one after the other: what the next run of the sweep is, and how the earlier ones have ended.

A launcher takes the overrides of the next run when it has a worker for it. Optuna draws them at that moment, with all
that is known then, so no run waits for the slowest of a batch.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import optuna
from optuna import Study
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from lm.folders import FolderInUse, locked
from lm.run_dir import RunDir
from lm.run_files import DIVERGED, FAILED, FINISHED, PRUNED
from lm.study import OVERRIDES
from lm.sweeps.search_space import SearchSpace
from lm.sweeps.stop_file import StopFile
from lm.sweeps.sweep_dir import runs_of_sweep
from lm.sweeps.sweep_job import POLL_SECONDS, record
from lm.sweeps.sweep_options import options_key

LOCK_SECONDS = 60
"""How long a run of a sweep that was killed may take for its last checkpoint."""

STATES = {PRUNED: TrialState.PRUNED, DIVERGED: TrialState.PRUNED, FAILED: TrialState.FAIL}
"""The state of a trial by the status of its run: Optuna keeps away from what diverged, and learns nothing of failures.

A run that is interrupted or has not started resumes, so its trial is still running.
"""


class Trials(Sequence[list[str]]):
    """The overrides of the runs that are still to be trained. Each is drawn when a launcher's loop reaches it.

    Trials with equal overrides are one run: its outcome is that of all of them. `num_workers` is None if the launcher
    itself waits for a free worker.
    """

    def __init__(
        self,
        study: Study,
        space: SearchSpace,
        sampler: Callable[[int], BaseSampler],
        n_trials: int,
        sweep: Path,
        num_workers: Callable[[], int] | None = None,
    ) -> None:
        self.study, self.space, self.sampler, self.n_trials = study, space, sampler, n_trials
        self.sweep, self.num_workers, self.stop = sweep, num_workers, StopFile(sweep)
        self._folders: dict[frozenset[tuple[str, str]], Path] = {}

    def __len__(self) -> int:
        return len(self.running()) + max(0, self.n_trials - len(self._all()))

    def __getitem__(self, place: object) -> list[str]:  # type: ignore[override]
        raise TypeError("the overrides of a trial are known when the launcher's loop reaches it")

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the runs of an earlier process that had not ended, then new ones."""
        self.tell_ended()
        for key, overrides in self.running().items():
            if key in self._folders:
                wait_until_unlocked(self._folders[key])
            if self.stop.reason() is None:
                yield overrides
        while self._wait_for_worker() and len(self._all()) < self.n_trials:
            known = set(map(trial_key, self._all()))
            if trial_key(trial := self.ask()) not in known:
                yield trial.user_attrs[OVERRIDES]

    def ask(self) -> FrozenTrial:
        """Draw the next trial, and add it to the study.

        Each trial has its own sampler, so a search that is resumed draws the same trials. The draw is made in a copy.
        The study then gets one line, so a kill leaves no half of a trial.
        """
        trials = self._all()
        copy = optuna.create_study(sampler=self.sampler(len(trials)), direction="minimize")
        copy.add_trials(trials)
        drawn = copy.ask(self.space.distributions)
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=drawn.params,
            distributions=drawn.distributions,
            user_attrs={OVERRIDES: self.space.overrides(drawn.params)},
            system_attrs=copy.get_trials(deepcopy=False)[-1].system_attrs,
        )
        self.study.add_trial(trial)
        return trial

    def first_number(self) -> int:
        """Return the number of runs that have ended: the position of the next one in the sweep."""
        self.tell_ended()
        return len(set(map(trial_key, self._all())) - self.running().keys())

    def fail(self, overrides: list[str], error: str) -> None:
        """Record that a run has failed outside of its process, where nothing else records it."""
        key = options_key(overrides)
        self.tell_ended()
        if key in self._folders:
            record(RunDir(self._folders[key]), FAILED, error)
        else:
            for trial in self._all(TrialState.RUNNING):
                if trial_key(trial) == key:
                    self.study.tell(trial.number, state=TrialState.FAIL)

    def running(self) -> dict[frozenset[tuple[str, str]], list[str]]:
        """Return the overrides of the runs that have not ended."""
        return {trial_key(trial): trial.user_attrs[OVERRIDES] for trial in self._all(TrialState.RUNNING)}

    def tell_ended(self) -> None:
        """Tell Optuna which runs have ended, and how."""
        running = self._all(TrialState.RUNNING)
        if any(trial_key(trial) not in self._folders for trial in running):
            self._folders |= {options_key(run.overrides): run.folder for run in runs_of_sweep(self.sweep)}
        for trial in running:
            if (folder := self._folders.get(trial_key(trial))) is not None:
                self._tell(trial, RunDir(folder))

    def _tell(self, trial: FrozenTrial, run: RunDir) -> None:
        if run.status == FINISHED:
            self.study.tell(trial.number, run.results["best"]["valid_ppl"])
        elif run.status in STATES:
            self.study.tell(trial.number, state=STATES[run.status])

    def _wait_for_worker(self) -> bool:
        """Wait until a run may start; return False if the sweep is stopping."""
        self.tell_ended()
        while self.stop.reason() is None:
            if self.num_workers is None or len(self.running()) < self.num_workers():
                return True
            time.sleep(POLL_SECONDS)
            self.tell_ended()
        return False

    def _all(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)


def trial_key(trial: FrozenTrial) -> frozenset[tuple[str, str]]:
    """Return what equal trials have in common."""
    return options_key(trial.user_attrs[OVERRIDES])


def wait_until_unlocked(folder: Path) -> None:
    """Wait until no process writes to a run's folder: after a kill -9 of its sweep, a run still writes a checkpoint.

    Raises:
        FolderInUse: if one writes to it for longer than `LOCK_SECONDS`.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with locked(folder):
                return
        except FolderInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
