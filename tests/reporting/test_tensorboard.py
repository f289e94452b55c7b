import io
from pathlib import Path

import pytest
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lm.reporting.sweep_report import write_report
from lm.reporting.tensorboard import log_report_to_tensorboard
from lm.run_search import find_runs


@pytest.fixture
def logged(grid: Path) -> Path:
    return log_report_to_tensorboard(write_report(grid))


def events_in(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_the_table_is_a_text_of_the_run_called_report(logged: Path, grid: Path) -> None:
    (text,) = events_in(logged).Tensors("report/table/text_summary")

    assert logged == grid / "report"
    rows = [line.replace(" ", "") for line in text.tensor_proto.string_val[0].decode().splitlines()]
    assert rows[3].startswith(r"|lstm\*|0.25|45.50|")


def test_both_figures_are_images_as_they_were_drawn(logged: Path, grid: Path) -> None:
    for name in ("convergence", "validation"):
        (picture,) = events_in(logged).Images(f"report/{name}")

        drawn, logged_image = imread(grid / f"{name}.png"), imread(io.BytesIO(picture.encoded_image_string))
        assert logged_image.shape == drawn.shape
        assert abs(logged_image - drawn).max() < 0.01


def test_writing_again_replaces_what_was_there(logged: Path, grid: Path) -> None:
    log_report_to_tensorboard(write_report(grid))

    assert len(list(logged.iterdir())) == 1
    assert len(events_in(logged).Images("report/convergence")) == 1


def test_the_run_called_report_is_no_training_run(logged: Path, grid: Path) -> None:
    assert logged.name not in [run.name for run in find_runs(grid)]
