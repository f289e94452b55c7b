import pytest
from omegaconf import OmegaConf

from lm.cli import CONFIGS
from lm.training.averaging import AVERAGING, check_averaging, make_averaging
from tests.configs import config_with


def options_of(name):
    return {
        key: value for key, value in OmegaConf.load(CONFIGS / "averaging" / f"{name}.yaml").items() if key != "name"
    }


def test_every_average_has_its_file_with_its_options():
    assert {path.stem for path in (CONFIGS / "averaging").glob("*.yaml")} == set(AVERAGING)
    for name, entry in AVERAGING.items():
        assert options_of(name).keys() == entry.options.keys()


@pytest.mark.parametrize(
    ("name", "optimizer", "expected"),
    [
        ("none", "sgd", []),
        ("none", "asgd", ["OptimizerAverage"]),
        ("ema", "adamw", ["ExponentialAverage"]),
        ("nt_asgd", "sgd", ["NonMonotonicAverage"]),
    ],
)
def test_the_callback_is_that_of_the_average_or_of_the_optimizer(name, optimizer, expected):
    made = make_averaging(config_with(averaging=name, averaging_options=options_of(name), optimizer=optimizer))
    assert [type(callback).__name__ for callback in made] == expected


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match=r"^expected averaging to be one of none, nt_asgd, ema, found 'swa': type"):
        check_averaging(config_with(averaging="swa"))


def test_an_average_beside_that_of_the_optimizer_is_refused():
    with pytest.raises(
        ValueError, match=r"^expected averaging=none with optimizer=asgd, .* found ema: type averaging="
    ):
        check_averaging(config_with(averaging="ema", averaging_options={"decay": 0.9}, optimizer="asgd"))
