"""The sweep's table and figures in TensorBoard, as a run of their own beside the training runs."""

from pathlib import Path

from lm.reporting.markdown_report import unfinished_lines
from lm.reporting.sweep_report import Report
from lm.reporting.table_formats import markdown_text

RUN = "report"


def log_report_to_tensorboard(report: Report) -> Path:
    """Write the table (text) and the figures (images) as the run `report` of the sweep's folder; return that folder.

    It replaces what an earlier call wrote. The folder holds but an event file, so nothing takes it for a training run.
    """
    # Here, since neither is needed before a sweep ends, and both are slow to load.
    from matplotlib.image import imread
    from torch.utils.tensorboard import SummaryWriter

    folder = report.folder / RUN
    earlier = list(folder.glob("events.out.tfevents.*"))
    with SummaryWriter(str(folder)) as writer:
        text = "\n\n".join(filter(None, [markdown_text(report.table), unfinished_lines(report.runs)]))
        writer.add_text("report/table", text)
        for name in ("convergence", "validation"):
            if (report.folder / f"{name}.png").is_file():
                picture = imread(report.folder / f"{name}.png")
                writer.add_image(f"report/{name}", picture, dataformats="HWC")
    # Only now, so that a board that is looking never finds the run empty.
    for file in earlier:
        file.unlink(missing_ok=True)
    return folder
