import logging
from dataclasses import replace

import pytest
import torch
from hydra import compose, initialize_config_dir

from lm.cli import CONFIGS
from lm.machine_config import MachineConfig
from lm.models.language_model import LanguageModel
from lm.training.trainer import NoOpProfiler, describe_parameters, trainer_arguments

SHORT = ("epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "hydra.run.dir=run")


@pytest.fixture(scope="module")
def machine():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return MachineConfig.from_hydra(compose("train", ["trainer.accelerator=cpu"]))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"accelerator": "gpu"}, "expected trainer.accelerator to be what Lightning accepts here"),
        ({"devices": [0]}, "expected trainer.devices to be what Lightning accepts here"),
        ({"strategy": "foo"}, "expected trainer.strategy to be what Lightning accepts here"),
        ({"strategy": None}, "expected trainer.strategy to be what Lightning accepts here"),
        ({"strategy": "deepspeed"}, "expected trainer.strategy to be what Lightning accepts here"),
        ({"profiler": "foo"}, "expected trainer.profiler to be what Lightning accepts here"),
    ],
    ids=str,
)
@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="all need a machine without")
def test_what_lightning_refuses_is_said_with_the_name_of_the_option(machine, changes, sentence):
    with pytest.raises(ValueError, match=f"{sentence} .*: type trainer.{next(iter(changes))}="):
        trainer_arguments(replace(machine, trainer=replace(machine.trainer, **changes)), "32-true")


@pytest.mark.parametrize("precision", ["transformer-engine", "foo"])
def test_a_precision_that_lightning_refuses_is_named(machine, precision):
    with pytest.raises(ValueError, match=f"expected precision to be .*, found '{precision}': type precision=auto"):
        trainer_arguments(machine, precision)


def test_a_bug_in_lightning_keeps_its_traceback(machine, monkeypatch):
    def broken(**arguments):
        raise KeyError("a bug")

    monkeypatch.setattr("pytorch_lightning.Trainer", broken)
    with pytest.raises(KeyError, match="a bug"):
        trainer_arguments(machine, "32-true")


def test_the_time_limit_is_not_left_to_lightning(machine):
    limited = replace(machine, trainer=replace(machine.trainer, max_time="00:00:00:05"))
    assert "max_time" not in trainer_arguments(limited, "32-true")


def test_the_parameters_are_shown_by_part_with_pytorchs_two_biases_per_gate_and_with_one():
    table = describe_parameters(LanguageModel(10_000, "lstm", 200, 200, num_layers=1))
    rows = {part: numbers for part, *numbers in (line.split() for line in table.splitlines()[2:])}
    assert rows == {
        "embedding": ["2,000,000", "2,000,000"],
        "recurrent": ["321,600", "320,800"],
        "decoder": ["2,010,000", "2,010,000"],
        "total": ["4,331,600", "4,330,800"],
    }


def test_a_table_of_parameters_counts_tied_weights_once_and_the_lengths():
    table = describe_parameters(
        LanguageModel(30, "gru", 8, 8, num_layers=2, tie_weights=True, length_conditioning=True)
    )
    rows = {part: numbers for part, *numbers in (line.split() for line in table.splitlines()[2:])}
    assert rows["decoder"] == ["30", "30"]
    assert rows["recurrent"] == ["864", "816"]
    assert rows["lengths"][0] == rows["lengths"][1]


def test_contexts_of_the_no_op_profiler_nest_and_raise_errors():
    profiler = NoOpProfiler()
    with pytest.raises(KeyError), profiler.profile("outer"), profiler.profile("inner"):
        raise KeyError
    assert profiler.summary() == ""


def test_a_profile_is_logged(run_command, small, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("pytorch_lightning.profilers"), "handlers", [caplog.handler])
    assert run_command("lm.train", *small, *SHORT, "+trainer.profiler=simple") == 0
    assert "Profiler Report" in caplog.text
    assert "[LightningModule]LanguageModelModule.optimizer_step" in caplog.text


def test_without_a_profiler_nothing_is_recorded(run_command, small, monkeypatch):
    asked = []

    class Recording(NoOpProfiler):
        def profile(self, action_name):
            asked.append(action_name)
            return super().profile(action_name)

    monkeypatch.setattr("lm.training.trainer.NoOpProfiler", Recording)
    assert run_command("lm.train", *small, *SHORT) == 0
    assert "run_training_batch" in asked
