"""What Hydra calls before and after runs: their folder gets one writer, and signals stop all runs of a sweep."""

import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from lm.cli import ON_EXIT, exit_on_user_error
from lm.folders import create_folder, locked, remove_unused
from lm.output import plural
from lm.overrides import escape_interpolations, quote_override, quote_value
from lm.study import check_optuna
from lm.sweeps.cores import cores
from lm.sweeps.launchers import LocalLauncher, register
from lm.sweeps.stop_file import StopFile
from lm.sweeps.sweep_dir import check_folder, names_by_options
from lm.sweeps.sweep_options import EXCLUDED_FROM_RUN_NAME, SweepOptions, option_name
from lm.training.signals import on_stop_signals


class FolderCallback(Callback):
    """Gives a run or a sweep a folder to which no other process writes."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Create the run's folder, or lock the one that the user has named."""
        from pytorch_lightning.utilities import rank_zero_only  # a sweep's first process does without it

        if getattr(rank_zero_only, "rank", 0) == 0:
            with exit_on_user_error(), open_dict(config):
                named = config.get("resume") is not None or _is_typed(config, "hydra.run.dir")
                config.hydra.run.dir = escape_interpolations(str(claim(Path(config.hydra.run.dir), named)))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the sweep and claim its folder."""
        with exit_on_user_error():
            register_plugins(config.hydra.runtime.choices)
            self.options = remove_duplicates(config)
            check_sweepable(config, self.options)
            self.sweep = claim(Path(config.hydra.sweep.dir), _is_typed(config, "hydra.sweep.dir")).resolve()
            check_folder(self.sweep, self.options)
        names_by_options.cache_clear()
        set_for_runs(config, self.sweep, self.options)


class SweepCallback(FolderCallback):
    """Also stops the runs of a sweep on `STOP_SIGNALS`. A second SIGINT ends it at once."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the sweep, claim its folder and handle signals."""
        super().on_multirun_start(config)
        self.stop = StopFile(self.sweep)
        self.stop.clear()
        ON_EXIT.callback(self.stop.clear)
        ON_EXIT.callback(self._exit_on_signal)
        ON_EXIT.enter_context(on_stop_signals(self._stop))
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # Ray drops lines that are alike but for their numbers
        print(describe_sweep(config, self.sweep, self.options), flush=True)

    def _stop(self, number: int) -> None:
        self.stop.write(signal.Signals(number).name)
        with suppress(RuntimeError, OSError):  # it has interrupted another print, or the terminal is closed
            print(
                f"\n{signal.Signals(number).name}: the runs stop; those that train write a checkpoint first", flush=True
            )

    def _exit_on_signal(self) -> None:
        if number := self.stop.signal():
            sys.exit(128 + number)  # the status that shells use, instead of that of unfinished runs

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit with a sentence, and without a report, if a run has found that the folder is of another sweep."""
        if refusal := self.stop.refusal():
            sys.exit(f"error: {refusal}")
        if "ray" in sys.modules:
            time.sleep(1)  # Ray prints the lines of its workers later, and the table is to be the last


def register_plugins(choices: DictConfig) -> None:
    """Let Hydra find this project's launcher and sweeper, in this process: workers elsewhere could not import them.

    Raises:
        ValueError: if the package that a search needs is missing.
    """
    if choices["hydra/launcher"] == "local":
        register(LocalLauncher)
    if choices["hydra/sweeper"] == "optuna":
        check_optuna()
        from lm.sweeps.optuna_sweeper import OptunaSweeper  # needs the extra `search`

        register(OptunaSweeper)


def claim(folder: Path, named: bool) -> Path:
    """Return a folder that this process alone writes to until the command ends.

    It gets a suffix if it exists already, unless the user has named it.

    Raises:
        FolderInUse: if another process writes to the named folder.
    """
    existed = named and folder.exists()
    if named:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = create_folder(folder)
    if not existed:
        ON_EXIT.callback(remove_unused, folder)
    ON_EXIT.enter_context(locked(folder))
    return folder


def _is_typed(config: DictConfig, key: str) -> bool:
    unresolved: Any = OmegaConf.to_container(config.hydra.overrides)  # the number of the job is not known yet
    return any(override.lstrip("+").partition("=")[0] == key for override in unresolved["hydra"])


def remove_duplicates(config: DictConfig) -> SweepOptions:
    """Leave each value of a swept option once, with a note, and return the options of the sweep."""
    overrides, params = config.hydra.overrides.task, OmegaConf.select(config, "hydra.sweeper.params")
    duplicates = SweepOptions.parse(overrides, params).duplicates()
    for key, values in duplicates.items():
        print(f"{key}= has equal values: the sweep trains each of {','.join(values)} once", flush=True)
        with open_dict(config):
            if params is not None and key in params:
                params[key] = ",".join(values)
            for index, override in enumerate(overrides):
                if option_name(override) == key:
                    overrides[index] = f"{override.partition('=')[0]}={','.join(values)}"
    return SweepOptions.parse(overrides, params)


def check_sweepable(config: DictConfig, options: SweepOptions) -> None:
    """Check what all runs of a sweep have in common.

    Raises:
        ValueError: if the sweep resumes one run, sweeps where files are, or gives a run several devices, of which
            Lightning would let each one run the whole sweep.
    """
    if config.resume is not None:
        advice = quote_override("hydra.sweep.dir", config.resume)
        raise ValueError(f"expected one run to resume, found a sweep: type {advice}")
    for key in (key for key, values in options.swept.items() if values is None):
        if config.hydra.runtime.choices["hydra/sweeper"] == "basic":
            raise ValueError(f"expected values of {key} to sweep over, found an interval: add hydra/sweeper=optuna")
    for key in options.swept.keys() & set(EXCLUDED_FROM_RUN_NAME):
        raise ValueError(f"expected one {key}= for all runs of a sweep, found several: start a sweep for each")
    for devices in options.swept.get("trainer.devices") or [config.trainer.devices]:
        if not re.fullmatch(r"1|\[[^,]+\]", str(devices)):
            raise ValueError(
                f"expected one device for each run of a sweep, found trainer.devices={devices}: "
                "type trainer.devices=1, or start each run by itself, without -m"
            )


def set_for_runs(config: DictConfig, sweep: Path, options: SweepOptions) -> None:
    """Set what runs must know of their sweep, here and in their configs, which Hydra composes from the overrides."""
    sweep_dir = escape_interpolations(str(sweep))
    swept = ",".join(quote_value(key) for key in options.swept)
    with open_dict(config):
        config.hydra.sweep.dir = sweep_dir
        config.hydra.overrides.hydra += [
            f"hydra.sweep.dir={quote_value(str(sweep))}",
            f"+hydra.callbacks.sweep.swept=[{swept}]",
            f"+hydra.callbacks.sweep.num_runs={runs_planned(config, options) or 'null'}",
            f"+hydra.callbacks.sweep.started={time.time()}",
        ]


def runs_planned(config: DictConfig, options: SweepOptions) -> int | None:
    """Return the number of runs, or None if the sweeper decides."""
    found: int | None = config.hydra.sweeper.get("n_trials")
    return found or options.num_runs


def describe_sweep(config: DictConfig, sweep: Path, options: SweepOptions) -> str:
    """Return the line that announces a sweep."""
    num_runs = runs_planned(config, options)
    count = "runs" if num_runs is None else plural(num_runs, "run")
    verb = "resuming" if (sweep / "multirun.yaml").exists() else "training"
    line = f"{verb} {count} in {sweep}"
    if config.hydra.runtime.choices["hydra/launcher"] == "gpus" and config.hydra.launcher.ray.remote.num_gpus == 0:
        each = config.hydra.launcher.ray.remote.num_cpus or 1
        workers = min(max(1, int(cores() / each)), num_runs or cores())
        line += f"\nno GPU found here: {plural(workers, 'run')} at a time, {plural(each, 'core')} each"
    return line
