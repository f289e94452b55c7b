"""What all commands have in common: how their options are read, and how errors are printed."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lm.cli import one_line
from lm.output import ConsoleHandler

ROOT = Path(__file__).parents[1]
COMMANDS = (
    "lm.train",
    "lm.evaluate",
    "lm.generate",
    "lm.export",
    "lm.report",
    "lm.compare.__main__",
    "lm.benchmark.__main__",
)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["seed=-1"], "expected seed to be a whole number of at least 0, found -1: type seed=1"),
        (["hidden_size=abc"], "expected hidden_size to be a whole number of at least 1, found 'abc'"),
        (["cell=lsmt"], "rnn_relu, rnn_tanh, found lsmt: type cell=lstm"),
        (["cell=null"], "rnn_relu, rnn_tanh, found null: type cell="),
        (["hiden_size=3"], "expected an option of lm.train, found hiden_size=: type hidden_size="),
        (["data=text"], "data.dir"),
        (["data.max_length=5"], "found data.max_length= with data.batching=streams: add data.batching=sentences"),
        (["hydra/launcher=basic"], "expected an option that is used, found hydra/launcher=: add -m"),
        (["-m", "hydra.run.dir=x"], "found hydra.run.dir=: type hydra.sweep.dir= instead"),
        (["cutoffs=[9]"], "found cutoffs= with softmax=full: add softmax=adaptive"),
        (
            ["softmax=adaptive", "cutoffs=[9,2000]"],
            "expected cutoffs below 1595, the number of words of the vocabulary",
        ),
        (["-m", "experiment=equal_parameters", "softmax=adaptive"], "found adaptive: type softmax=full"),
        (["gpus_per_run=2"], "found gpus_per_run= with hydra/launcher=basic: add -m hydra/launcher=gpus"),
        (["schedule=cosine", "lr_decay_factor=2"], "with schedule.name=cosine: add schedule=table1"),
        (["+optimizer.betas=[0.9,0.99]"], "expected an option of optimizer=sgd, found optimizer.betas=: leave it out"),
        (["resume=nowhere"], "expected a run folder with checkpoints/last.ckpt, found none in 'nowhere'"),
        (["-m", "seed=1,2", "lr=abc"], "expected lr to be a number above 0 and below 1e+06, found 'abc'"),
        (["-m", "dropout=1.5,2"], "expected dropout to be a number of at least 0 and below 1, found 1.5"),
        (["-m", "experiment=equal_parameters", "data=python_docs"], "type equal_parameters.vocabulary_size="),
        (["data.batching=sentences", "seq_len=5"], "found seq_len= with data.batching=sentences: add data.batching="),
        (["optimizer.name=foo"], "found optimizer.name=foo: type optimizer="),
        (["cell.name=gru"], "found cell.name=gru: type cell="),
        (["-m", "seed=1,2", "hydra.sweeper._target_=foo.Bar"], "found foo.Bar: leave _target_ out"),
        (["-m", "seed=1,2", "hydra.launcher._target_=hydra_plugins.foo.Bar"], "found hydra_plugins.foo.Bar: leave"),
        (["-m", "seed=1,2", "hydra.sweeper.max_batch_size=abc"], "expected a value of hydra.sweeper.max_batch_size"),
        (["-m", "data.batching=streams", "data.max_length=4,5"], "add data.batching=sentences"),
    ],
)
def test_a_refused_command_leaves_nothing(run_command, tmp_path, capsys, arguments, sentence):
    assert run_command("lm.train", "data=python_docs", *arguments) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_option_of_a_config_of_ones_own_is_refused_with_the_one_that_may_be_meant(run_command, tmp_path, capsys):
    (tmp_path / "mine" / "paper").mkdir(parents=True)
    config = tmp_path / "mine" / "paper" / "graves.yaml"
    config.write_text("# @package _global_\nhiden_size: 3\n")
    arguments = ("--config-dir=mine", "+paper=graves", "data=python_docs")
    assert run_command("lm.train", *arguments) == 1
    assert "found hiden_size=: type hidden_size=" in capsys.readouterr().err
    config.write_text("# @package _global_\nsizes:\n  small: -3\nhidden_size: ${sizes.small}\n")
    assert run_command("lm.train", *arguments) == 1
    assert "expected hidden_size to be a whole number of at least 1, found -3" in capsys.readouterr().err


@pytest.fixture
def trained(run_command, small, tmp_path):
    assert run_command("lm.train", *small, "epochs=1", "hydra.run.dir=a=b, {c}'s $d") == 0
    return tmp_path / "a=b, {c}'s $d"


def test_a_folder_is_read_as_typed_and_a_run_resumes_with_its_own_options(run_command, small, trained, capsys):
    same = (*small, "cell=lstm", "schedule=table1", "trainer.accelerator=cpu", "epochs=2")
    assert run_command("lm.train", f"resume={trained.name}", *same) == 0
    assert len((trained / "epochs.csv").read_text().splitlines()) == 3
    capsys.readouterr()
    for option, advice in {"cell=gru": "cell=lstm", "hidden_size=8": "hidden_size=16", "data=ptb": "data=text"}.items():
        assert run_command("lm.train", f"resume={trained.name}", option) == 1
        name = option.partition("=")[0]
        error = capsys.readouterr().err
        assert f"expected {advice}, with which '{trained.name}' was trained, found {option.partition('=')[2]}" in error
        assert f"type {name}={advice.partition('=')[2]}, or start a new run" in error
    assert (trained / "results.json").is_file()


def test_null_means_no_folder_and_relative_folders_start_where_the_command_was_typed(
    run_command, small, tmp_path, corpus_folder
):
    (tmp_path / "corpus").symlink_to(corpus_folder)
    arguments = (*small, "data.dir=corpus", "resume=null", "epochs=1", "hydra.job.chdir=true", "hydra.run.dir=run")
    assert run_command("lm.train", *arguments) == 0
    assert (tmp_path / "run" / "results.json").is_file()


def test_what_hydra_itself_refuses_is_one_sentence(run_command, capsys):
    assert run_command("lm.train", "data=synthetic", "hydra.job_logging.version=9") == 1
    assert capsys.readouterr().err == "error: Unsupported version: 9\n"


@pytest.mark.parametrize("module", COMMANDS)
def test_help_shows_the_usage_and_the_options_that_the_command_takes(run_command, capsys, module):
    assert run_command(module, "--help") == 0
    shown = capsys.readouterr().out
    name = module.removesuffix(".__main__")
    assert f"python -m {name} " in shown
    assert ("cell: gru, lstm" in shown) == (name in ("lm.train", "lm.benchmark"))
    assert "Hydra" not in shown


def test_completion_of_the_console_script_names_options(run_command, capsys, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "lm-train hidden")
    assert run_command("lm.train", "-sc", "query=bash") == 0
    assert "hidden_size=" in capsys.readouterr().out
    monkeypatch.setenv("COMP_LINE", "lm-train cell=")
    assert run_command("lm.train", "-sc", "query=bash") == 0
    assert "cell=lstm" in capsys.readouterr().out


@pytest.mark.parametrize("redirection", [">/dev/full 2>&-", ">&- 2>&-"])
def test_a_run_finishes_without_a_place_to_print(small, tmp_path, redirection):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = str(ROOT)
    words = " ".join(f"'{word}'" for word in (*small, "epochs=1", f"hydra.run.dir={tmp_path / 'run'}"))
    command = f"'{sys.executable}' -m lm.train {words} {redirection}"
    done = subprocess.run(["sh", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "run" / "results.json").is_file()


def test_a_handler_ignores_a_full_disk(capsys):
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    ConsoleHandler(Full()).handle(logging.makeLogRecord({"msg": "a line"}))
    assert capsys.readouterr().err == ""


def test_ctrl_c_in_a_command_is_said_to_have_stopped_it(run_command, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lm.evaluate.evaluation_report", interrupted)
    assert run_command("lm.evaluate", "run=anything") == 130
    assert capsys.readouterr().err == "stopped by SIGINT\n"


def test_an_error_of_several_lines_is_printed_in_one():
    assert one_line(ValueError("expected a,\n  found b")) == "expected a, found b"
    assert one_line(OSError(28, "No space left", "f")) == (
        "expected to use the file or folder 'f', found: No space left; free some space"
    )
