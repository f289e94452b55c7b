"""What happens around a sweep: it looks at its folder, listens for signals, and says what it makes of the machine."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict

from lm.cli import one_line
from lm.overrides import escape_interpolations, quote_value
from lm.sweeps.cores import cores_per_run, num_workers
from lm.sweeps.stop_file import StopFile
from lm.sweeps.sweep_dir import check_folder

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SweepCallback(Callback):
    """Has all runs stop where the sweep gets SIGINT or SIGTERM; a second SIGINT ends it at once.

    It also makes the sweep's folder absolute, for workers may stand in another one, and refuses that of another sweep.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Look at the folder, and listen."""
        sweep = Path(config.hydra.sweep.dir).resolve()
        typed, params = config.hydra.overrides.task, config.hydra.sweeper.params
        try:
            check_folder(sweep, typed, params)
        except ValueError as error:
            sys.exit(f"error: {one_line(error)}")  # Hydra lets nothing else through
        fix_sweep_folder(config, sweep)
        self.stop = StopFile(sweep)
        self.stop.clear()
        self._handlers: dict[int, Any] = {number: signal.signal(number, self._note) for number in SIGNALS}
        if config.hydra.runtime.choices["hydra/launcher"] == "gpus" and config.hydra.launcher.ray.remote.num_gpus == 0:
            at_once, each = num_workers(typed, params), cores_per_run(typed, params)
            print(f"no GPU found here: {at_once} runs at a time, {each} of the processor's cores each", flush=True)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, self._handlers[number])  # clusters may send several SIGTERM and mean one
        self.stop.write(signal.Signals(number).name)
        print(f"\n{signal.Signals(number).name}: the runs stop, each with a checkpoint", flush=True)

    def _listen_no_longer(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Go back to how it was; where the folder is another sweep's, say so and nothing else."""
        self._listen_no_longer()
        reason = self.stop.reason()
        self.stop.clear()
        if reason is not None and reason not in signal.Signals.__members__:
            sys.exit(f"error: {reason}")


def fix_sweep_folder(config: DictConfig, folder: Path) -> None:
    """Set the sweep's folder for this process, and for the runs, whose config is composed anew by what was typed."""
    with open_dict(config):
        config.hydra.sweep.dir = escape_interpolations(str(folder))
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quote_value(str(folder))}")
