import pytest
from hydra import initialize_config_dir

from lm.cli import CONFIGS
from lm.sweeps.sweep_options import MAX_NAME_BYTES, SweepOptions, canonical, run_name


@pytest.mark.parametrize(
    ("overrides", "params", "runs"),
    [
        ([], None, 1),
        (["epochs=3"], None, 1),
        (["cell=lstm,gru", "dropout=0,0.25", "epochs=3"], None, 4),
        (["seed=range(1,6)"], None, 5),
        (["seed=choice(1,2,3)"], None, 3),
        (["lr=shuffle(1,2)", "seed=sort(3,1,2,reverse=true)", "dropout=tag(mine,choice(0,0.5))"], None, 12),
        (["cell=gru"], {"cell": "lstm,gru", "dropout": "0,0.25"}, 2),
        (["+trainer.profiler=simple,null", "data.dir='a,b'"], {"cell": "lstm,gru"}, 4),
        (["dropout=interval(0,0.5)", "cell=lstm,gru"], None, None),
    ],
)
def test_a_sweep_has_a_run_for_each_combination_and_overrides_replace_the_configs(overrides, params, runs):
    assert SweepOptions.parse(overrides, params).num_runs == runs


def test_a_glob_sweeps_the_options_of_a_group():
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        options = SweepOptions.parse(["cell=glob(*,exclude=gru)"], None)
    assert options.num_runs == len(list((CONFIGS / "cell").glob("*.yaml"))) - 1
    assert "lstm" in options.swept["cell"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["cell=lstm,gru", "epochs=3"], ["epochs=3", "cell=gru,lstm"], True),
        (["dropout=0,0.25"], ["dropout=0.250,0.0", "data.dir=/there"], True),
        (["dropout=0,0.25"], ["dropout=0,0.3"], False),
        (["cell=gru"], ["cell=gru", "epochs=3"], False),
        (["dropout=interval(0,0.5)"], ["dropout=interval(0,0.5)"], True),
    ],
)
def test_a_sweep_is_known_by_its_runs_and_not_by_how_they_are_typed(one, other, same):
    assert SweepOptions.parse(one, None).same_runs(SweepOptions.parse(other, None)) == same


def test_equal_values_are_found_however_they_are_written():
    options = SweepOptions.parse(["seed=1,1", "dropout=0.25,0.250,0", "cell=lstm,gru"], {"hidden_size": "200,200"})
    assert options.duplicates() == {"seed": ["1"], "dropout": ["0.25", "0"], "hidden_size": ["200"]}


def test_a_run_is_named_by_what_is_swept_in_alphabetical_order():
    overrides = ["dropout=0.250", "experiment=demo", "cell=gru", "data.dir=/some/where"]
    assert run_name(overrides, ["cell", "dropout"]) == "cell=gru,dropout=0.25"
    assert run_name(list(reversed(overrides)), ["dropout", "cell"]) == "cell=gru,dropout=0.25"
    assert run_name(["+trainer.profiler=simple", "seed=1"], ["trainer.profiler"]) == "trainer.profiler=simple"
    assert run_name(["seed=1"], []) == "default"


def test_sixteen_constants_make_no_name_longer():
    constants = [f"trainer.option_{number}={'x' * 20}" for number in range(16)]
    assert run_name([*constants, "seed=1"], ["seed"]) == "seed=1"


def test_a_name_that_is_too_long_is_shortened_and_stays_the_only_one():
    names = {run_name([f"text={'é' * 200}{end}"], ["text"]) for end in "ab"}
    assert len(names) == 2
    assert all(len(name.encode()) <= MAX_NAME_BYTES for name in names)


@pytest.mark.parametrize("values", [("1.0000001", "1.0000002"), ("a/b", "a-b"), ("a/b", "a%2Fb"), ("1", "01")])
def test_different_values_make_different_names(values):
    one, other = (run_name([f"lr={value}"]) for value in values)
    assert one != other
    assert "/" not in one + other


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.250", "0.25"), ("0.0", "0"), ("-0.0", "0"), ("1e-3", "0.001"), ("1.0", "1"), ("200", "200"),
        ("1e400", "1e400"), ("True", "true"), ("'a b'", "a b"), ("'it\\'s'", "'it\\'s'"), ("simple", "simple"),
        ("[0, 1]", "[0, 1]"),
    ],
)  # fmt: skip
def test_equal_values_have_one_spelling(value, expected):
    assert canonical(value) == expected
