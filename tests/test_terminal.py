import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.terminal import literal, literal_options, warn_of_unknown

VOCABULARY = Vocabulary(["the", "cat", EOS, UNK])


def as_hydra_reads(argument):
    override = OverridesParser.create().parse_override(argument)
    assert not override.is_sweep_override()
    return OmegaConf.create({"value": override.value()}).value


@pytest.mark.parametrize(
    "value",
    [
        "multirun/x/cell=gru,dropout=0.25",
        'it \'s <unk> & "so" on',
        "a\\",
        "${oc.env:HOME}",
        "\\${a} {b}",
        "",
        "null",
        "N",
    ],
)
def test_a_value_reaches_the_config_as_it_was_typed(value):
    assert as_hydra_reads(literal(f"text={value}", ["text"])) == value


@given(st.text(st.sampled_from("ab '\"\\${}[](),=:<>#\n")))
def test_no_character_is_special(value):
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if not quoted:
        assert as_hydra_reads(literal(f"text={value}", ["text"])) == value


def test_a_value_that_is_quoted_for_hydra_stays_so():
    assert literal("text='a, b'", ["text"]) == "text='a, b'"


@pytest.mark.parametrize("argument", ["split=test", "text", "--help", "beam.width=2"])
def test_other_arguments_are_left_alone(argument):
    assert literal(argument, ["text"]) == argument


@pytest.mark.parametrize(("typed", "seen"), [(["run=a,b"], ["run='a,b'"]), (["-m", "run=a,b"], ["-m", "run=a,b"])])
def test_the_command_sees_quoted_values_but_not_in_a_sweep(monkeypatch, typed, seen):
    monkeypatch.setattr(sys, "argv", ["lm.evaluate", *typed])
    arguments = []
    literal_options("run")(lambda: arguments.extend(sys.argv[1:]))()
    assert arguments == seen


def test_unknown_words_are_named_once_with_what_is_known_instead(capsys):
    warn_of_unknown(["The", "cat", "The", "dog", "<unk>"], VOCABULARY)
    assert capsys.readouterr().err == "warning: not in the vocabulary, read as <unk>: 'The' ('the' is), 'dog'\n"


def test_of_many_unknown_words_some_are_named(capsys):
    warn_of_unknown((f"w{number}" for number in range(25)), VOCABULARY, shown=2)
    assert capsys.readouterr().err.endswith("'w0', 'w1' and 23 others\n")


def test_known_words_are_no_reason_to_warn(capsys):
    warn_of_unknown(["the", "cat"], VOCABULARY)
    assert capsys.readouterr().err == ""
