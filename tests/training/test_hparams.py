from dataclasses import replace

from hydra import compose, initialize_config_dir

from lm.cli import CONFIGS
from lm.data.corpus import Corpus
from lm.data.vocabulary import Vocabulary
from lm.machine_config import MachineConfig
from lm.run_dir import RunDir
from lm.training.hparams import hyperparameters
from tests.configs import config_with

CORPUS = Corpus("toy", "0" * 64, Vocabulary(["<unk>", "<eos>"]), {}, None)


def machine(**trainer):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = MachineConfig.from_hydra(compose("train"))
    return replace(config, trainer=replace(config.trainer, **trainer))


def test_options_of_the_command_line_come_first(tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- seed=3\n- dropout=0.5\n")
    found = hyperparameters(config_with(seed=3), machine(), CORPUS, RunDir(tmp_path))
    assert list(found)[:2] == ["seed", "dropout"]
    assert found["seed"] == 3


def test_streams_do_not_show_options_of_sentences(tmp_path):
    streams = hyperparameters(config_with(), machine(), CORPUS, RunDir(tmp_path))
    sentences = hyperparameters(config_with(batching="sentences"), machine(), CORPUS, RunDir(tmp_path))
    assert sentences.keys() - streams.keys() == {
        "data.max_length", "data.truncation_side", "data.padding_side", "data.bucket_width",
    }  # fmt: skip


def test_corpus_precision_and_limits_are_among_the_hyperparameters(tmp_path):
    found = hyperparameters(config_with(), machine(limit_train_batches=0.5), CORPUS, RunDir(tmp_path))
    assert found["corpus"] == "toy"
    assert found["precision"] == "auto"
    assert (found["trainer.limit_train_batches"], found["trainer.limit_val_batches"]) == (0.5, 1.0)
