import re
from pathlib import Path

import pytest

from lm.run_dir import DAMAGED, UNFINISHED
from lm.run_search import find_runs
from tests.run_folders import MakeRun


def test_runs_come_in_the_order_in_which_the_sweep_started_them(grid: Path) -> None:
    names = [run.name for run in find_runs(grid)]

    assert names == ["cell=lstm,dropout=0.0", "cell=lstm,dropout=0.25", "cell=gru,dropout=0.0", "cell=gru,dropout=0.25"]


def test_other_folders_and_files_are_no_runs(grid: Path) -> None:
    (grid / "report").mkdir()
    (grid / "report" / "events.out.tfevents.1.host.1.0").touch()
    (grid / "multirun.yaml").touch()

    assert len(find_runs(grid)) == 4


def test_a_run_folder_is_a_sweep_of_one(grid: Path) -> None:
    assert [run.name for run in find_runs(grid / "cell=gru,dropout=0.25")] == ["cell=gru,dropout=0.25"]


def test_a_run_without_results_is_running(make_run: MakeRun, sweep: Path) -> None:
    make_run(running=True)

    (run,) = find_runs(sweep)

    assert (run.status, run.finished, len(run.epochs)) == (UNFINISHED, False, 3)


def test_a_run_before_its_first_epoch_is_running(make_run: MakeRun, sweep: Path) -> None:
    (make_run(running=True) / "epochs.csv").unlink()

    assert find_runs(sweep)[0].status == UNFINISHED


def test_a_row_that_is_being_written_is_left_out(make_run: MakeRun, sweep: Path) -> None:
    folder = make_run(running=True)
    with (folder / "epochs.csv").open("a") as file:
        file.write("4,1.0,75.0")

    assert [row["epoch"] for row in find_runs(sweep)[0].epochs] == [1, 2, 3]


NESTED, LONG = "[" * 100_000, f"a: {'x' * 1_000_001}"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DAMAGED_FILES = [
    *(("results.json", text) for text in ("", "{", "[1, 2]", "5", '{"status": "finished"}', NESTED, '{"a": "\xff"}')),
    ("results.json", '{"status": "finished", "best": {"valid_ppl": Infinity}}'),
    ("results.json", '{"status": "finished", "best": [1, 2]}'),
    ("epochs.csv", "epoch,valid_ppl\n1,\xff\n"),
    *(
        (f".hydra/{name}.yaml", text)
        for name in ("config", "hydra", "overrides")
        for text in ("", "a: [1,", "a:\n  b: 1\n c", "\x00", "a:\t- b", "a: 1\na: 2", "a: \xff", BOMB, LONG)
    ),
    (".hydra/config.yaml", NESTED),
    (".hydra/config.yaml", "- a"),
    (".hydra/config.yaml", "dropout: 0.25\nhidden_size: 2"),
    (".hydra/overrides.yaml", "a: b"),
    (".hydra/hydra.yaml", "hydra: {runtime: {choices: [cell, lstm]}, job: {num: 0}}"),
    (".hydra/hydra.yaml", "hydra: 5"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), DAMAGED_FILES, ids=lambda text: repr(text[:12]))
def test_a_damaged_file_is_named_in_one_sentence_and_hides_no_other_run(
    make_run: MakeRun, sweep: Path, name: str, text: str
) -> None:
    folder, other = make_run(cell="gru"), make_run(cell="lstm")
    (folder / name).write_bytes(text.encode("latin-1"))

    runs = {run.name: run for run in find_runs(sweep)}

    assert runs[other.name].finished
    assert runs[folder.name].status == DAMAGED
    assert re.fullmatch(rf"{re.escape(name)} is damaged \(\w+\): copy .*", runs[folder.name].error)


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


def test_a_perplexity_that_was_not_measured_is_left_out(make_run: MakeRun, sweep: Path) -> None:
    (make_run() / "epochs.csv").write_text("epoch,valid_ppl\n1,\n2,90.5\n")

    assert find_runs(sweep)[0].epochs == [{"epoch": 1}, {"epoch": 2, "valid_ppl": 90.5}]


def test_an_override_that_refers_to_another_option_is_kept_as_typed(make_run: MakeRun, sweep: Path) -> None:
    make_run("embedding_size=${hidden_size}").rename(sweep / "0")

    (run,) = find_runs(sweep)

    assert (run.finished, run.overrides) == (True, ["embedding_size=${hidden_size}"])


def test_runs_in_nested_folders_are_named_by_their_path(make_run: MakeRun, sweep: Path) -> None:
    (sweep / "lstm").mkdir()
    make_run("dropout=0").rename(sweep / "lstm" / "0")

    assert [run.name for run in find_runs(sweep)] == ["lstm/0"]


def test_an_error_is_shown_by_its_first_line(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"status": "failed", "error": "OSError: disk full\nTraceback ..."})

    assert find_runs(sweep)[0].error == "OSError: disk full"


def test_values_are_those_of_the_composed_config(make_run: MakeRun, sweep: Path) -> None:
    config = {"lr_decay_factor": "${by_dropout:${dropout},1.2,1.8}", "data": {"name": "${oc.env:LM_NO_SUCH_VARIABLE}"}}
    make_run(cell="gru", dropout=0.0, config=config, choices={"schedule": "table1"})

    (run,) = find_runs(sweep)

    values = {
        key: run.value(key) for key in ("lr", "lr_decay_factor", "embedding_size", "schedule", "data.name", "nothing")
    }
    assert values == {
        "lr": 0.8,
        "lr_decay_factor": 1.8,
        "embedding_size": 200,
        "schedule": "table1",
        "data.name": None,
        "nothing": None,
    }


def test_a_missing_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a sweep's folder, found nothing at .*nowhere: type sweep="):
        find_runs(tmp_path / "nowhere")


def test_a_folder_without_runs_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cell=lstm").mkdir()

    with pytest.raises(FileNotFoundError, match=r"found no run folder in .*: type sweep=FOLDER"):
        find_runs(tmp_path)
