import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

RunCommand = Callable[..., int]


def test_the_command_writes_and_shows_a_sweep_that_was_moved(
    grid: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.move(grid, tmp_path / "moved")

    status = run_command("lm.report", "sweep=moved", "parameters=true", "epochs_to=150")

    output = capsys.readouterr().out
    assert status == 0
    with (tmp_path / "moved" / "table.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["parameters"], float(row["epochs_to_150"])) == ("4653200", 2.0)
    assert "4,653,200" in output
    assert "TensorBoard: tensorboard --logdir moved" in output.splitlines()
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]


def test_the_command_compares_sweeps(
    grid: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(grid, tmp_path / "b=1,c=2")

    assert run_command("lm.report", "sweep=sweep,b=1,c=2") == 0

    output = capsys.readouterr().out
    assert {"sweep", "b=1,c=2"} < set(output.split())
    assert (grid / "comparison" / "report.md").is_file()
    assert not (grid / "report.md").exists()


BAD = {
    "sweep": ["", " ", "null", "[]", "nowhere", "5", "nan", "empty", "nowhere,sweep", "sweep,", ",sweep", "\x01"],
    "parameters": ["abc", "0", "-1", "1.5", "nan", "inf", "null", "", "[1]"],
    "speed": ["abc", "0", "-1", "1.5", "nan", "inf", "null", "", "[1]"],
    "evaluations": ["abc", "0", "null", "[1]"],
    "epochs_to": ["abc", "0", "-1", "nan", "inf", "true", "", "[1]", "{a: 1}"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_wrong_value_is_refused_in_one_sentence(
    grid: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, value: str
) -> None:
    (tmp_path / "empty").mkdir()

    status = run_command("lm.report", *([] if name == "sweep" else ["sweep=sweep"]), f"{name}={value}")

    errors = capsys.readouterr().err.splitlines()
    assert status == 1
    assert len(errors) == 1
    assert errors[0].startswith(f"error: expected {'a sweep' if name == 'sweep' else name}")
    assert "found" in errors[0]
    assert "type " in errors[0]
    assert not [path for path in grid.iterdir() if path.is_file()]
    assert not list((tmp_path / "empty").iterdir())


def test_without_a_sweep_the_command_says_what_to_type(
    run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("lm.report") == 1

    assert capsys.readouterr().err == (
        "error: expected a sweep's folder, found none: type python -m lm.report sweep=multirun/FOLDER\n"
    )
