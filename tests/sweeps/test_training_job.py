import json
import os
import signal

import pytest
from omegaconf import OmegaConf

from lm.data.corpus import load_corpus
from lm.data.download import DownloadFailed
from lm.data.sources.text import TextSource
from lm.folders import FolderInUse
from lm.run_dir import RunDir
from lm.sweeps import training_job
from lm.sweeps.stop_file import StopFile
from lm.sweeps.training_job import (
    describe_corpus,
    result_text,
    train_arguments,
    train_in_sweep,
    train_run,
    train_single,
)
from lm.training.divergence import Diverged
from lm.training.resume import RunMismatch
from lm.training.signals import Interrupted
from tests.saved_run import save_config


@pytest.fixture
def run(tmp_path):
    (tmp_path / "sweep" / "cell=gru" / "checkpoints").mkdir(parents=True)
    return RunDir(tmp_path / "sweep" / "cell=gru")


@pytest.fixture
def train_with(monkeypatch):
    """Return a function that replaces training by an error."""
    monkeypatch.setattr(training_job, "prepare_streams", lambda: None)
    monkeypatch.setattr(training_job, "train_arguments", lambda *_: ())

    def replace(error):
        def train_run(*_):
            raise error

        monkeypatch.setattr(training_job, "train_run", train_run)

    return replace


def in_sweep(run):
    """Train a run of a sweep and return its outcome, None if there is none."""
    logging = {"version": 1, "incremental": True}  # the handlers of the tests stay
    train_in_sweep(OmegaConf.create(), run.folder, run.folder.parent, logging, "run 1 of 2", None)
    return json.loads(run.results_path.read_text()) if run.results_path.exists() else None


@pytest.mark.parametrize(
    ("error", "status", "recorded"),
    [
        (ValueError("expected lr=1,\nfound 2"), "failed", "ValueError: expected lr=1, found 2"),
        (Diverged("expected a finite loss"), "diverged", "expected a finite loss"),
        (RuntimeError("a bug"), "failed", "RuntimeError: a bug"),
        (Interrupted("a callback"), "not started", "stopped by a callback"),
    ],
)
def test_every_outcome_of_a_run_of_a_sweep_is_recorded(run, train_with, caplog, error, status, recorded):
    train_with(error)
    assert in_sweep(run) == {"status": status, "error": recorded}
    assert ("Traceback" in caplog.text) == isinstance(error, RuntimeError)


def test_a_run_that_the_sweep_stops_names_the_signal_that_stopped_the_sweep(run, train_with):
    run.last.touch()
    StopFile(run.folder.parent).write("SIGINT")
    train_with(Interrupted("SIGTERM"))
    assert in_sweep(run) == {"status": "interrupted", "error": "stopped by SIGINT"}


def test_a_folder_of_another_run_stops_the_sweep_and_stays_as_it_is(run, train_with):
    train_with(RunMismatch("expected cell=lstm, found gru"))
    assert in_sweep(run) is None
    assert StopFile(run.folder.parent).refusal() == "expected cell=lstm, found gru"


@pytest.mark.parametrize(
    ("swept", "stops"),
    [
        ("cell=lstm,gru", True),
        ("data=ptb,python_docs", False),
        ("data.level=word,char", False),
        ("experiment=a,b", False),
    ],
)
def test_a_failed_download_stops_the_sweep_if_all_runs_read_the_same_corpus(run, train_with, swept, stops):
    config = {"hydra": {"overrides": {"task": [swept]}, "sweeper": {"params": None}}}
    OmegaConf.save(OmegaConf.create(config), run.folder.parent / "multirun.yaml")
    train_with(DownloadFailed("expected to download ptb.train.txt"))
    assert (in_sweep(run) is None) == stops
    assert StopFile(run.folder.parent).refusal() == ("expected to download ptb.train.txt" if stops else None)


def test_a_run_that_another_process_trains_gets_its_outcome_from_there(run, train_with):
    train_with(FolderInUse("expected a folder that no other process writes to"))
    assert in_sweep(run) is None


def single(run):
    """Train a single run and return its exit status or message."""
    with pytest.raises(SystemExit) as end:
        train_single(OmegaConf.create({"resume": None}), run.folder, [])
    return end.value.code


