import pytest
from omegaconf import OmegaConf

from lm.machine_config import MachineConfig, resumed
from lm.run_dir import RunDir
from tests.bad_values import composed
from tests.saved_run import save_config


def machine(*overrides):
    return MachineConfig.from_hydra(composed("train", *overrides))


@pytest.mark.parametrize(
    ("limit", "score_train", "expected"),
    [(1.0, "null", True), (0.5, "null", False), (1, "null", False), (0.5, "true", True), (1.0, "false", False)],
)
def test_the_training_split_is_scored_by_default_only_if_training_reads_all_of_it(limit, score_train, expected):
    assert machine(f"trainer.limit_train_batches={limit}", f"score_train={score_train}").scores_train is expected


def test_a_resumed_run_takes_options_of_the_machine_and_refuses_those_that_define_it(tmp_path):
    config, run = save_config(tmp_path), RunDir(tmp_path)
    asked = OmegaConf.merge(config, {"num_threads": 1, "hidden_size": 32})
    assert resumed(asked, run, ["num_threads=1"]) == OmegaConf.merge(config, {"num_threads": 1})
    assert resumed(OmegaConf.merge(config, {"hidden_size": 16.0}), run, ["hidden_size=16.0"]).hidden_size == 16
    with pytest.raises(ValueError, match=r"expected hidden_size=16, .*, found 32: type hidden_size=16"):
        resumed(asked, run, ["hidden_size=32"])


def test_a_resumed_run_is_advised_to_type_its_options_as_they_are_typed(tmp_path):
    config, run = save_config(tmp_path), RunDir(tmp_path)
    with pytest.raises(
        ValueError, match=r"expected patience=null, with which .*, found 3: type patience=null, or start a new"
    ):
        resumed(OmegaConf.merge(config, {"patience": 3}), run, ["patience=3"])
    OmegaConf.save({"hydra": {"runtime": {"choices": {"experiment": None}}}}, tmp_path / ".hydra" / "hydra.yaml")
    run = RunDir(tmp_path)
    assert resumed(config, run, ["experiment=null"]) == config
    assert resumed(config, run, ["experiment='null'"]) == config
    with pytest.raises(ValueError, match=r"expected experiment=null, with which .*, found demo: type experiment=null"):
        resumed(config, run, ["experiment=demo"])


def test_a_resumed_run_may_have_no_logger(tmp_path):
    config, run = save_config(tmp_path), RunDir(tmp_path)
    without = OmegaConf.create({key: value for key, value in config.items() if key != "logger"})  # after logger=[]
    assert not MachineConfig.from_hydra(resumed(without, run, ["logger=[]"])).logger


@pytest.mark.parametrize("limit", [1, 0.5])
def test_a_resumed_run_reads_the_same_part_of_its_corpus(tmp_path, limit):
    config, run = save_config(tmp_path), RunDir(tmp_path)
    for name in ("trainer.limit_train_batches", "trainer.limit_val_batches"):
        asked = OmegaConf.merge(config, OmegaConf.from_dotlist([f"{name}={limit}"]))
        with pytest.raises(ValueError, match=f"expected {name}=1.0, with which .*, found {limit}: type {name}=1.0"):
            resumed(asked, run, [f"{name}={limit}"])
