"""Write the report of a sweep again, and show its table.

    python -m lm.report sweep=multirun/2025-01-31_12-00-00
    python -m lm.report sweep=multirun/2025-01-31_12-00-00 parameters=true speed=true epochs_to=120
    python -m lm.report sweep=multirun/2025-01-31_12-00-00,multirun/2025-02-01_12-00-00

It needs only the run folders: no training data, and not the machine that trained. The folder of a single run is enough.
Several sweeps are compared in one report, in the folder `comparison` of the first.
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from lm.cli import command
from lm.output import print_results
from lm.reporting.extra_columns import ExtraColumns
from lm.reporting.sweep_report import write_report
from lm.reporting.tensorboard import log_report_to_tensorboard


@command("report", literal=("sweep",))
def main(config: DictConfig) -> None:
    """Write the report of the sweeps that the config names, and print it.

    Raises:
        ValueError: if no sweep is named, or an option has a wrong value.
        FileNotFoundError: if the sweep's folder does not exist, or holds no run.
    """
    sweep = "" if OmegaConf.is_missing(config, "sweep") or config.sweep is None else str(config.sweep)
    folders = split_folders(sweep)
    if not all(folder.strip() for folder in folders):
        raise ValueError("expected a sweep's folder, found none: type python -m lm.report sweep=multirun/FOLDER")
    extras = ExtraColumns(parameters=config.parameters, speed=config.speed, epochs_to=config.epochs_to)
    report = write_report(Path(folders[0]), extras, [Path(folder) for folder in folders[1:]])
    log_report_to_tensorboard(report)
    print_results(report.terminal_text())


def split_folders(text: str) -> list[str]:
    """Split `A,B` into folders. Commas belong to a name if a folder has that name, such as `cell=gru,dropout=0.25`."""
    parts = text.split(",")
    names = [",".join(parts[:count]) for count in range(len(parts), 0, -1)]
    first = next((name for name in names if name and Path(name).is_dir()), parts[0])
    rest = text[len(first) + 1 :]
    return [first, *split_folders(rest)] if len(first) < len(text) else [first]


if __name__ == "__main__":
    main()
