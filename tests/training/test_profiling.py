import logging

import pytest

from lm.training.profiling import NoOpProfiler


def test_contexts_nest_and_let_errors_through():
    profiler = NoOpProfiler()
    with pytest.raises(KeyError), profiler.profile("outer"), profiler.profile("inner"):
        raise KeyError
    assert profiler.summary() == ""


def test_a_profile_that_is_asked_for_is_made_and_told(run_command, small, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("pytorch_lightning.profilers"), "handlers", [caplog.handler])
    words = ("epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "hydra.run.dir=run")
    assert run_command("lm.train", *small, *words, "+trainer.profiler=simple") == 0
    assert "Profiler Report" in caplog.text
    assert "[LightningModule]LanguageModelModule.optimizer_step" in caplog.text


def test_without_one_nothing_is_profiled(run_command, small, monkeypatch):
    asked = []

    class Noting(NoOpProfiler):
        def profile(self, action_name):
            asked.append(action_name)
            return super().profile(action_name)

    monkeypatch.setattr("lm.training.trainer.NoOpProfiler", Noting)
    words = ("epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "hydra.run.dir=run")
    assert run_command("lm.train", *small, *words) == 0
    assert "run_training_batch" in asked
