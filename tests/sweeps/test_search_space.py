import pytest
from hydra import initialize_config_dir

pytest.importorskip("optuna", reason="needs the extra search")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lm.cli import CONFIGS
from lm.sweeps.search_space import SearchSpace


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("lr=interval(0.3,2)", FloatDistribution(0.3, 2)),
        ("lr=tag(log,interval(0.3,2))", FloatDistribution(0.3, 2, log=True)),
        ("hidden_size=int(interval(100,300))", IntDistribution(100, 300)),
        ("hidden_size=int(tag(log,interval(100,300)))", IntDistribution(100, 300, log=True)),
        ("num_layers=range(1,4)", IntDistribution(1, 3)),
        ("hidden_size=range(100,300,50)", IntDistribution(100, 250, step=50)),
        ("hidden_size=range(250,50,-50)", IntDistribution(100, 250, step=50)),
        ("dropout=range(0,0.6,0.2)", FloatDistribution(0, 0.4, step=0.2)),
        ("cell=lstm,gru", CategoricalDistribution(["lstm", "gru"])),
        ("cell=choice(lstm,gru)", CategoricalDistribution(["lstm", "gru"])),
        ("dropout=0,0.25,null", CategoricalDistribution(["0", "0.25", "null"])),
    ],
)
def test_each_kind_of_sweep_has_a_distribution(override, expected):
    found = SearchSpace.parse([override, "seed=1"]).distributions
    assert found == {override.partition("=")[0]: expected}


def test_a_glob_is_a_choice_of_the_files_of_its_group():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found = SearchSpace.parse(["cell=glob(rnn*)"]).distributions["cell"]
    assert set(found.choices) == {"rnn_tanh", "rnn_relu"}


@pytest.mark.parametrize(
    "override",
    ["lr=interval(2,0.3)", "lr=tag(log,interval(0,2))", "seed=range(3,3)", "lr=tag(linear,interval(0,1))"],
)
def test_an_interval_that_nothing_can_be_drawn_from_is_refused(override):
    with pytest.raises(ValueError, match=r"^expected \w+= to be an interval or a range .*, found .*: type '"):
        SearchSpace.parse([override])


def test_a_search_needs_something_to_search():
    with pytest.raises(ValueError, match=r"^expected an option to search over, found none: add 'lr="):
        SearchSpace.parse(["seed=1"])


@pytest.mark.parametrize(
    ("override", "value", "expected"),
    [
        ("lr=interval(0.3,2)", 0.123456789 + 0.4, "lr=0.5235"),
        ("lr=interval(0.33333,0.333334)", 0.333333, "lr=0.333333"),  # rounded it would lie outside
        ("lr=range(1000.25,1002,0.25)", 1000.5, "lr=1000.5"),
        ("seed=range(1,3)", 2, "seed=2"),
        ("+data.extra='a,b',c", "'a,b'", "+data.extra='a,b'"),
        ("cell=lstm,gru", "gru", "cell=gru"),
    ],
)
def test_the_overrides_of_a_run_have_its_drawn_values(override, value, expected):
    space = SearchSpace.parse([override, "batch_size=4"])
    [option] = space.distributions
    assert space.overrides({option: value}) == [expected, "batch_size=4"]


def test_the_command_line_replaces_what_the_config_searches():
    space = SearchSpace.parse(["lr=interval(0,1)", "dropout=0,0.5", "lr=0.7"])
    assert space.overrides({"dropout": "0.5"}) == ["lr=0.7", "dropout=0.5"]
