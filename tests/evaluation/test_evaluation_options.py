import pytest
from hydra import compose, initialize_config_dir

from lm.cli import CONFIGS
from lm.evaluation.evaluation_options import EvaluationOptions
from tests.bad_values import CHOICES, GROUPS, TEXTS, composed, numbers_but

BAD = {
    "method": CHOICES,
    "split": CHOICES,
    "batch_size": numbers_but("null"),
    "data": GROUPS,
    "data.dir": TEXTS,
    "text": ("5", "[a]", "{a:1}", "true", "nan"),
    "file": TEXTS,
    "state": CHOICES,
    "per": tuple(value for value in CHOICES if value not in ("null", "''")),
    "csv": TEXTS,
}


def options(*overrides):
    return EvaluationOptions.from_hydra(composed("evaluate", "run=FOLDER", *overrides))


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in BAD.items() for value in values])
def test_every_bad_value_of_every_option_is_one_sentence(option, value):
    with pytest.raises(ValueError, match=rf"^expected {option} to be .*: type {option}=[^\n]+$"):
        options(f"{option}={value}")


@pytest.mark.parametrize("deleted", ["~cache.theta", "~cache"])
def test_an_option_of_a_method_that_was_deleted_is_one_sentence(deleted):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("evaluate", ["run=FOLDER", "method=cache", deleted])
    with pytest.raises(ValueError, match=r"^expected cache\.theta to be a number .*, found null: type cache"):
        EvaluationOptions.from_hydra(config)


def test_a_row_is_a_word_of_a_text_and_a_sentence_of_a_file():
    assert options("text=ada").rows == "word"
    assert options("file=x").rows == "sentence"
    assert options("file=x", "per=word").rows == "word"


def test_text_and_file_exclude_each_other():
    with pytest.raises(ValueError, match="expected text= or file=, found both"):
        options("text=a", "file=b")
