import math
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from lm.data.sources import SOURCES, SPLITS, make_source

CONFIGS = Path(__file__).parents[3] / "conf" / "data"
OPTIONS = {name: yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) for name in SOURCES}
CASES = [(name, option) for name, options in OPTIONS.items() for option in options if option not in ("name", "dir")]
WRONG = ["", "abc", "1", -1, 1.5, math.nan, math.inf, 10**20, [], [1], {}, OmegaConf.create([1])]


@pytest.fixture
def options(tmp_path):
    """Return a function that returns the options of a config, with a folder if it needs one."""
    for split in SPLITS:
        (tmp_path / f"{split}.txt").touch()
    for split in SPLITS:
        (tmp_path / f"wiki.{split}.tokens").touch()
    return lambda name: (
        OPTIONS[name] | ({"dir": str(tmp_path)} if OPTIONS[name].get("dir", "") is None and name != "ptb" else {})
    )


@pytest.mark.parametrize("name", ["ptp", "", None, 5, ["ptb"]])
def test_an_unknown_corpus_is_refused_with_the_names_of_all(name):
    names = "ptb, wikitext2, wikitext103, text, python_docs, synthetic"
    sentence = f"^expected data to be one of {names}, found .*: type data=ptb$"
    with pytest.raises(ValueError, match=sentence):
        make_source(name)


def test_an_option_of_another_corpus_is_refused():
    with pytest.raises(ValueError, match=r"expected an option of data=ptb, found data\.min_count=: leave it out"):
        make_source("ptb", min_count=2)


def test_every_source_has_a_config_and_every_config_a_source():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_the_options_of_a_config_are_those_of_its_source(name, options):
    assert make_source(**options(name)).name == name


@pytest.mark.parametrize(("name", "option"), CASES)
def test_every_option_refuses_wrong_values_in_one_sentence(name, option, options):
    for value in WRONG:
        with pytest.raises(ValueError, match=rf"^expected data\.{option} to be .*, found .*: type data\.{option}=\S+$"):
            make_source(**options(name) | {option: value})


@pytest.mark.parametrize(("name", "option"), CASES)
def test_null_is_refused_unless_it_is_the_default(name, option, options):
    if OPTIONS[name][option] is None:
        make_source(**options(name) | {option: None})
    else:
        with pytest.raises(
            ValueError, match=rf"^expected data\.{option} to be .*, found null: type data\.{option}=\S+$"
        ):
            make_source(**options(name) | {option: None})


@pytest.mark.parametrize("value", ["", True, [], ["x"], {}])
def test_no_folder_of_the_treebank_is_refused(value):
    with pytest.raises(
        ValueError, match=r"^expected data\.dir to be a folder with ptb\.train\.txt, .*: type data\.dir="
    ):
        make_source("ptb", dir=value)


@pytest.mark.parametrize(
    ("name", "option", "value", "sentence"),
    [
        ("text", "min_count", 0, "a whole number of at least 1, found 0: type data.min_count=2"),
        ("text", "max_vocab_size", 2, "a whole number of at least 3 or null, found 2: type data.max_vocab_size=10000"),
        ("text", "lowercase", "maybe", "true or false, found 'maybe': type data.lowercase=true"),
        ("text", "fold_numbers", 1, "true or false, found 1: type data.fold_numbers=true"),
        ("python_docs", "min_count", 0, "a whole number of at least 1, found 0"),
        ("synthetic", "words", 1, "a whole number of at least 2, found 1: type data.words=50"),
        ("synthetic", "classes", 101, "a whole number of at most 100, found 101: type data.classes=3"),
        ("synthetic", "branching", 51, "a whole number of at most 50, found 51: type data.branching=8"),
        ("synthetic", "mean_length", 10**6, "a whole number of at most 1000, found 1000000: type data.mean_length=10"),
        ("synthetic", "test_tokens", 0, "a whole number of at least 3, found 0: type data.test_tokens=10000"),
        ("synthetic", "seed", -1, "a whole number of at least 0, found -1: type data.seed=0"),
    ],
)
def test_values_out_of_range_are_refused_with_the_range(name, option, value, sentence, options):
    with pytest.raises(ValueError, match=f"expected data.{option} to be {sentence}"):
        make_source(**options(name) | {option: value})
