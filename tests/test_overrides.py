import re
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from lm.overrides import literal, quote_override, requote, split_arguments, typed_command

NAMES = ("text", "data.dir", "resume")
CHARACTERS = "ab '\"\\${}[](),=:<>#\n"


def as_hydra_reads(override: str) -> object:
    parsed = OverridesParser.create().parse_override(override)
    assert not parsed.is_sweep_override()
    return OmegaConf.create({"value": parsed.value()}).value


@pytest.mark.parametrize(
    "value",
    ["multirun/x/cell=gru,dropout=0.25", 'it \'s <unk> & "so" on', "a\\", "${oc.env:HOME}", "\\${a} {b}", "", "N"],
)
@pytest.mark.parametrize("name", ["text", "data.dir"])
def test_a_literal_option_reaches_the_config_as_it_was_typed(name: str, value: str):
    assert as_hydra_reads(literal(f"{name}={value}", NAMES)) == value


@given(st.text(st.sampled_from(CHARACTERS)))
def test_no_character_of_a_literal_option_is_special(value: str):
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if not quoted:
        assert as_hydra_reads(literal(f"text={value}", NAMES)) == value


@given(st.text(st.sampled_from(CHARACTERS)), st.sampled_from(["resume", "hydra.sweep.dir", "hydra.run.dir"]))
def test_what_is_printed_can_be_typed(value: str, name: str):
    """A shell splits the command; this project and Hydra read it."""
    words = shlex.split(typed_command("lm.train", (name, value), ("cell", "gru"), flags=["-m"]))
    assert words[:3] == ["python", "-m", "lm.train"]
    overrides, flags = split_arguments(words[3:], NAMES)
    assert as_hydra_reads(overrides[0]) == value
    assert (overrides[1:], flags) == (["cell=gru"], ["-m"])


@pytest.mark.parametrize("value", ["a=b,c", "{x}", "it's", "two words", "$HOME", "${x}", "null", 'say "so"', "a\\"])
def test_folders_with_special_characters_are_quoted_for_shell_and_hydra(value: str):
    [override] = shlex.split(quote_override("hydra.sweep.dir", value))
    assert as_hydra_reads(override) == value


def test_plain_values_are_printed_without_quotes():
    assert typed_command("lm.train", ("resume", "outputs/2025-01-31/a_b")) == (
        "python -m lm.train resume=outputs/2025-01-31/a_b"
    )


@pytest.mark.parametrize(
    ("override", "printed"),
    [
        ("data.dir='/home/me/ptb'", "data.dir=/home/me/ptb"),
        ("data.dir='/my texts'", "'data.dir=\"/my texts\"'"),
        ("data.dir='it\\'s'", "'data.dir=\"it'\"'\"'s\"'"),
        ("data.dir='null'", "'data.dir=\"null\"'"),
        ("data.dir='5'", "'data.dir=\"5\"'"),
        ("cell=lstm,gru", "cell=lstm,gru"),
        ("dropout=interval(0,0.5)", "'dropout=interval(0,0.5)'"),
        ("~trainer.strategy", "'~trainer.strategy'"),
    ],
)
def test_a_recorded_override_is_printed_with_the_quotes_that_it_needs(override: str, printed: str):
    assert requote(override) == printed


@given(st.text(st.sampled_from(CHARACTERS)))
def test_a_recorded_override_that_is_printed_can_be_typed(value: str):
    recorded = literal(f"data.dir={value}", NAMES)
    [override], _ = split_arguments(shlex.split(requote(recorded)), NAMES)
    assert as_hydra_reads(override) == as_hydra_reads(recorded)


@pytest.mark.parametrize("name", ["hydra.run.dir", "++hydra.run.dir", "hydra.sweep.dir"])
def test_hydras_folders_are_literal_but_keep_its_interpolations(name: str):
    assert as_hydra_reads(literal(f"{name}=a,b={{c}} it's", NAMES)) == "a,b={c} it's"
    assert as_hydra_reads(literal(f"{name}=runs/${{oc.decode:five}}", NAMES)) == "runs/five"


def test_the_home_folder_is_that_of_the_shell(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    for name in ("hydra.run.dir", "++hydra.sweep.dir", "data.dir"):
        assert as_hydra_reads(literal(f"{name}=~/a,b", NAMES)) == "/home/ada/a,b"
    assert as_hydra_reads(literal("text=~/a", NAMES)) == "~/a"


@pytest.mark.parametrize("name", ["resume", "data.dir", "hydra.sweep.dir"])
def test_null_for_a_folder_means_null(name: str):
    assert as_hydra_reads(literal(f"{name}=null", NAMES)) is None


def test_null_in_a_text_is_a_word():
    assert as_hydra_reads(literal("text=null", NAMES)) == "null"


def test_a_value_that_is_quoted_for_hydra_stays_so():
    assert literal("text='a, b'", NAMES) == "text='a, b'"


@pytest.mark.parametrize("override", ["split=test", "~text", "beam.width=2"])
def test_other_overrides_are_left_alone(override: str):
    assert literal(override, NAMES) == override


def test_in_a_sweep_a_comma_separates_values_unless_a_folder_has_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert literal("data.dir=a,b", NAMES, multirun=True) == "data.dir=a,b"
    (tmp_path / "a,b").mkdir()
    assert as_hydra_reads(literal("data.dir=a,b", NAMES, multirun=True)) == "a,b"
    assert as_hydra_reads(literal("data.dir=x=it's", NAMES, multirun=True)) == "x=it's"
    (tmp_path / "x=c,d").mkdir()
    assert literal("data.dir=a,b,x=c,d,a,b", NAMES, multirun=True) == "data.dir='a,b','x=c,d','a,b'"
    assert literal("data.dir=x=c,*", NAMES, multirun=True) == "data.dir='x=c,*'"


@pytest.mark.parametrize(
    ("arguments", "overrides", "flags"),
    [
        (["data=text", "-m", "seed=1,2"], ["data=text", "seed=1,2"], ["-m"]),
        (["a=1", "--cfg", "job", "b=2", "--resolve"], ["a=1", "b=2"], ["--cfg", "job", "--resolve"]),
        (["--config-dir", "my=configs", "a=1"], ["a=1"], ["--config-dir", "my=configs"]),
        (["-m"], [], ["-m"]),
        (["~trainer", "+x=1", "--multirun", "a=1"], ["~trainer", "+x=1", "a=1"], ["--multirun"]),
    ],
)
def test_flags_may_stand_between_overrides(arguments: list[str], overrides: list[str], flags: list[str]):
    assert split_arguments(arguments, ()) == (overrides, flags)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("dropout", "expected an option as name=value, found dropout: --cfg job shows all with their values"),
        ("lr=[", "expected an option as name=value, found lr=[: type 'lr=\"[\"'"),
        ("cell=lstm,gru", "expected one value without -m, found cell=lstm,gru: type -m cell=lstm,gru"),
        ("hydra.run.dir=", "expected hydra.run.dir to be a folder, found '': leave it out"),
        ("hydra.sweep.dir=null", "expected hydra.sweep.dir to be a folder, found null: leave it out"),
    ],
)
def test_what_hydra_cannot_read_is_refused_in_one_sentence(argument: str, sentence: str):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        split_arguments([argument], NAMES)
