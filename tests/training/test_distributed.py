"""One run on several devices, here processes on one machine that talk over the loopback address."""

import signal

import pytest
import torch

import lm.sweeps.training_job
from lm.data.shard import Shard
from lm.run_dir import RunDir
from lm.training.distributed import all_gather, all_reduce_max, all_reduce_sum, concat_states, shard_states
from lm.training.trainer import check_world_size
from tests.interruptions import assert_same, at_step, send, start_run, untimed, wait_for_epochs
from tests.processes import limit_files

EXACT = ("precision=64-true", "dropout=0", "batch_size=5", "lr=0.1")  # batch sizes of three and two
FILES = {".hydra", "checkpoints", "epochs.csv", "hparams.yaml", "nats.npz", "results.json", "train.log"}


def on_devices(number):
    return f"trainer.devices={number}", "trainer.strategy=ddp"


def finish(process):
    """Wait for a run and the processes of all its devices, which hold its output open, and return the output."""
    output = process.communicate()
    assert process.returncode == 0, output
    return output


def assert_equal_but_for_rounding(run, reference):
    """In float64 the order of the sums shows in the last digits alone."""
    found, expected = (each.checkpoint("last")["state_dict"] for each in (run, reference))
    for name in (name for name in expected if name.startswith("model.")):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-9)
    for row, same in zip(untimed(run.epochs), untimed(reference.epochs), strict=True):
        assert row == pytest.approx(same, rel=1e-9)
    assert run.results["best"] == pytest.approx(reference.results["best"], rel=1e-6)  # scored in float32
    assert run.results["best_epoch"] == reference.results["best_epoch"]


WINDOWS = ("random_seq_len=true", "partial_shuffle=true", "seq_len=12")
PENALISED = ("activation_penalty=2", "temporal_penalty=1", "tie_weights=true", "embedding_size=12")


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("small", (*PENALISED, *WINDOWS)),
        ("small", ("optimizer=adamw", "optimizer.eps=1e-3", "weight_decay=0.01", "schedule=cosine", "averaging=ema")),
        (
            "small",
            ("averaging=nt_asgd", "averaging.patience=1", "schedule=plateau", "patience=3", "lr=1", "epochs=5"),
        ),
        ("small_sentences", ("cell=gru", "length_conditioning=true", *PENALISED[:2])),
    ],
)
def test_two_devices_train_as_one_does_with_the_same_batch(run_command, request, tmp_path, base, words):
    run, reference = RunDir(tmp_path / "two"), RunDir(tmp_path / "one")
    words = (*request.getfixturevalue(base), *EXACT, *words)
    output = finish(start_run(run.folder, (*words, *on_devices(2)), checkpoint_every_minutes=10))
    assert run_command("lm.train", *words, f"hydra.run.dir={reference.folder}") == 0
    assert_equal_but_for_rounding(run, reference)
    assert run.results["device"].startswith("2 x cpu")
    assert output.count("epoch 1/") == output.count("best weights, of epoch") == 1
    assert {path.name for path in run.folder.iterdir() if "tfevents" not in path.name} == FILES


def test_a_run_on_two_devices_is_stopped_by_a_signal_to_one_and_goes_on_exactly(small, tmp_path):
    masks = ("dropout_type=locked", "embedding_dropout=0.1", "weight_dropout=0.5")
    words = (*small, "cell=gru", "dropout=0.25", *masks, "epochs=4", *on_devices(2))
    run, reference = RunDir(tmp_path / "stopped"), RunDir(tmp_path / "whole")
    process = start_run(run.folder, words)
    wait_for_epochs(process, run, 1)
    process.send_signal(signal.SIGTERM)
    output = process.communicate()
    assert output.count(f"python -m lm.train resume={run.folder}") == 1
    assert "Traceback" not in output
    assert run.results["status"] == "interrupted"
    assert 1 <= len(run.epochs) < 4
    finish(start_run(run.folder, (f"resume={run.folder}",), checkpoint_every_minutes=10))
    finish(start_run(reference.folder, words, checkpoint_every_minutes=10))
    assert_same(run, reference)


def test_a_run_begun_on_one_device_goes_on_on_three(run_command, small, tmp_path, monkeypatch):
    words = (*small, *EXACT)
    run, reference = RunDir(tmp_path / "moved"), RunDir(tmp_path / "one")
    with monkeypatch.context() as patch:
        patch.setattr(lm.sweeps.training_job, "LogSamples", at_step(20, send(signal.SIGTERM)))
        assert run_command("lm.train", *words, f"hydra.run.dir={run.folder}") == 143
    finish(start_run(run.folder, (f"resume={run.folder}", *on_devices(3)), checkpoint_every_minutes=10))
    assert run_command("lm.train", *words, f"hydra.run.dir={reference.folder}") == 0
    assert_equal_but_for_rounding(run, reference)


def test_a_failure_of_the_process_that_writes_ends_all(small, tmp_path):
    """A file too large is what a full disk is; the others neither wait for it nor tell of it."""
    folder = tmp_path / "run"
    process = start_run(folder, (*small, *on_devices(2)), prepare=limit_files(20_000))
    output = process.communicate()
    assert process.returncode != 0
    assert output.count(f"'{folder / 'checkpoints' / 'last.ckpt'}', found: File too large") == 1
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("trainer.devices=5",),
            "expected at most batch_size=4 devices, found 5: type trainer.devices=4",
        ),
        (("trainer.devices=2", "trainer.strategy=ddp_spawn"), "expected trainer.strategy=ddp for 2 devices"),
        (
            ("-m", "trainer.devices=2", "seed=1,2"),
            "expected one device for each run of a sweep, found trainer.devices=2",
        ),
    ],
)
def test_devices_that_cannot_be_used_are_told_in_one_sentence(run_command, small, tmp_path, capsys, words, sentence):
    assert run_command("lm.train", *words, *small) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error
    assert not list(tmp_path.rglob("*.ckpt"))


def test_one_device_needs_no_strategy():
    check_world_size(1, "auto", batch_size=1)
    check_world_size(2, "auto", batch_size=2)


def test_a_process_alone_is_told_what_it_says():
    value = torch.tensor([1, 2])
    assert all_reduce_sum(value) is value
    assert all_reduce_max(7, torch.device("cpu")) == 7
    assert all_gather("word") == ["word"]


def states_of(columns):
    """Return states of two streams, two layers and both kinds: h, and (h, c)."""
    hidden = torch.arange(columns * 3.0).view(1, columns, 3)
    return {"train": [(hidden, hidden + 100), hidden + 200], "valid": [hidden + 300]}


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 3), (2, 2)])
def test_hidden_states_are_split_again_across_another_number_of_devices(before, after):
    cpu, whole = torch.device("cpu"), states_of(7)
    parts = [shard_states(whole, Shard(rank, before), cpu) for rank in range(before)]
    again = [shard_states(concat_states(parts), Shard(rank, after), cpu) for rank in range(after)]
    torch.testing.assert_close(concat_states(again), whole)
    assert [len(part["valid"][0][0]) for part in again] == [len(part) for part in torch.arange(7).tensor_split(after)]
