"""Sweeps on machines that fail: a full disk, no memory, a damaged file, killed processes, another sweep."""

import errno
import os
import signal
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import pytest
import torch

from lm.run_dir import RunDir
from tests.conftest import no_file_larger_than
from tests.processes import children_of, limit_files, process_of, run_of, start, statuses, wait_for_file, wait_until


def hidden_files(folder):
    return [path for path in folder.rglob(".*") if path.is_file()]


def test_a_disk_that_is_full_for_one_run_stops_no_other_and_is_named(run_command, small, tmp_path):
    sweep, others = tmp_path / "sweep", (word for word in small if "hidden" not in word)
    words = ("-m", "hidden_size=64,16", *others, f"hydra.sweep.dir={sweep}")
    process = start(*words, prepare=limit_files(150_000))
    output = process.communicate()
    assert process.returncode == 1
    assert statuses(sweep) == {"hidden_size=64": "failed", "hidden_size=16": "finished"}
    failed = run_of(sweep, "hidden_size=64")
    best = failed.checkpoints / "best.ckpt"
    sentence = f"expected to use the file or folder '{best}', found: File too large"
    assert sentence in failed.results["error"]
    assert sentence in (sweep / "report.md").read_text()
    assert "Traceback" not in output
    assert not list(failed.checkpoints.iterdir())
    assert not hidden_files(sweep)
    assert run_command("lm.train", *words) == 0
    assert set(statuses(sweep).values()) == {"finished"}


def test_a_run_resumes_from_the_checkpoint_before_the_one_that_could_not_be_written(
    run_command, small, tmp_path, capsys
):
    words = (*small, "cell=gru", "dropout=0.25", "seed=5")  # whose third epoch is far better than the two before
    run, whole = RunDir(tmp_path / "run"), RunDir(tmp_path / "whole")
    run_command("lm.train", *words, "hydra.run.dir=run")
    before = run.last.read_bytes()
    with no_file_larger_than(20_000):
        assert run_command("lm.train", "resume=run", "epochs=4") == 1
    assert f"'{run.checkpoints / 'best.ckpt'}', found: File too large" in capsys.readouterr().err
    assert run.last.read_bytes() == before
    assert not hidden_files(run.checkpoints)
    assert run_command("lm.train", "resume=run", "epochs=4") == 0
    run_command("lm.train", *words, "epochs=4", "hydra.run.dir=whole")
    found, expected = (each.checkpoint("last")["state_dict"] for each in (run, whole))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_failure_that_cannot_be_written_is_printed_and_the_sweep_continues(
    run_command, tiny, tmp_path, monkeypatch, capsys
):
    def full(run, results):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(run.results_path))

    def here(function, *arguments):
        resolve_name(function)(*arguments)
        return SimpleNamespace(exitcode=0)

    with monkeypatch.context() as patch:
        patch.setattr("lm.sweeps.sweep_job.start_process", here)
        patch.setattr(RunDir, "write_results", full)
        assert run_command("lm.train", "-m", "seed=1,2", *tiny, "hydra.sweep.dir=sweep") == 1
    output = capsys.readouterr().out
    for seed in (1, 2):
        run = run_of(tmp_path / "sweep", f"seed={seed}")
        assert f"'{run.results_path}', found: No space left on device; free some space" in output
        assert f"- `{run.name}`: running or interrupted" in output


def test_a_sweep_without_its_report_exits_with_status_1(run_command, tiny, tmp_path, capsys):
    (tmp_path / "sweep" / "report.md").mkdir(parents=True)
    assert run_command("lm.train", "-m", *tiny, "hydra.sweep.dir=sweep") == 1
    assert "the sweep's report could not be written: IsADirectoryError" in capsys.readouterr().out


