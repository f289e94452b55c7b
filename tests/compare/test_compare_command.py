from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compare.pairs import make_better

RunCommand = Callable[..., int]
COMMAND = "lm.compare.__main__"


def test_two_runs_are_compared(
    saved_run: Path, copy_of_run: Path, run_command: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    make_better(copy_of_run, 0.5)

    assert run_command(COMMAND, saved_run, copy_of_run, "to=out") == 0

    output = capsys.readouterr().out
    assert "test perplexity is 39.3 % (39.3 to 39.3) lower" in output.splitlines()[0]
    assert "Words with the largest gain" in output
    assert Path("out/differences.png").is_file()


def test_the_tables_are_written_beside_the_first_run(
    saved_run: Path, copy_of_run: Path, run_command: RunCommand
) -> None:
    assert run_command(COMMAND, f"second={saved_run}", f"first={copy_of_run}", "split=valid") == 0

    assert (copy_of_run / "comparison" / "differences.csv").is_file()


@pytest.mark.parametrize("words", [[], ["nowhere"], ["nowhere", "nowhere"], ["split=train"]])
def test_a_wrong_command_is_refused_in_one_sentence(
    words: list[str], run_command: RunCommand, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command(COMMAND, *words) == 1

    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: expected ")
    assert "type " in error
    assert list(tmp_path.iterdir()) == []
