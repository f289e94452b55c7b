"""The sweep's table and figures in TensorBoard, as one more run beside the training runs."""

from pathlib import Path

from lm.reporting.markdown_report import FIGURES, unfinished_lines
from lm.reporting.sweep_report import Report
from lm.reporting.table import escape_markdown

RUN = "report"


def log_report_to_tensorboard(report: Report) -> Path:
    """Write the table (text) and the figures (images) as the run `report` of the sweep's folder; return its folder.

    It replaces what an earlier call wrote. The folder holds an event file only, so it is not taken for a training run.
    """
    # Both are slow to import, and not needed before a sweep ends.
    from matplotlib.image import imread
    from torch.utils.tensorboard import SummaryWriter

    folder = report.folder / RUN
    earlier = list(folder.glob("events.out.tfevents.*"))
    with SummaryWriter(str(folder)) as writer:
        text = "\n\n".join(
            filter(None, [report.table.markdown(), unfinished_lines(report.unfinished, escape_markdown)])
        )
        writer.add_text("report/table", text)
        for name in FIGURES:
            if (report.folder / f"{name}.png").is_file():
                picture = imread(report.folder / f"{name}.png")
                writer.add_image(f"report/{name}", picture, dataformats="HWC")
    # Deleted last, so that TensorBoard never finds the run empty.
    for file in earlier:
        file.unlink(missing_ok=True)
    return folder
