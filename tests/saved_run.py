"""Run folders on the toy English of the tests: one that was trained for a second, and untrained ones."""

import shutil
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from lm.cli import CONFIGS
from lm.run_dir import RunDir

OPTIONS = (
    "hidden_size=16", "batch_size=4", "seq_len=5", "epochs=2", "precision=32-true", "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
)  # fmt: skip


def save_config(folder: Path, *options: str) -> DictConfig:
    """Save the config of `python -m lm.train` with these options in the folder of a run, and return it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [*OPTIONS, *options])
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(config, folder / ".hydra" / "config.yaml")
    return config


@cache
def train_once(folder: Path, *options: str) -> Path:
    """Train a run as `python -m lm.train` with these options does, once per folder, and return the folder."""
    from lm.sweeps.training_job import train_arguments, train_run  # slow to import

    train_run(*train_arguments(save_config(folder, *options), RunDir(folder)))
    return folder


def untrained_run(folder: Path, data_dir: Path, *options: str) -> Path:
    """Make a run folder with random weights, a model of the text in `data_dir`, and return it."""
    # slow to import
    import torch

    from lm.config import Config
    from lm.data.corpus import load_corpus
    from lm.data.sources import make_source
    from lm.models.language_model import LanguageModel
    from lm.training.resume import metadata

    config = save_config(folder, "data=text", f"data.dir={data_dir}", "cell=gru", "init_range=0.6", *options)
    typed, corpus = Config.from_hydra(config), load_corpus(make_source(**Config.from_hydra(config).source))
    torch.manual_seed(1)
    model = LanguageModel(len(corpus.vocabulary), **typed.model_arguments())
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    (folder / "checkpoints").mkdir()
    checkpoint = {"metadata": metadata(typed, corpus), "state_dict": weights, "epoch": 0}
    torch.save(checkpoint, folder / "checkpoints" / "best.ckpt")
    return folder


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path) -> Path:
    """A trained run; a test that changes it uses `copy_of_run`."""
    folder = tmp_path_factory.getbasetemp() / "cell=gru,dropout=0.25"
    return train_once(folder, "cell=gru", "data=text", f"data.dir={corpus_folder}")


@pytest.fixture
def copy_of_run(saved_run: Path, tmp_path: Path) -> Path:
    """A copy of the trained run."""
    return Path(shutil.copytree(saved_run, tmp_path / saved_run.name))
