"""The report of a sweep that runs: Hydra calls it when a job ends, and when all have ended."""

import logging
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from lm.reporting.extra_columns import ExtraColumns

if TYPE_CHECKING:
    from lm.reporting.sweep_report import Report

OPTION = "+hydra.callbacks.report."

FIGURE_SECONDS = 60
"""The time between two drawings of the figures while a sweep trains: each takes seconds of one of its cores."""

log = logging.getLogger(__name__)


class ReportCallback(Callback):
    """Writes the sweep's report whenever a run ends, in the process that ran it, and shows it at the end.

    What a report needs is imported when one is written, since training must not wait for pandas and matplotlib.

    Raises:
        SystemExit: if `extras` are wrong. Hydra would print several lines for any other exception.
    """

    def __init__(self, **extras: Any) -> None:
        self._drawn = time.time()
        try:
            self.extras = ExtraColumns(**extras)
        except TypeError:
            known = ", ".join(field.name for field in fields(ExtraColumns))
            sys.exit(f"error: expected one of {known}, found {', '.join(extras)}: type {OPTION}parameters=true")
        except ValueError as error:
            sys.exit(f"error: {str(error).replace(': type ', f': type {OPTION}')}")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Update the report, and its figures if they are old."""
        if config.hydra.mode == RunMode.MULTIRUN:
            figures = time.time() - self._drawn > FIGURE_SECONDS
            if figures:
                self._drawn = time.time()
            self._write(Path(config.hydra.sweep.dir), figures=figures)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show the complete report, and end the process with status 1 if it or a run is not finished.

        Hydra catches every exception of a callback except `SystemExit`. It does not call this method if a job has
        raised an exception, so the jobs record their failure and return.
        """
        report = self._write(Path(config.hydra.sweep.dir), last=True)
        if report is not None:
            print(f"\n{report.terminal_text()}", flush=True)
        if report is None or report.unfinished:
            raise SystemExit(1)

    def _write(self, folder: Path, figures: bool = True, last: bool = False) -> "Report | None":
        """Return the report, or None if it cannot be written, which must not stop the sweep."""
        try:
            from lm.reporting.sweep_report import write_report
            from lm.reporting.tensorboard import log_report_to_tensorboard

            report = write_report(folder, self.extras, figures=figures)
            if last:
                log_report_to_tensorboard(report)
        except Exception as error:
            log.warning("the sweep's report could not be written: %s: %s", type(error).__name__, error)
            return None
        return report
