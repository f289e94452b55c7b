import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lm.run_dir import DAMAGED, UNFINISHED, RunDir
from lm.run_search import find_runs
from tests.run_folders import MakeRun


def test_a_run_without_results_is_running(make_run: MakeRun, sweep: Path) -> None:
    make_run(running=True)

    (run,) = find_runs(sweep)

    assert (run.status, run.finished, len(run.epochs)) == (UNFINISHED, False, 3)


def test_a_run_before_its_first_epoch_is_running(make_run: MakeRun, sweep: Path) -> None:
    (make_run(running=True) / "epochs.csv").unlink()

    assert find_runs(sweep)[0].status == UNFINISHED


DAMAGED_FILES = [
    *((name, "\xff") for name in ("results.json", "epochs.csv")),
    *((f".hydra/{name}.yaml", text) for name in ("config", "hydra", "overrides") for text in ("a: [1,", "a: \xff")),
    *((name, "[" * 100_000) for name in ("results.json", ".hydra/config.yaml")),
]


@pytest.mark.parametrize(("name", "text"), DAMAGED_FILES, ids=lambda text: repr(text[:22]))
def test_a_damaged_file_is_named_in_one_sentence_and_hides_no_other_run(
    make_run: MakeRun, sweep: Path, name: str, text: str
) -> None:
    folder, other = make_run(cell="gru"), make_run(cell="lstm")
    (folder / name).write_bytes(text.encode("latin-1"))

    runs = {run.name: run for run in find_runs(sweep)}

    assert runs[other.name].finished
    assert runs[folder.name].status == DAMAGED
    assert re.fullmatch(rf"{re.escape(name)} is damaged \(\w+\): copy .*", runs[folder.name].error)


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    make_run: MakeRun, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(cell="gru")

    def refuse(path: Path, **_: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    [run] = find_runs(sweep)
    assert run.error == ".hydra/hydra.yaml cannot be read, permission denied: change its permissions"


@pytest.mark.parametrize(
    "text", ["a: 5", "cell: {name: [1, 2]}", "cell: ${cell}", "cell: {name: '${nothing}'}", "a: '${'"]
)
def test_a_config_of_another_shape_has_no_values(make_run: MakeRun, sweep: Path, text: str) -> None:
    (make_run() / ".hydra" / "config.yaml").write_text(f"{text}\ntrainer: {{}}")

    (run,) = find_runs(sweep)

    assert [run.value(key) for key in ("a.b", "cell.name.x", "dropout")] == [None, None, None]


def test_an_entry_of_the_results_that_is_not_there_is_none(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"corpus": 5})

    (run,) = find_runs(sweep)

    assert [run.result(key) for key in ("best.valid_ppl", "corpus.tokens.train", "nothing")] == [91.0, None, None]


def test_an_error_is_shown_by_its_first_line(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"status": "failed", "error": "OSError: disk full\nTraceback ..."})

    assert find_runs(sweep)[0].error == "OSError: disk full"


@pytest.mark.parametrize("choice", [None, "null"])
def test_a_group_without_a_choice_has_no_value_however_it_is_typed(make_run: MakeRun, choice: str | None) -> None:
    assert RunDir(make_run(choices={"experiment": choice})).value("experiment") is None


def test_values_are_those_of_the_composed_config(make_run: MakeRun, sweep: Path) -> None:
    config = {"lr_decay_factor": "${by_dropout:${dropout},1.2,1.8}", "data": {"name": "${oc.env:LM_NO_SUCH_VARIABLE}"}}
    make_run(cell="gru", dropout=0.0, config=config, choices={"schedule": "table1"})

    (run,) = find_runs(sweep)

    values = {
        key: run.value(key)
        for key in ("lr", "lr_decay_factor", "embedding_size", "schedule", "optimizer", "data.name", "nothing")
    }
    assert values == {
        "lr": 0.8,
        "lr_decay_factor": 1.8,
        "embedding_size": 200,
        "schedule": "table1",
        "optimizer": "sgd",  # its name, where `hydra.yaml` has no choice
        "data.name": None,
        "nothing": None,
    }


def test_processes_append_to_the_evaluations_one_after_the_other(tmp_path: Path) -> None:
    code = """import sys
from pathlib import Path
from lm.run_dir import RunDir
for number in range(20):
    entry = {"ppl": 9.5, "split": "test", "protocol": {"method": "static"}, "tuned": None, "corpus": {"sha256": "ab"}}
    RunDir(Path(sys.argv[1])).append_evaluation({**entry, "checkpoint": sys.argv[2]})
"""
    path = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    processes = [subprocess.Popen([sys.executable, "-c", code, tmp_path, name], env=path) for name in "abc"]
    assert [process.wait() for process in processes] == [0, 0, 0]
    found = [entry["checkpoint"] for entry in RunDir(tmp_path).evaluations]
    assert sorted(found) == sorted("abc" * 20)
    assert [path.name for path in tmp_path.iterdir()] == ["evaluations.json"]
