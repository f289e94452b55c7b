"""One run's turn in a sweep, wherever the launcher has put it."""

import logging
import math
import os
import signal
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from omegaconf import DictConfig, ListConfig, OmegaConf

from lm.cli import one_line
from lm.overrides import quote_override
from lm.run_dir import RunDir
from lm.sweeps.stop_file import StopFile
from lm.sweeps.subprocesses import run_in_subprocess

log = logging.getLogger(__name__)

IN_TURN = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def run_job(config: DictConfig, hydra: HydraConf) -> float:
    """Train a run in a process of its own; return its validation perplexity, not a number where it has none.

    Where the sweep is to stop, the run does, or does not start.
    """
    folder = Path(hydra.runtime.output_dir)
    stop = StopFile(folder.parent)
    if refusal := check_sweepable(config):
        stop.write(refusal)
    if (reason := stop.reason()) is not None:
        record_stop(folder, reason)
        return math.nan
    os.chdir(hydra.runtime.cwd)  # other machines' workers may stand elsewhere
    leave_ctrl_c_to_the_sweep()
    status = run_in_subprocess(
        "lm.sweeps.training_job:train_in_sweep",
        *(side_by_side(config, hydra), folder, job_logging(hydra, folder.name)),
        stop=lambda: stop.reason() is not None,
    )
    if (reason := stop.reason()) is not None:
        record_stop(folder, reason)
    elif status != 0:
        record_failure(folder, status)
    return validation_perplexity(RunDir(folder))


def check_sweepable(config: DictConfig) -> str | None:
    """Return what a sweep can't have: one run's folder, or several devices for a run.

    Lightning would have each further device run the whole sweep.
    """
    devices = config.trainer.devices
    if config.resume is not None:
        return f"expected one run to resume, found a sweep: type {quote_override('hydra.sweep.dir', config.resume)}"
    if devices not in (1, "1") and not (isinstance(devices, ListConfig) and len(devices) == 1):
        return (
            f"expected one device for each run of a sweep, found trainer.devices={devices}: "
            "type trainer.devices=1, or each run by itself, without -m"
        )
    return None


def side_by_side(config: DictConfig, hydra: HydraConf) -> DictConfig:
    """Return the config without a progress bar where other runs write to the same terminal at the same time."""
    if not is_sequential(hydra):
        config.trainer.enable_progress_bar = False
    return config


def job_logging(hydra: HydraConf, name: str) -> dict[str, Any]:
    """Return how a run logs, as `logging.config` takes it; among others at the same time, it gives its name."""
    found: dict[str, Any] = OmegaConf.to_container(hydra.job_logging, resolve=True)  # type: ignore[assignment]
    if not is_sequential(hydra):
        found["formatters"]["plain"]["format"] = f"{name}: %(message)s"
    return found


def is_sequential(hydra: HydraConf) -> bool:
    """Say whether the sweep's runs come one after the other."""
    return str(hydra.launcher._target_) == IN_TURN


def record_failure(folder: Path, status: int) -> None:
    """Write down that a run's process has ended without a word of its own."""
    if status == -signal.SIGKILL:
        error = "killed by SIGKILL, as where memory is used up: type fewer runs at a time, or a smaller batch_size"
    else:
        error = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
    log.error(f"{folder.name} failed: {error}")
    write_outcome(folder, "failed", error)


def record_stop(folder: Path, reason: str) -> None:
    """Write down that a signal has stopped the sweep, where the run has not done so, as before its first step."""
    if reason in signal.Signals.__members__ and not (folder / "results.json").exists():
        begun = (folder / "checkpoints" / "last.ckpt").is_file()
        write_outcome(folder, "interrupted" if begun else "not started", f"the sweep was stopped by {reason}")


def write_outcome(folder: Path, status: str, error: str) -> None:
    """Write the `results.json` of a run that could not do it; where that fails, too, say so."""
    try:
        RunDir(folder).write_outcome(status, error)
    except OSError as failure:
        log.error(one_line(failure))


def validation_perplexity(run: RunDir) -> float:
    """Return the best validation perplexity of a finished run, nan for any other."""
    return float(run.results["best"]["valid_ppl"]) if run.finished else math.nan


def leave_ctrl_c_to_the_sweep() -> None:
    """Ignore SIGINT where this is not the sweep's first process, which listens itself.

    That is for good: a worker that ended between two runs, as it writes a report, would end the sweep without a word.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
