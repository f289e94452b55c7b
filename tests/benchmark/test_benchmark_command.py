"""`python -m lm.benchmark`, as a user runs it."""

import json

import pytest

import lm.benchmark.__main__
from lm.benchmark.__main__ import startup_seconds
from lm.benchmark.loops import BASELINE, LIGHTNING, LOOPS
from lm.benchmark.timing import Part
from tests.benchmark.jobs import measured, small_job
from tests.processes import FORK_SERVER


def test_it_prints_and_saves_what_a_step_takes(run_command, small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lm.benchmark.__main__, "seconds_to_first_step", lambda overrides: 4.0)
    monkeypatch.setattr("multiprocessing.Process", FORK_SERVER.Process)  # to start Python anew would take seconds
    options = (*small, "dropout=0", "steps=3", "rounds=2", "startup_repeats=2", "hydra.run.dir=measured")
    assert run_command("lm.benchmark.__main__", *options) == 0
    printed = capsys.readouterr().out
    assert printed.startswith((tmp_path / "measured" / "benchmark.md").read_text())
    assert "times as many steps per second as the baseline" in printed
    results = json.loads((tmp_path / "measured" / "benchmark.json").read_text())
    assert set(results["variants"]) == set(LOOPS)
    for found in results["variants"].values():
        assert set(found["parts_ms"]) == set(Part)
        assert min(found["step_ms"], found["mfu"], *found["parts_ms"].values()) > 0
        assert found["peak_memory"] > 2**20
    nats = [results["variants"][name]["nats"] for name in (BASELINE, LIGHTNING)]
    assert nats[0] == pytest.approx(nats[1], abs=1e-5)
    assert min(*results["evaluation"].values(), *results["peak_flops"].values()) > 0
    assert results["startup_seconds"] == [4.0, 4.0]


@pytest.fixture
def jobs(monkeypatch):
    """The jobs that were to be measured, with known results."""
    found = []
    monkeypatch.setattr(lm.benchmark.__main__, "run_variants", lambda job: found.append(job) or measured())
    return found


def test_it_takes_the_options_of_training(run_command, small, jobs):
    options = ("experiment=zaremba_medium", "cell=gru", *small, "dropout=0.3", "num_threads=1", "seed=7")
    assert run_command("lm.benchmark.__main__", *options, "startup_repeats=0", "steps=4", "rounds=2") == 0
    (job,) = jobs
    assert (job.config.cell, job.config.dropout, job.config.seed) == ("gru", 0.3, 7)
    assert (job.config.lr, job.config.init_range, job.machine.num_threads) == (1.0, 0.05, 1)
    assert job.config.source["name"] == "text"


def test_a_sweep_ends_with_a_table_of_scaling(run_command, jobs, tmp_path, capsys):
    options = ("vocabulary_size=40,30", "hidden_size=8", "batch_size=4", "steps=4", "rounds=2")
    assert run_command("lm.benchmark.__main__", "-m", *options, "hydra.sweep.dir=scaling") == 0
    text = (tmp_path / "scaling" / "scaling.md").read_text()
    assert capsys.readouterr().out.rstrip().endswith(text.rstrip())
    assert [line.split(",")[2].strip() for line in text.splitlines() if "lstm" in line] == ["30 words", "40 words"]
    assert [job.vocabulary_size for job in jobs] == [40, 30]
    assert {path.parent.name for path in tmp_path.rglob("benchmark.json")} == {
        "vocabulary_size=30", "vocabulary_size=40"
    }  # fmt: skip


def test_it_writes_to_benchmarks_unless_another_folder_is_named(run_command, jobs, tmp_path):
    assert run_command("lm.benchmark.__main__", "vocabulary_size=30", "hidden_size=8", "steps=4", "rounds=2") == 0
    assert len(list(tmp_path.glob("benchmarks/*/benchmark.json"))) == 1


def test_the_first_step_is_measured_with_the_options_of_training(monkeypatch):
    calls = []
    monkeypatch.setattr(lm.benchmark.__main__, "seconds_to_first_step", lambda words: calls.append(list(words)) or 4.0)
    overrides = ["cell=gru", "steps=4", "rounds=2", "data.dir='a,b'", "++startup_repeats=2"]
    assert startup_seconds(small_job(startup_repeats=2, vocabulary_size=None), overrides) == [4.0, 4.0]
    assert calls == [["cell=gru", "data.dir='a,b'"]] * 2
    assert startup_seconds(small_job(startup_repeats=2), overrides) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["steps=nan"], "expected steps to be a whole number of at least 10, found nan: type steps=200"),
        (["rounds="], "expected rounds to be a whole number of at least 1, found '': type rounds=10"),
        (["startup_repeats=[1,2]"], "expected startup_repeats to be a whole number of at least 0, found [1, 2]"),
        (["steps=100000"], "expected a text of at least"),
        (["resume=here"], "expected a new model to measure, found resume=here: leave it out"),
        (["hidden_size=0"], "expected hidden_size to be"),
        (["data.batching=sentences"], "expected data.batching to be one of streams, found 'sentences'"),
        (["precision=64-true"], "expected precision to be one of auto, 32-true, found '64-true'"),
        (["batch_size=2147483647", "vocabulary_size=30"], "expected memory for the model and its batches"),
        (["-m", "steps=0,5"], "expected steps to be a whole number of at least 10, found 0"),
        (["stesp=3"], "found stesp=: type steps="),
    ],
)
def test_bad_input_is_refused_in_one_sentence_and_leaves_nothing(
    run_command, small, jobs, tmp_path, capsys, words, sentence
):
    assert run_command("lm.benchmark.__main__", *small, *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error
    assert not jobs
    assert not list(tmp_path.iterdir())
