"""Runs that are interrupted, in this process at a given step or as processes of their own, and how to compare them."""

import os
import time

import torch

from lm.generation.log_samples import LogSamples
from lm.run_dir import RunDir
from tests.processes import start

TIMES = ("seconds", "tokens_per_second")


def start_run(folder, words, checkpoint_every_minutes=1e-9, prepare=None):
    """Start a run in a process of its own that writes a checkpoint after every step, or so many minutes."""
    options = (f"hydra.run.dir={folder}", f"checkpoint_every_minutes={checkpoint_every_minutes}")
    return start(*words, *options, prepare=prepare)


def wait_for_epochs(process, run, epochs):
    """Wait until that many epochs are written, and a little longer: then the process is within the next one."""
    deadline = time.monotonic() + 300
    while not run.epochs_path.is_file() or len(run.epochs) < epochs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.05)


def untimed(rows):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def assert_same(run, reference):
    """Check that everything but the times is equal to the last bit."""
    run, reference = RunDir(run.folder), RunDir(reference.folder)  # they keep what they have read
    for name in ("best", "last"):
        found, expected = (each.checkpoint(name)["state_dict"] for each in (run, reference))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in found)
    assert untimed(run.epochs) == untimed(reference.epochs)
    found, expected = ({k: v for k, v in each.results.items() if k not in TIMES} for each in (run, reference))
    assert found == expected


def at_step(step, action):
    """Return a callback that calls `action` with the Trainer during a step, counted from 1."""

    class AtStep(LogSamples):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == step - 1:
                action(trainer)

    return AtStep


def send(number):
    return lambda trainer: os.kill(os.getpid(), number)
