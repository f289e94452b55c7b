"""`python -m lm.benchmark`, as a user runs it."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import lm.benchmark.__main__
from lm.benchmark.__main__ import startup_repeats
from lm.benchmark.comparison import CONTENDERS, PLAIN, TRAIN
from lm.benchmark.no_trainer import EVALUATIONS
from lm.benchmark.timing import PARTS
from tests.benchmark.measured import a_contest

SHORT = ("steps=4", "rounds=2", "startup_repeats=1")


def test_it_prints_and_saves_what_a_step_takes(run_command, small, tmp_path, capsys):
    words = (*small, "hidden_size=64", "dropout=0", *SHORT, "hydra.run.dir=measured")
    assert run_command("lm.benchmark.__main__", *words) == 0
    shown = capsys.readouterr().out
    assert shown.startswith((tmp_path / "measured" / "benchmark.md").read_text())
    assert "times as many steps a second as the plain loop" in shown
    results = json.loads((tmp_path / "measured" / "benchmark.json").read_text())
    assert set(results["contenders"]) == set(CONTENDERS)
    for name in (PLAIN, TRAIN):
        found = results["contenders"][name]
        assert set(found["parts_ms"]) == set(PARTS)
        assert all(milliseconds > 0 for milliseconds in found["parts_ms"].values())
        assert found["step_ms"] > 0
        assert found["peak_memory"] > 2**20
        assert found["share_of_ceiling"] > 0
    assert results["contenders"][PLAIN]["nats"] == pytest.approx(results["contenders"][TRAIN]["nats"], abs=1e-5)
    assert set(results["evaluation"]) == set(EVALUATIONS)
    assert len(results["first_step_seconds"]) == 1
    assert 0 < results["first_step_seconds"][0] < 600


@pytest.fixture
def measured(monkeypatch):
    """Contests whose outcome is known, and the jobs they were asked for."""
    jobs = []
    monkeypatch.setattr(lm.benchmark.__main__, "contest", lambda job: jobs.append(job) or a_contest())
    return jobs


def test_it_takes_the_words_of_training(run_command, small, measured):
    words = (
        "experiment=zaremba_medium",
        "cell=gru",
        *small,
        "dropout=0.3",
        "num_threads=1",
        "seed=7",
        "startup_repeats=0",
    )
    assert run_command("lm.benchmark.__main__", *words, "steps=4", "rounds=2") == 0
    (job,) = measured
    assert (job.settings.cell, job.settings.dropout, job.settings.seed) == ("gru", 0.3, 7)
    assert (job.settings.lr, job.settings.init_range, job.threads) == (1.0, 0.05, 1)
    assert job.source["name"] == "text"


def test_a_sweep_ends_with_a_table_of_growth(run_command, measured, tmp_path, capsys):
    words = ("vocabulary_size=40,30", "hidden_size=8", "batch_size=4", "steps=4", "rounds=2", "trainer.accelerator=cpu")
    assert run_command("lm.benchmark.__main__", "-m", *words, "hydra.sweep.dir=growth") == 0
    text = (tmp_path / "growth" / "growth.md").read_text()
    assert capsys.readouterr().out.rstrip().endswith(text.rstrip())
    assert [line.split("|")[1].split(",")[2].strip() for line in text.splitlines() if "lstm" in line] == ["30", "40"]
    assert [job.vocabulary_size for job in measured] == [40, 30]
    assert {path.name for path in (tmp_path / "growth").iterdir() if path.is_dir()} >= {
        f"vocabulary_size={size},{','.join(words[1:])}" for size in (30, 40)
    }


def test_without_a_place_named_it_goes_to_benchmarks(run_command, measured, tmp_path):
    assert run_command("lm.benchmark.__main__", "vocabulary_size=30", "hidden_size=8", "steps=4", "rounds=2") == 0
    assert len(list(tmp_path.glob("benchmarks/*/benchmark.json"))) == 1


def test_the_first_step_is_awaited_with_the_words_that_training_knows(monkeypatch):
    calls = []
    monkeypatch.setattr(lm.benchmark.__main__, "seconds_to_first_step", lambda words: calls.append(list(words)) or 4.0)
    config = OmegaConf.create({"startup_repeats": 2, "vocabulary_size": None})
    typed = ["cell=gru", "steps=4", "rounds=2", "data.dir='a,b'", "++startup_repeats=2"]
    assert startup_repeats(config, typed) == [4.0, 4.0]
    assert calls == [["cell=gru", "data.dir='a,b'"]] * 2
    assert startup_repeats(OmegaConf.merge(config, {"vocabulary_size": 30}), typed) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["steps=0"], "expected steps to be a whole number of at least"),
        (["steps=many"], "expected steps to be a whole number of at least 10, found 'many': type steps=200"),
        (["rounds=0"], "expected rounds to be a whole number of at least 1"),
        (["steps=100000"], "expected a text of at least"),
        (
            ["startup_repeats=-1"],
            "expected startup_repeats to be a whole number of at least 0, found -1: type startup_repeats=3",
        ),
        (["vocabulary_size=1"], "expected vocabulary_size to be a whole number of at least 3, found 1"),
        (["resume=here"], "expected a new model to measure, found resume=here: leave it out"),
        (["hidden_size=0"], "expected hidden_size to be positive, found 0"),
        (["data.batching=sentences"], "expected data.batching=streams, found sentences"),
        (["precision=64-true"], "expected precision=auto or 32-true, found 64-true"),
        (["stesp=3"], "found stesp=: type steps="),
    ],
)
def test_bad_input_is_told_in_one_sentence(run_command, small, measured, tmp_path, capsys, words, sentence):
    assert run_command("lm.benchmark.__main__", *small, *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error.replace("Error executing job", "")
    assert not list(Path(tmp_path).rglob("benchmark.json"))
