"""One run of a sweep, in whatever process its launcher starts it."""

import logging
import math
import os
import signal
import time
from collections.abc import Collection
from datetime import timedelta
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from lm.cli import USER_ERRORS, one_line
from lm.folders import is_unused
from lm.run_dir import RunDir
from lm.run_files import FAILED, INTERRUPTED, NOT_STARTED
from lm.sweeps.stop_file import StopFile
from lm.sweeps.subprocesses import ignore_terminal_signals, start_process
from lm.sweeps.sweep_dir import runs_of_sweep

log = logging.getLogger(__name__)

BASIC, LOCAL = "hydra._internal.core_plugins.basic_launcher.BasicLauncher", "hydra_plugins.lm.LocalLauncher"
"""The launchers that work in the sweep's first process."""

POLL_SECONDS = 0.5
"""The time between two looks at the stop file."""


class SweepJob:
    """A run that trains in a process of its own. It does not start if its sweep is stopping."""

    def __init__(self, config: DictConfig, hydra: HydraConf) -> None:
        sweep = Path(hydra.sweep.dir)
        self.run, self.stop = RunDir(Path(hydra.runtime.output_dir)), StopFile(sweep)
        self.process: BaseProcess | None = None
        self._terminated = False
        if self.stop.reason() is None:
            os.chdir(hydra.runtime.cwd)  # workers on other machines may start elsewhere
            if not is_sequential(hydra):  # other runs print at the same time
                config.trainer.enable_progress_bar = False
            self.process = start_process(
                "lm.sweeps.training_job:train_in_sweep",
                config,
                self.run.folder,
                sweep,
                job_logging(hydra, self.run),
                announcement(hydra, self.run),
                pruner_of(hydra),
            )

    def ended(self) -> bool:
        """Return whether the process has ended. If the sweep stops, the process gets one SIGTERM."""
        if self.process is None:
            return True
        if not self._terminated and self.stop.reason() is not None:
            self._terminated = True
            self.process.terminate()
        return self.process.exitcode is not None

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None:
            self.process.kill()
            self.process.join()

    def finish(self) -> float:
        """Record how the run ended, unless it has done so itself; return its validation perplexity, or nan."""
        status = 0 if self.process is None else self.process.exitcode
        if self.stop.reason() is not None:
            record_stop(self.run, self.stop)
        elif status:
            record_failure(self.run, status)
        results = RunDir(self.run.folder)
        return float(results.results["best"]["valid_ppl"]) if results.finished else math.nan


def run_job(config: DictConfig, hydra: HydraConf) -> float | SweepJob:
    """Train a run; return its validation perplexity, or nan. With several runs at a time, return the job at once."""
    launcher = str(hydra.launcher._target_)
    if launcher == LOCAL:
        return SweepJob(config, hydra)
    if launcher != BASIC:
        ignore_terminal_signals()
    job = SweepJob(config, hydra)
    try:
        wait_for_any([job])
    except BaseException:  # a second Ctrl-C
        job.kill()
        raise
    return job.finish()


def wait_for_any(jobs: Collection[SweepJob]) -> list[SweepJob]:
    """Wait until at least one job has ended; return those that have."""
    while not (ended := [job for job in jobs if job.ended()]):
        wait([job.process.sentinel for job in jobs if job.process is not None], timeout=POLL_SECONDS)
    return ended


def announcement(hydra: HydraConf, run: RunDir) -> str:
    """Return the line that announces a run: its position in the sweep, its name, and the time left if it is known."""
    sweep: Any = OmegaConf.select(hydra, "callbacks.sweep") or {}  # type: ignore[arg-type]
    of = f" of {sweep.num_runs}" if sweep.get("num_runs") else ""
    left = time_left(Path(hydra.sweep.dir), sweep.num_runs, sweep.started) if of else None
    return f"run {hydra.job.num + 1}{of}: {run.name}" + (f" (about {left} left for the sweep)" if left else "")


def time_left(sweep: Path, num_runs: int, started: float) -> timedelta | None:
    """Return the time until the sweep ends, as the runs that have ended since it started predict it."""
    runs = [run for run in runs_of_sweep(sweep) if run.results_path.exists()]
    new = [run for run in runs if _ended_at(run) >= started]
    if not new:
        return None
    remaining = num_runs - sum(run.finished or run in new for run in runs)
    return timedelta(seconds=round((time.time() - started) / len(new) * remaining))


def _ended_at(run: RunDir) -> float:
    try:
        return run.results_path.stat().st_mtime
    except FileNotFoundError:  # it has just resumed
        return 0.0


def job_logging(hydra: HydraConf, run: RunDir) -> dict[str, Any]:
    """Return how a run logs, for `logging.config`: each line with its name if other runs print at the same time."""
    found: dict[str, Any] = OmegaConf.to_container(hydra.job_logging, resolve=True)  # type: ignore[assignment]
    if not is_sequential(hydra):
        found["formatters"]["plain"] = {"()": f"{__name__}.PrefixFormatter", "prefix": f"{run.name}: "}
    return found


def pruner_of(hydra: HydraConf) -> dict[str, Any] | None:
    """Return the config of a search's pruner, or None if the sweep is no search."""
    found: Any = OmegaConf.select(hydra, "sweeper.pruner")  # type: ignore[arg-type]
    return None if found is None else OmegaConf.to_container(found, resolve=True)  # type: ignore[return-value]


class PrefixFormatter(logging.Formatter):
    """Starts every line of a message with a prefix."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, line by line."""
        return "\n".join(self.prefix + line for line in super().format(record).splitlines())


def is_sequential(hydra: HydraConf) -> bool:
    """Return whether the runs of the sweep train one after the other."""
    return str(hydra.launcher._target_) == BASIC


def record_failure(run: RunDir, status: int) -> None:
    """Record that the process of a run has ended without an outcome."""
    if status == -signal.SIGKILL:
        error = (
            "killed by SIGKILL, probably out of memory: train fewer runs at the same time, or type a smaller batch_size"
        )
    else:
        error = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
    log.error(f"{run.name} failed: {error}")
    record(run, FAILED, error)


def record_stop(run: RunDir, stop: StopFile) -> None:
    """Record that a signal has stopped the sweep, unless the run has recorded an outcome, as it does while training."""
    if (number := stop.signal()) and not run.results_path.exists():
        status = INTERRUPTED if run.has_checkpoint else NOT_STARTED
        record(run, status, f"the sweep was stopped by {number.name}")


def record_single_failure(run: RunDir, error: Exception) -> None:
    """Record the error of a run that had started. Earlier results stay."""
    if not run.results_path.exists() and not is_unused(run.folder):
        message = one_line(error) if isinstance(error, USER_ERRORS) else f"{type(error).__name__}: {error}"
        record(run, FAILED, message)
        log_to_file(f"failed: {message}")


def log_to_file(message: str) -> None:
    """Write to the run's `train.log` alone: the terminal shows the error anyway."""
    record = logging.LogRecord(log.name, logging.ERROR, __file__, 0, message, None, None)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def record(run: RunDir, status: str, error: str) -> None:
    """Record an outcome; if not even that can be written, log why."""
    try:
        run.write_outcome(status, error)
    except OSError as failure:
        log.error(one_line(failure))
