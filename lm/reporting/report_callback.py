"""The report's place in a sweep: Hydra calls it when a job ends and when all have."""

import logging
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from lm.reporting.sweep_report import Report, write_report
from lm.reporting.table import ExtraColumns

log = logging.getLogger(__name__)


class ReportCallback(Callback):
    """Writes the sweep's report whenever a run ends, in the process that ran it, and shows it at the end.

    Args:
        extras: the table's further columns, as `ExtraColumns` takes them.
    """

    def __init__(self, **extras: Any) -> None:
        self.extras = ExtraColumns(**extras)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Bring the report up to date; a report that fails must not take the sweep with it."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        try:
            write_report(sweep_folder(config), self.extras)
        except Exception as error:
            log.warning("the sweep's report could not be written: %s: %s", type(error).__name__, error)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show the complete report, and end the process with status 1 where it or a run is not finished.

        Hydra catches what a callback raises but `SystemExit`, which it lets through. It does not call this at all when
        a job has raised an exception: jobs that are to be counted here record their failure and return.
        """
        report = self._complete(Path(config.hydra.sweep.dir))
        if report is None or report.unfinished:
            raise SystemExit(1)

    def _complete(self, folder: Path) -> Report | None:
        from lm.reporting.tensorboard import log_report_to_tensorboard

        try:
            report = write_report(folder, self.extras)
            log_report_to_tensorboard(report)
        except Exception as error:
            log.warning("the sweep's report could not be written: %s: %s", type(error).__name__, error)
            return None
        print(f"\n{report.terminal_text()}", flush=True)
        return report


def sweep_folder(config: DictConfig) -> Path:
    """Return the sweep's folder of a job's config: the job's own folder without its last part, `hydra.sweep.subdir`.

    The job's folder is absolute, so this holds on workers that stand in another directory.
    """
    job_folder = Path(config.hydra.runtime.output_dir)
    depth = len(Path(config.hydra.sweep.subdir).parts)
    return job_folder.parents[depth - 1] if depth else job_folder
