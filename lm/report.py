"""Write the table and the figures of a sweep again, and show the table.

    python -m lm.report sweep=multirun/2025-01-31_12-00-00
    python -m lm.report sweep=multirun/2025-01-31_12-00-00 parameters=true speed=true epochs_to=120

It needs the run folders alone: no training data, and not the machine that trained. A single run's folder will do.
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from lm.cli import command
from lm.reporting.sweep_report import write_report
from lm.reporting.table import ExtraColumns
from lm.reporting.tensorboard import log_report_to_tensorboard


@command("report", literal=("sweep",))
def main(config: DictConfig) -> None:
    """Write the report of the sweep that the config names, and print it.

    Raises:
        ValueError: where no sweep is named, or an option has a value it can't have.
        FileNotFoundError: where the sweep's folder holds no run.
    """
    if OmegaConf.is_missing(config, "sweep"):
        raise ValueError("expected a sweep's folder, found none: type python -m lm.report sweep=multirun/FOLDER")
    extras = ExtraColumns(parameters=config.parameters, speed=config.speed, epochs_to=config.epochs_to)
    report = write_report(Path(config.sweep), extras)
    log_report_to_tensorboard(report)
    print(report.terminal_text())


if __name__ == "__main__":
    main()
