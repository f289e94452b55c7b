import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from lm.did_you_mean import CONFIGS, did_you_mean, options, unknown_addition, wrong_choice

COMMANDS = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def composed(command: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(command, list(overrides))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_options_are_those_that_hydra_composes(command: str):
    assert {key for key in composed(command) if key != "hydra"} <= options(command).keys()


@pytest.mark.parametrize("data", ["ptb", "text", "python_docs", "synthetic"])
def test_so_are_those_of_every_group(data: str):
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
def test_what_would_be_added_for_nothing_is_told_with_the_option_that_may_be_meant(typed: str, advice: str):
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
def test_what_may_be_added_or_is_hydras_to_refuse_is_let_through(typed: str):
    assert unknown_addition("train", [typed]) is None


def test_groups_of_the_users_own_may_be_added():
    for where in ("--config-dir=mine", "-cd", "hydra.searchpath=[file:///mine]", "+hydra.searchpath=[mine]"):
        assert unknown_addition("train", [where, "+paper=graves"]) is None


@pytest.mark.parametrize("typed", ["cel=gru", "data.dri=x", "trainer.max_tme=1"])
def test_an_option_that_hydra_does_not_find_is_told_without_its_advice_to_add_it(typed: str):
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", typed)
    told = did_you_mean("train", error.value)
    assert told is not None
    assert told.startswith(f"expected an option of lm.train, found {typed.partition('=')[0]}=: type ")


@pytest.mark.parametrize(
    ("typed", "choice"), [("data.lowercase=true", "data=text"), ("data.branching=3", "data=synthetic")]
)
def test_an_option_of_another_choice_is_told_with_that_choice(typed: str, choice: str):
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", typed)
    name = typed.partition("=")[0]
    told = did_you_mean("train", error.value)
    assert told == f"expected an option of what is chosen, found {name}=: type {choice} with it, or leave it out"
    composed("train", choice, typed)  # as advised


@pytest.mark.parametrize(
    "typed", ["trainer.profiler=simple", "hydra.callbacks.report.speed=true", "trainer.max_steps=1"]
)
def test_where_a_plus_is_missing_hydras_advice_stands(typed: str):
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", typed)
    assert did_you_mean("train", error.value) is None
    composed("train", f"+{typed}")  # as advised


def test_an_option_of_the_default_choice_is_told_with_a_choice_that_has_it():
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", "data=python_docs", "data.dir=x")
    assert "found data.dir=: type data=ptb with it" in (did_you_mean("train", error.value) or "")


def test_a_group_with_a_plus_is_told_without_it():
    with pytest.raises(ConfigCompositionException) as error:
        composed("train", "+cell=gru")
    assert did_you_mean("train", error.value) == (
        "expected cell= once and without a plus, found it twice: type cell= alone"
    )


@pytest.mark.parametrize("override", ["hydra=1", "lr=5", "cell=lstm,gru", "~cell"])
def test_other_overrides_are_no_wrong_choice(override: str):
    assert wrong_choice([override]) is None


def test_other_errors_are_none_of_an_option():
    assert did_you_mean("train", ValueError("Could not find 'cell/lsmt'")) is None