def test_an_interrupted_run_with_a_checkpoint_says_how_to_resume(run, train_with, capsys):
    run.last.touch()
    train_with(Interrupted("SIGINT"))
    assert single(run) == 128 + signal.SIGINT
    assert RunDir(run.folder).results == {"status": "interrupted", "error": "stopped by SIGINT"}
    assert "stopped by SIGINT; to resume, type: python -m lm.train " in capsys.readouterr().err


def test_an_interrupted_run_without_a_checkpoint_has_no_outcome(run, train_with, capsys):
    train_with(Interrupted("trainer.max_time"))
    assert single(run) == 1
    assert not run.results_path.exists()
    assert "stopped by trainer.max_time before the first checkpoint" in capsys.readouterr().err


def test_a_run_that_diverged_ends_with_its_sentence(run, train_with):
    train_with(Diverged("expected a finite loss, found nan"))
    assert single(run) == "error: expected a finite loss, found nan"
    assert RunDir(run.folder).status == "diverged"


@pytest.mark.parametrize(("started", "before", "status"), [(0, 0, "none"), (1, 0, "failed"), (1, 1, "interrupted")])
def test_the_error_of_a_run_is_recorded_if_it_had_started_and_has_no_outcome(run, train_with, started, before, status):
    if started:
        (run.folder / "train.log").write_text("training starts\n")
    if before:
        run.write_outcome("interrupted", "")
    train_with(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        train_single(OmegaConf.create({"resume": None}), run.folder, [])
    assert RunDir(run.folder).results.get("status", "none") == status


def test_a_signal_after_the_announcement_waits_for_a_checkpoint(tmp_path, corpus_folder, monkeypatch, caplog):
    """So that a run that is announced is never recorded as not started."""
    caplog.set_level("INFO")
    waited = []

    def fit(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        waited.append(arguments[-1].signal)
        raise Interrupted("SIGTERM")

    monkeypatch.setattr(training_job, "fit", fit)
    config = save_config(tmp_path / "run", "data=text", f"data.dir={corpus_folder}")
    with pytest.raises(Interrupted):
        train_run(*train_arguments(config, RunDir(tmp_path / "run")), announcement="run 1 of 2: seed=1")
    assert waited == [signal.SIGTERM]
    assert "run 1 of 2: seed=1\ncorpus: text" in caplog.text


def test_the_corpus_of_a_run_is_described_by_its_counts(tmp_path):
    for split, text in {"train": "a b\nb\n", "valid": "a c\n", "test": "b b b\n"}.items():
        (tmp_path / f"{split}.txt").write_text(text)
    source = TextSource(tmp_path)
    assert describe_corpus(load_corpus(source, tmp_path / "cache")) == {
        "name": "text",
        "sha256": source.fingerprint(),
        "vocabulary": 4,
        "tokens": {"train": 5, "valid": 3, "test": 4},
        "unk": {
            "train": {"count": 0, "fraction": 0.0},
            "valid": {"count": 1, "fraction": 0.333333},
            "test": {"count": 0, "fraction": 0.0},
        },
        "floor_ppl": None,
    }


def test_the_summary_has_the_perplexities_of_the_best_weights(run):
    best = {"train_ppl": None, "valid_ppl": 96.591, "test_ppl": 1.5e200}
    assert result_text({"best": best, "best_epoch": 7}, run).splitlines() == [
        "best weights, of epoch 7: perplexity train not scored, valid 96.59, test 1.5e+200",
        f"run folder: {run.folder}",
    ]


@pytest.mark.parametrize("in_a_sweep", [True, False])
def test_a_run_of_a_sweep_that_is_trained_by_itself_says_how_to_update_the_report(run, monkeypatch, capsys, in_a_sweep):
    monkeypatch.setattr(training_job, "train_arguments", lambda *_: ())
    monkeypatch.setattr(training_job, "train_run", lambda *_: {"best": {"valid_ppl": 90}})
    if in_a_sweep:
        (run.folder.parent / "multirun.yaml").touch()

    assert train_single(OmegaConf.create({"resume": None}), run.folder, []) == 90
    command = f"type: python -m lm.report sweep={run.folder.parent}"
    assert (command in capsys.readouterr().err) == in_a_sweep
