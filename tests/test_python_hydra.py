import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import lm
from lm.did_you_mean import CONFIGS
from lm.python_hydra import compose_options, run_task


def failing(config):
    raise ValueError("expected more, found less: type more")


def folder_of(config):
    logging.getLogger("lm.test").info("trained")
    (Path(HydraConfig.get().runtime.output_dir) / "results.json").write_text("{}")


def test_options_that_are_not_given_have_the_defaults_of_the_command():
    config = compose_options("generate", {"seed": 5, "beam": {"width": 2}})
    assert (config.seed, config.beam.width, config.beam.length_formula, config.max_new_tokens) == (5, 2, "gnmt", 30)


def test_options_may_be_numbers_of_numpy_and_pytorch():
    options = {"temperature": np.float64(0.5), "num_samples": np.int64(2), "beam": {"width": torch.tensor(3)}}
    config = compose_options("generate", options)
    assert (config.temperature, config.num_samples, config.beam.width) == (0.5, 2, 3)
    with pytest.raises(ValueError, match="is not a supported primitive type"):
        compose_options("generate", {"temperature": object()})


def test_options_are_composed_within_a_program_that_uses_hydra_and_in_threads():
    with initialize_config_dir(str(CONFIGS), version_base="1.3", job_name="outer"):
        before = GlobalHydra.instance().hydra
        assert compose_options("generate", {"seed": 5}).seed == 5
        assert GlobalHydra.instance().hydra is before
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: compose_options("generate", {"seed": seed}).seed, range(8)))
    assert found == list(range(8))
    assert not GlobalHydra.instance().is_initialized()


def test_a_task_runs_in_a_folder_with_its_config(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = run_task("train", folder_of, [*small, "cell=gru"], ())
    assert folder.relative_to(tmp_path).parts[0] == "outputs"
    assert "- cell=gru" in (folder / ".hydra" / "overrides.yaml").read_text()
    assert "trained" in (folder / "train.log").read_text()


def test_hydra_and_the_log_are_as_before(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)
    run_task("train", folder_of, small, ())
    assert logging.getLogger().handlers == handlers
    assert not GlobalHydra.instance().is_initialized()


def test_an_error_of_the_task_is_raised(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="found less"):
        run_task("train", failing, small, ())


def test_training_returns_the_run(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = lm.train(overrides=[*small, "cell=gru", "epochs=1", "trainer.enable_progress_bar=false"])
    assert run.config.cell == "gru"
    assert run.perplexity("valid") == pytest.approx(run.results["best"]["valid_ppl"], rel=1e-6)
    again = lm.train(overrides=[f"resume={run.folder}", "epochs=2"])
    assert (again.folder, again.results["epochs"]) == (run.folder, 2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["cel=gru"], "found cel=: type cell="),
        (["+cel=gru"], r"found \+cel=gru: type cell="),
        (["cell=gruu"], "found gruu: type cell=gru"),
        (["cell=null"], "found null: type cell=gru"),
        (["dropout=2"], "found 2: type dropout=0.25"),
        (["cell=lstm,gru"], "expected one value without -m"),
        (["-m"], "expected overrides such as 'cell=gru', found -m"),
        ("cell=gru", "expected a list of overrides, found the text 'cell=gru'"),
        (["lr=1e5", "init_range=100", "hidden_size=8"], "expected a training perplexity"),
    ],
)
def test_a_sentence_of_the_command_is_a_value_error(overrides, message, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = overrides if isinstance(overrides, str) else [*small[:2], *overrides]
    with pytest.raises(ValueError, match=message):
        lm.train(overrides=overrides)
    assert not list(tmp_path.glob("outputs/*/*/.hydra")) or "training" in message
