import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lm_report(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lm.report", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_writes_and_shows_a_sweep_that_came_from_elsewhere(grid: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    shutil.move(grid, here / "moved")

    answer = lm_report(here, "sweep=moved", "parameters=true", "epochs_to=150")

    assert answer.returncode == 0, answer.stderr
    with (here / "moved" / "table.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["parameters"], float(row["epochs_to_150"])) == ("4653200", 2.0)
    assert "4,653,200" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "TensorBoard: tensorboard --logdir moved"
    assert [path.name for path in here.iterdir()] == ["moved"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "expected a sweep's folder, found none: type python -m lm.report sweep=multirun/FOLDER"),
        (["sweep=nowhere"], "expected a sweep's folder, found nothing at "),
        (["sweep=empty"], "expected a sweep's folder, found no run folder in "),
        (["sweep=sweep", "epochs_to=soon"], "expected epochs_to to be a positive perplexity, found soon"),
    ],
    ids=["no sweep", "no folder", "no runs", "no number"],
)
def test_bad_input_is_told_in_one_sentence(grid: Path, arguments: list[str], sentence: str) -> None:
    (grid.parent / "empty").mkdir()

    answer = lm_report(grid.parent, *arguments)

    assert answer.returncode == 1
    assert answer.stderr.startswith(f"error: {sentence}")
    assert len(answer.stderr.splitlines()) == 1
    assert not [path for path in grid.iterdir() if path.is_file()]
    assert not list((grid.parent / "empty").iterdir())
