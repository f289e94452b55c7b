from pathlib import Path

import pytest

from lm.run_search import MAX_DEPTH, best_run, find_runs, runs_in
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


def test_runs_in_nested_folders_are_named_by_their_path(make_run: MakeRun, sweep: Path) -> None:
    (sweep / "lstm").mkdir()
    make_run("dropout=0").rename(sweep / "lstm" / "0")

    assert [run.name for run in find_runs(sweep)] == ["lstm/0"]


def test_a_missing_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"expected a sweep's folder, found nothing at .*nowhere: type a folder"
    ):
        find_runs(tmp_path / "nowhere")


def test_a_folder_without_runs_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cell=lstm").mkdir()

    with pytest.raises(FileNotFoundError, match=r"found no run folder in .*: type the folder"):
        find_runs(tmp_path)


def test_a_run_too_deep_below_the_folder_is_not_found(make_run: MakeRun, sweep: Path) -> None:
    run, parents = make_run(), [str(number) for number in range(MAX_DEPTH)]
    sweep.joinpath(*parents).mkdir(parents=True)
    run.rename(sweep.joinpath(*parents, run.name))

    with pytest.raises(FileNotFoundError, match="found no run folder in"):
        find_runs(sweep)
    assert [found.name for found in find_runs(sweep / "0")] == ["/".join([*parents[1:], run.name])]


def test_a_link_to_a_run_is_not_a_second_run(make_run: MakeRun, sweep: Path) -> None:
    run = make_run()
    (sweep / "link").symlink_to(run)

    assert [found.name for found in find_runs(sweep)] == [run.name]


def test_runs_are_named_by_folders_sweeps_and_patterns(
    make_run: MakeRun, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2):
        (make_run("cell=gru", f"seed={seed}") / "checkpoints").mkdir()
    monkeypatch.chdir(sweep)
    runs = [Path("cell=gru,seed=1"), Path("cell=gru,seed=2")]

    assert runs_in("cell=gru,seed=1,cell=gru,seed=2") == runs
    Path("cell=gru,report").mkdir()  # no run
    assert runs_in("cell=gru,*") == runs
    assert [run.name for run in runs_in(str(sweep))] == [run.name for run in runs]
    assert runs_in("multirun/cell=gru,dropout=0") == [Path("multirun/cell=gru,dropout=0")]
    assert runs_in("cell=gru,seed=1,cell=gru,*,cell=gru,seed=1/") == runs
    assert runs_in("cell=gru,seed=1/results.json") == [Path("cell=gru,seed=1/results.json")]
    for blank in ("cell=gru,seed=1,", ",cell=gru,seed=1", "cell=gru,seed=1,,"):
        with pytest.raises(ValueError, match=r"^expected folders with commas between them, found"):
            runs_in(blank)


def test_runs_that_are_not_finished_are_left_out_of_a_sweep_with_a_note(
    make_run: MakeRun, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run("seed=1")
    make_run("seed=2", results={"status": "diverged", "error": "the loss is nan"})
    monkeypatch.chdir(sweep)

    for name in (str(sweep), "seed=*"):
        assert [run.name for run in runs_in(name)] == ["seed=1"]
        assert "runs that are not finished are left out: " in capsys.readouterr().err
    assert [run.name for run in runs_in("seed=2")] == ["seed=2"]


def test_the_best_run_on_a_corpus_has_the_lowest_validation_perplexity(make_run, tmp_path, monkeypatch):
    for cell, corpus in (("lstm", "python_docs"), ("gru", "python_docs"), ("rnn_tanh", "ptb")):
        folder = make_run(cell=cell, results={"corpus": {"name": corpus}})
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "best.ckpt").touch()
    make_run(cell="rnn_relu", dropout=1.0, results={"corpus": {"name": "python_docs"}})  # the best, but no checkpoint
    (tmp_path / "multirun").symlink_to(tmp_path / "sweep")
    monkeypatch.chdir(tmp_path)
    assert best_run("python_docs").name == "cell=lstm,dropout=0.25"


def test_without_a_run_on_a_corpus_the_error_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"found none: type make demo, or python -m lm\."):
        best_run("python_docs")
