"""A run that was trained for a second on the toy English of the tests, for all tests that need a saved one."""

import shutil
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lm.cli import CONFIGS
from lm.run_dir import RunDir
from lm.sweeps.training_job import train, train_arguments

OPTIONS = (
    "hidden_size=16", "batch_size=4", "seq_len=5", "epochs=2", "precision=32-true", "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
)  # fmt: skip


@cache
def train_run(folder: Path, *options: str) -> Path:
    """Train a run as `python -m lm.train` with these words does, once a folder, and return the folder."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [*OPTIONS, *options])
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    train(*train_arguments(config, RunDir(folder)))
    return folder


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path) -> Path:
    """The run folder; a test that changes it takes a `copy_of_run`."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LM_DATA", str(base / "cache"))
        return train_run(base / "cell=gru,dropout=0.25", "cell=gru", "data=text", f"data.dir={corpus_folder}")


@pytest.fixture
def copy_of_run(saved_run: Path, tmp_path: Path) -> Path:
    """The run folder again, to be changed."""
    return Path(shutil.copytree(saved_run, tmp_path / saved_run.name))
