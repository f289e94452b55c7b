import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from lm.did_you_mean import CONFIGS, did_you_mean, options, unknown_addition, wrong_choice

COMMANDS = sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem != "command")


def composed(command: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(command, list(overrides))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_command_are_those_that_hydra_composes(command: str):
    assert {key for key in composed(command) if key != "hydra"} <= options(command).keys()


@pytest.mark.parametrize("data", ["ptb", "text", "python_docs", "synthetic"])
def test_the_options_of_every_group_are_those_that_hydra_composes(data: str):
    config = OmegaConf.to_container(composed("train", f"data={data}", "experiment=equal_parameters"))
    names = {f"{group}.{key}" for group in ("cell", "data", "trainer", "equal_parameters") for key in config[group]}
    assert names <= options("train").keys()
    assert "hydra" not in config
    assert {"cell", "data", "schedule", "experiment"} <= options("train").keys()


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("+cel=gru", "expected an option of lm.train, found +cel=gru: type cell="),
        ("++dropuot=0,0.25", "found ++dropuot=0,0.25: type dropout="),
        ("+data.dri=x=y", "found +data.dri=x=y: type data.dir="),
        ("+qqq=1", "found +qqq=1: python -m lm.train --cfg job shows them"),
    ],
)
def test_an_added_option_that_nothing_reads_is_refused_with_the_one_that_may_be_meant(typed: str, advice: str):
    assert advice in (unknown_addition("train", ["-m", "cell=lstm", typed]) or "")


@pytest.mark.parametrize(
    "typed",
    [
        "+trainer.profiler=simple",
        "+hydra.callbacks.report.speed=true",
        "+hydra/x=y",
        "++dropout=0",
        "cel=gru",
        "~cell",
        "-m",
    ],
)
def test_options_that_can_be_added_or_that_hydra_refuses_are_let_through(typed: str):
    assert unknown_addition("train", [typed]) is None


def test_groups_of_ones_own_can_be_added():
    for where in ("--config-dir=mine", "-cd", "hydra.searchpath=[file:///mine]", "+hydra.searchpath=[mine]"):
        assert unknown_addition("train", [where, "+paper=graves"]) is None


@pytest.mark.parametrize("typed", ["cel=gru", "data.dri=x", "trainer.max_tme=1"])
def test_an_unknown_option_is_refused_without_the_advice_to_add_it(typed: str):
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", typed)
    sentence = did_you_mean("train", error.value)
    assert sentence is not None
    assert sentence.startswith(f"expected an option of lm.train, found {typed.partition('=')[0]}=: type ")


@pytest.mark.parametrize(
    ("typed", "choice"),
    [
        ("data.lowercase=true", "data=text"),
        ("data.branching=3", "data=synthetic"),
        ("optimizer.eps=1e-6", "optimizer=adam"),  # also in an experiment
        ("schedule.patience=2", "schedule=plateau"),
        ("averaging.decay=0.9", "averaging=ema"),
        ("equal_parameters.cell=gru", "experiment=equal_parameters"),
    ],
)
def test_an_option_of_another_choice_is_refused_with_that_choice(typed: str, choice: str):
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", typed)
    name = typed.partition("=")[0]
    sentence = did_you_mean("train", error.value)
    assert (
        sentence
        == f"expected an option that the chosen config groups have, found {name}=: add {choice}, or leave {name}= out"
    )
    composed("train", choice, typed)  # as advised


@pytest.mark.parametrize(
    "typed", ["trainer.profiler=simple", "hydra.callbacks.report.speed=true", "trainer.max_steps=1"]
)
def test_hydras_advice_is_kept_if_a_plus_is_missing(typed: str):
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", typed)
    assert did_you_mean("train", error.value) is None
    composed("train", f"+{typed}")  # as advised


def test_an_option_of_the_default_choice_is_refused_with_a_choice_that_has_it():
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", "data=python_docs", "data.dir=x")
    assert "found data.dir=: add data=ptb" in (did_you_mean("train", error.value) or "")


def test_the_advice_on_a_group_with_a_plus_is_to_leave_the_plus_out():
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", "+cell=gru")
    assert did_you_mean("train", error.value) == (
        "expected cell= once and without a plus, found it twice: type cell= alone"
    )


@pytest.mark.parametrize("override", ["hydra=1", "lr=5", "cell=lstm,gru", "~cell"])
def test_other_overrides_are_no_wrong_choice(override: str):
    assert wrong_choice([override]) is None


def test_other_errors_are_left_alone():
    assert did_you_mean("train", ValueError("Could not find 'cell/lsmt'")) is None
