"""Write the report of a sweep again, and show its table.

    python -m lm.report sweep=multirun/2025-01-31_12-00-00
    python -m lm.report sweep=multirun/2025-01-31_12-00-00 parameters=true speed=true epochs_to=120
    python -m lm.report sweep=multirun/2025-01-31_12-00-00 evaluations=true     # the scores of lm.evaluate
    python -m lm.report sweep=multirun/2025-01-31_12-00-00,multirun/2025-02-01_12-00-00

It needs only the run folders: no training data, and not the machine that trained. The folder of a single run is enough.
Several sweeps have one report, in the folder `comparison` of the first. Their seeds share rows, unless the sweeps have
runs of the same options and seed: then they are compared.
"""

from pathlib import Path

from omegaconf import DictConfig

from lm.cli import command
from lm.config import typed
from lm.output import print_results
from lm.path_lists import split_paths
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
    folders = split_paths("" if config.sweep is None else str(config.sweep))
    if not all(folder.strip() for folder in folders):
        raise ValueError("expected a sweep's folder, found none: type python -m lm.report sweep=multirun/FOLDER")
    extras = typed(ExtraColumns, config)
    report = write_report(Path(folders[0]), extras, [Path(folder) for folder in folders[1:]])
    log_report_to_tensorboard(report)
    print_results(report.terminal_text())


if __name__ == "__main__":
    main()