def test_a_damaged_checkpoint_fails_its_run_and_no_other(run_command, tiny, tmp_path):
    sweep, words = tmp_path / "sweep", ("-m", "seed=1,2,3", *tiny, "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *words) == 0
    first, second, third = (run_of(sweep, f"seed={seed}") for seed in (1, 2, 3))
    for interrupted in (second, third):
        interrupted.results_path.unlink()
    second.last.write_bytes(second.last.read_bytes()[:1000])
    before = first.results_path.stat().st_mtime_ns
    assert run_command("lm.train", *words) == 1
    assert statuses(sweep) == {"seed=1": "finished", "seed=2": "failed", "seed=3": "finished"}
    assert f"found '{second.last}' damaged" in run_of(sweep, "seed=2").results["error"]
    assert "damaged" in (sweep / "report.md").read_text()
    assert first.results_path.stat().st_mtime_ns == before
    second.last.unlink()
    assert run_command("lm.train", *words) == 0
    assert statuses(sweep)["seed=2"] == "finished"


def test_results_outlive_a_checkpoint_that_is_damaged_later(run_command, tiny, tmp_path):
    words = ("-m", "seed=1,2", *tiny, "hydra.sweep.dir=sweep")
    run_command("lm.train", *words)
    run = run_of(tmp_path / "sweep", "seed=1")
    run.last.write_bytes(b"")
    assert run_command("lm.train", *words) == 0
    assert run.finished
    assert f"found '{run.last}' damaged" in (run.folder / "train.log").read_text()


def test_results_outlive_a_corpus_that_has_gone(run_command, tiny, tmp_path):
    words = ("-m", "seed=1,2", *tiny, "hydra.sweep.dir=sweep")
    run_command("lm.train", *words)
    run_command("lm.train", *words, "data.dir=nowhere")
    assert set(statuses(tmp_path / "sweep").values()) == {"finished"}


def test_a_model_too_large_for_the_memory_fails_its_run_and_no_other(run_command, tiny, tmp_path):
    """Its second matrix would be larger than the address space of a process."""
    words = ("hidden_size=4000000,16", "embedding_size=16", *(word for word in tiny if "hidden" not in word))
    assert run_command("lm.train", "-m", *words, "hydra.sweep.dir=sweep") == 1
    assert statuses(tmp_path / "sweep") == {"hidden_size=4000000": "failed", "hidden_size=16": "finished"}
    run = run_of(tmp_path / "sweep", "hidden_size=4000000")
    assert "found too little for 256000000000000 bytes more: type a smaller" in run.results["error"]
    assert "Traceback" not in (run.folder / "train.log").read_text()


def test_a_single_run_too_large_for_the_memory_ends_in_one_sentence(run_command, small, capsys):
    assert run_command("lm.train", *small, "hidden_size=4000000", "embedding_size=16") == 1
    assert capsys.readouterr().err.startswith("error: expected memory for the model and its batches")


@pytest.mark.parametrize("launcher", ["basic", "local", "gpus"])
def test_a_run_that_is_killed_stops_no_other_and_is_named(run_command, small, tmp_path, launcher):
    """The kernel sends SIGKILL to the process that holds most memory when it runs out."""
    sweep, others = tmp_path / "sweep", (word for word in small if "epochs" not in word)
    words = ("-m", "epochs=15,1,2", *others, "trainer.limit_train_batches=0.2", f"hydra.sweep.dir={sweep}")
    process = start(*words, f"hydra/launcher={launcher}")
    wait_for_file(process, sweep, "epochs=15/checkpoints/last.ckpt")
    os.kill(process_of(run_of(sweep, "epochs=15")), signal.SIGKILL)
    output = process.communicate()
    assert process.returncode == 1, output
    assert statuses(sweep) == {"epochs=15": "failed", "epochs=1": "finished", "epochs=2": "finished"}
    assert run_of(sweep, "epochs=15").results["error"].startswith("killed by SIGKILL, probably out of memory")
    assert "killed by SIGKILL" in (sweep / "report.md").read_text()
    assert "Traceback" not in output
    assert run_command("lm.train", *words) == 0  # with any launcher
    assert set(statuses(sweep).values()) == {"finished"}


@pytest.mark.parametrize("launcher", ["basic", "local"])
def test_the_runs_of_a_sweep_that_is_killed_write_a_checkpoint_and_nothing_is_left(
    run_command, small, tmp_path, launcher
):
    sweep, others = tmp_path / "sweep", (word for word in small if "epochs" not in word)
    words = ("-m", "epochs=10,1", *others, f"hydra.sweep.dir={sweep}")
    process = start(*words, f"hydra/launcher={launcher}")
    wait_for_file(process, sweep, "epochs=10/checkpoints/last.ckpt")
    descendants = children_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()  # until no process can write to it
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in descendants))
    assert statuses(sweep)["epochs=10"] == "interrupted"
    assert 0 < run_of(sweep, "epochs=10").checkpoint("last")["epoch"] < 10
    assert run_command("lm.train", *words) == 0
    assert statuses(sweep) == {"epochs=10": "finished", "epochs=1": "finished"}


def test_a_folder_in_which_a_sweep_trains_is_refused_to_others(small, tmp_path):
    words = ("-m", "seed=1,2", *small, "epochs=20", f"hydra.sweep.dir={tmp_path}/sweep")
    first = start(*words)
    wait_for_file(first, tmp_path, "sweep/seed=1/epochs.csv")
    second = start(*words, "hydra/launcher=local")
    output = second.communicate()
    assert second.returncode == 1
    assert output.startswith("error: expected a folder that no other process writes to, found ")
    first.send_signal(signal.SIGTERM)
    first.communicate()
    assert first.returncode == 128 + signal.SIGTERM


def test_two_sweeps_at_once_on_one_new_cache_do_not_disturb_each_other(small, tmp_path):
    cache = {"LM_DATA": str(tmp_path / "cache")}
    sweeps = [tmp_path / name for name in ("one", "other")]
    started = [start("-m", "cell=lstm,gru", *small, f"hydra.sweep.dir={sweep}", **cache) for sweep in sweeps]
    for process in started:
        output = process.communicate()
        assert process.returncode == 0, output
    for cell in ("lstm", "gru"):
        one, other = (run_of(sweep, f"cell={cell}") for sweep in sweeps)
        assert one.results["best"] == other.results["best"]
        weights, same = (run.checkpoint("last")["state_dict"] for run in (one, other))
        assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert len([path for path in (tmp_path / "cache" / "corpora").iterdir() if path.is_dir()]) == 1
