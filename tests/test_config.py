"""Every option of training with wrong values: each is refused in one sentence that names it."""

from copy import deepcopy
from functools import cache

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from lm.cli import CONFIGS, USER_ERRORS, one_line
from lm.config import BATCHING_OPTIONS, source_options
from lm.data.sources import SOURCES
from lm.did_you_mean import did_you_mean, wrong_choice
from lm.sweeps.config_check import check_config


@cache
def composed(*overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", ["data=python_docs", *overrides])


def refusal(override, *others):
    """Return the sentence with which an option is refused, or None if it is taken."""
    if sentence := wrong_choice([override]):
        return sentence
    try:
        if (CONFIGS / override.partition("=")[0]).is_dir():
            check_config(composed(override, *others))
        else:
            check_config(with_value(composed(*others), override))
    except (*USER_ERRORS, HydraException) as error:
        return did_you_mean("train", error) or one_line(error)
    return None


def with_value(config, override):
    """Return a config with an override as Hydra reads it; composing it anew for each case would be slow."""
    config, parsed = deepcopy(config), OverridesParser.create().parse_override(override)
    OmegaConf.update(config, parsed.key_or_group, parsed.value(), force_add=True)
    return config


NOT_A_NUMBER = ("abc", "nan", "inf", "-inf", "null", "''", "[1]", "{a: 1}", "true")
PROBABILITIES = (
    "dropout", "input_dropout", "hidden_dropout", "output_dropout", "embedding_dropout", "weight_dropout",
)  # fmt: skip
SIZES = ("hidden_size", "last_hidden_size", "embedding_size", "num_layers", "batch_size", "seq_len", "epochs")
WRONG = {
    **{name: (*NOT_A_NUMBER, "0", "-1", "1.5", "99999999999999999999") for name in SIZES},
    **{name: (*NOT_A_NUMBER, "-0.1", "1", "1e300") for name in PROBABILITIES},
    **{name: (*NOT_A_NUMBER, "-0.1", "1e300") for name in ("activation_penalty", "temporal_penalty")},
    "dropout_type": ("loked", "1", "null", "''", "[locked]", "true"),
    "init_range": (*NOT_A_NUMBER, "0", "-1", "1e300"),
    "recurrent_init_range": (*(value for value in NOT_A_NUMBER if value != "null"), "0", "-1", "1e300"),
    "lr": (*NOT_A_NUMBER, "0", "-1", "1e308"),
    "cell.lr": (*NOT_A_NUMBER, "0", "-1", "1e308"),
    "optimizer.lr": (*NOT_A_NUMBER, "0", "-1", "1e308"),
    "optimizer.name": ("sdg", "5", "null", "''", "[sgd]"),
    "averaging": ("emma", "5", "null", "''", "[ema]"),
    "averaging.name": ("emma", "5", "null", "''", "[ema]"),
    "patience": ("abc", "0", "-1", "1.5", "nan", "''", "[1]", "true"),
    "schedule.name": ("cosines", "5", "null", "''", "[decay]"),
    "weight_decay": (*NOT_A_NUMBER, "-0.1", "1", "1e300"),
    "max_grad_norm": (*NOT_A_NUMBER, "0", "-1", "1e300"),
    "epochs_at_full_rate": (*NOT_A_NUMBER, "-1", "1.5", "99999999999999999999"),
    "schedule.epochs_at_full_rate": (*NOT_A_NUMBER, "-1", "1.5"),
    "lr_decay_factor": (*NOT_A_NUMBER, "0", "-2", "1e-300", "1e300"),
    "schedule.lr_decay_factor": (*NOT_A_NUMBER, "0", "-2", "1e-300", "1e300"),
    "seed": (*NOT_A_NUMBER, "-1", "1.5", "4294967296", "99999999999999999999"),
    "random_seq_len": ("abc", "1", "0", "null", "''", "[true]", "nan"),
    "partial_shuffle": ("abc", "1", "0", "null", "''", "[true]", "nan"),
    "tie_weights": ("abc", "1", "0", "null", "''", "[true]", "nan"),
    "softmax": ("ful", "1", "null", "''", "[full]", "true"),
    "cutoffs": ("abc", "5", "''", "[]", "[0]", "[5,5]", "[1.5]", "[true]", "{a: 1}"),
    "length_conditioning": ("abc", "1", "0", "null", "''", "[true]", "nan"),
    "data.batching": ("sentence", "1", "null", "''", "[streams]", "true"),
    "num_threads": ("abc", "-1", "0", "1.5", "nan", "inf", "''", "[1]", "true", "99999999"),
    "gpus_per_run": ("abc", "-1", "nan", "inf", "null", "''", "[1]", "true", "1e300"),
    "checkpoint_every_minutes": (*NOT_A_NUMBER, "0", "-1"),
    "cell": ("lsmt", "5", "null", "''", "[lstm]", "nan"),
    "data": ("pbt", "5", "null", "''", "[ptb]"),
    "optimizer": ("sdg", "5", "null", "''", "[sgd]"),
    "schedule": ("tabel1", "5", "null", "''", "[table1]"),
    "experiment": ("dmeo", "5", "''"),
    "trainer": ("5", "null", "''", "[1]"),
    "cell.name": ("lsmt", "5", "null", "''", "[lstm]"),
}
READS = {  # what is named instead of an option that others are computed from
    "cell.lr": "lr",
    "optimizer.lr": "lr",
    "schedule.epochs_at_full_rate": "epochs_at_full_rate",
    "schedule.lr_decay_factor": "lr_decay_factor",
    "cell.name": "cell",
    "optimizer.name": "optimizer",
    "schedule.name": "schedule",
    "averaging.name": "averaging",
}
EQUAL_PARAMETERS_OPTIONS = {
    "equal_parameters.reference": ("lsmt", "5", "null", "''", "[lstm]"),
    "equal_parameters.cell": ("lsmt", "5", "null", "''", "[lstm]"),
    "equal_parameters.hidden_size": (*NOT_A_NUMBER, "0", "-1", "1.5", "99999999999999999999"),
    "equal_parameters.vocabulary_size": (*NOT_A_NUMBER, "0", "-1", "1.5", "99999999999999999999"),
}
SENTENCE_OPTIONS = {
    "data.max_length": ("abc", "0", "-1", "1.5", "nan", "''", "[1]", "true"),
    "data.truncation_side": ("end", "1", "null", "''", "[left]"),
    "data.padding_side": ("end", "1", "null", "''", "[left]"),
    "data.bucket_width": (*NOT_A_NUMBER, "0", "-1", "1.5", "99999999999999999999"),
}


BETAS = ("abc", "0.9", "null", "[0.9]", "[0.9,1]", "[-0.1,0.9]", "[0.9,nan]", "[0.9,true]", "{a: 1}")
EPS = (*NOT_A_NUMBER, "0", "-1", "1")

GROUPS = {
    "": WRONG,
    "optimizer=adamw": {"optimizer.betas": BETAS, "optimizer.eps": EPS},
    "optimizer=adam": {"optimizer.betas": BETAS, "optimizer.eps": EPS},
    "optimizer=rmsprop": {
        "optimizer.alpha": (*NOT_A_NUMBER, "-0.1", "1"),
        "optimizer.eps": EPS,
        "optimizer.momentum": (*NOT_A_NUMBER, "-0.1", "1"),
        "optimizer.centered": ("abc", "1", "0", "null", "''", "[true]", "nan"),
    },
    "optimizer=asgd": {
        "optimizer.lambd": (*NOT_A_NUMBER, "-0.1", "1"),
        "optimizer.alpha": (*NOT_A_NUMBER, "-0.1", "1.1"),
        "optimizer.t0": (*NOT_A_NUMBER, "-1"),
        "averaging": ("ema", "nt_asgd"),
    },
    "schedule=cosine": {
        "schedule.warmup_epochs": (*NOT_A_NUMBER, "-1", "25", "26"),
        "schedule.final_factor": (*NOT_A_NUMBER, "-0.1", "1.1"),
    },
    "schedule=one_cycle": {
        "schedule.warmup_fraction": (*NOT_A_NUMBER, "-1", "1"),
        "schedule.initial_factor": (*NOT_A_NUMBER, "-0.1", "1.1"),
        "schedule.final_factor": (*NOT_A_NUMBER, "-0.1", "1.1"),
    },
    "schedule=plateau": {
        "schedule.patience": (*NOT_A_NUMBER, "-1", "1.5"),
        "schedule.threshold": (*NOT_A_NUMBER, "-0.1", "1"),
        "lr_decay_factor": (*NOT_A_NUMBER, "1", "0.5"),
    },
    "averaging=ema": {"averaging.decay": (*NOT_A_NUMBER, "-0.1", "1")},
    "averaging=nt_asgd": {"averaging.patience": (*NOT_A_NUMBER, "0", "1.5")},
    "data.batching=sentences": SENTENCE_OPTIONS,
    "experiment=equal_parameters": EQUAL_PARAMETERS_OPTIONS,
}
CASES = [(other, name, values) for other, group in GROUPS.items() for name, values in group.items()]


@pytest.mark.parametrize(("other", "name", "values"), CASES)
def test_a_wrong_value_is_refused_in_one_sentence_that_names_the_option(other, name, values):
    refusals = {value: refusal(f"{name}={value}", *filter(None, [other])) for value in values}
    assert {value: sentence for value, sentence in refusals.items() if not names_only(name, sentence)} == {}


def names_only(name, sentence):
    """Return whether a refusal is one sentence that names the option, and advises to type no other one."""
    if sentence is None or READS.get(name, name) not in sentence or "\n" in sentence or "VALUE" in sentence:
        return False
    advised = {word.partition("=")[0] for word in sentence.partition(": type ")[2].split() if "=" in word}
    return advised <= {name, READS.get(name, name)}


@pytest.mark.parametrize(
    "override",
    [
        "dropout=0", "lr=1e-9", "lr_decay_factor=0.5", "epochs_at_full_rate=0", "seed=0", "seed=4294967295",
        "num_threads=null", "num_threads=1", "gpus_per_run=0", "gpus_per_run=0.25", "checkpoint_every_minutes=0.001",
        "resume=null", "data.max_length=null", "max_grad_norm=0.25", "experiment=demo",
    ],
)  # fmt: skip
def test_values_at_the_limits_are_taken(override):
    assert refusal(override) is None


def test_no_precision_is_refused():
    assert (
        refusal("precision=null")
        == "expected precision to be a precision of Lightning's, or auto, found null: type precision=auto"
    )


def test_a_decay_that_no_float_can_hold_is_refused():
    sentence = refusal("epochs=6000")
    assert sentence is not None
    assert "expected lr_decay_factor" in sentence
    advice = sentence.rpartition("type ")[2]
    check_config(with_value(with_value(composed(), "epochs=6000"), advice))


def test_a_schedule_that_does_not_decay_by_epochs_takes_any_number_of_them():
    assert refusal("schedule=plateau", "epochs=6000") is None


@pytest.mark.parametrize("option", ["random_seq_len", "partial_shuffle"])
def test_sentences_have_no_windows(option):
    sentence = refusal(f"{option}=true", "data.batching=sentences")
    assert sentence is not None
    assert sentence.startswith(f"expected data.batching=streams with {option}=true, found sentences")


def test_random_lengths_need_some_length():
    assert refusal("random_seq_len=true", "seq_len=10") is None
    sentence = refusal("random_seq_len=true", "seq_len=9")
    assert sentence == "expected seq_len of at least 10 with random_seq_len=true, found 9: type seq_len=10"


def test_weights_that_a_cell_lacks_cannot_be_dropped():
    assert refusal("weight_dropout=0.5", "cell=mogrifier_lstm") is None
    sentence = refusal("weight_dropout=0.5", "cell=min_gru")
    assert sentence is not None
    assert sentence.endswith("with weight_dropout=0.5, found min_gru: type weight_dropout=0")


def test_an_adaptive_softmax_has_matrices_of_its_own():
    assert refusal("softmax=adaptive", "cutoffs=[1000,5000]") is None
    tied = refusal("softmax=adaptive", "tie_weights=true")
    assert tied is not None
    assert tied.endswith("found true: type tie_weights=false")
    assert refusal("softmax=adaptive", "hidden_size=15") == (
        "expected last_hidden_size of at least 16 with softmax=adaptive and 2 cutoffs, found 15: type softmax=full"
    )


def test_one_layer_has_one_size():
    assert refusal("num_layers=1", "tie_weights=true", "embedding_size=30", "last_hidden_size=200") is None
    found = refusal("num_layers=1", "tie_weights=true", "embedding_size=30")
    assert found is not None
    assert found.endswith("found hidden_size=200 and last_hidden_size=30: type last_hidden_size=200")


@pytest.mark.parametrize(("tied", "size"), [("true", 30), ("false", 200)])
def test_the_last_layer_has_the_embeddings_size_with_tied_weights(tied, size):
    assert composed(f"tie_weights={tied}", "embedding_size=30").last_hidden_size == size


@pytest.mark.parametrize("data", sorted(SOURCES))
def test_no_corpus_has_an_option_of_the_batches(data):
    own = yaml.safe_load((CONFIGS / "data" / f"{data}.yaml").read_text(encoding="utf-8"))
    assert source_options(own | dict.fromkeys(BATCHING_OPTIONS)) == own
