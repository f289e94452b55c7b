import pytest
import torch

from lm.config import typed
from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.generation.beam_search import Beam
from lm.generation.sampling import Sampling
from lm.generation.text_generation import GenerationOptions, generate
from lm.models.language_model import LanguageModel
from tests.bad_values import CHOICES, FLAGS, GROUPS, NUMBERS, composed, numbers_but
from tests.generation.small_models import small_model

VOCABULARY = Vocabulary([EOS, UNK, "a", "b", "c"])
BAD = {
    "prompt": ("null", "5", "[a]"),
    "length": numbers_but("null"),
    "max_new_tokens": NUMBERS,
    "stop_at_eos": FLAGS,
    "allow_unk": FLAGS,
    "num_samples": NUMBERS,
    "temperature": numbers_but("1.5"),
    "top_k": numbers_but("null"),
    "top_p": numbers_but("null"),
    "seed": numbers_but("0"),
    "beam": GROUPS,
    "beam.width": numbers_but("null"),
    "beam.length_penalty": ("-1000", "1000", "nan", "inf", "abc", "null", "''", "[1]", "true"),
    "beam.length_formula": CHOICES,
}


def options(*overrides):
    return typed(GenerationOptions, composed("generate", "run=FOLDER", *overrides))


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, values in BAD.items() for value in values])
def test_every_bad_value_of_every_option_is_one_sentence(option, value):
    beam = ["beam.width=2"] if option.startswith("beam.length") else []
    with pytest.raises(ValueError, match=rf"^expected {option} to be .*: type {option}=[^\n]+$"):
        options(*beam, f"{option}={value}")


def test_the_default_is_sampling_and_a_beam_with_a_width_is_beam_search():
    assert options().strategy == Sampling()
    assert options("beam.width=3", "beam.length_formula=average").strategy == Beam(3, 0.0, "average")
    with pytest.raises(ValueError, match=r"expected num_samples to be at most beam\.width=2, found 3"):
        options("beam.width=2", "num_samples=3")


def test_a_text_ends_with_its_maximum_of_tokens():
    generated = generate(small_model(), VOCABULARY, ["a", "b"], options("max_new_tokens=3", "stop_at_eos=false"))
    assert [len(text.ids) for text in generated.texts] == [3]
    assert (generated.prompt, generated.length) == (["a", "b"], None)
    assert generated.tokens_read == 3 + 2  # the prompt after <eos>, then each token but the last


def test_unk_is_suppressed_unless_it_is_allowed():
    for allow in (False, True):
        asked = options("num_samples=200", "max_new_tokens=4", f"allow_unk={allow}")
        found = generate(small_model(), VOCABULARY, [], asked).texts
        assert any(VOCABULARY.unk_id in text.ids for text in found) == allow


def length_conditioned():
    torch.manual_seed(0)
    return LanguageModel(5, "gru", 6, 4, init_range=1.5, length_conditioning=True).eval()


def test_a_length_is_asked_for_or_predicted():
    model = length_conditioned()
    assert generate(model, VOCABULARY, ["a"], options("length=7")).length == 7
    assert generate(model, VOCABULARY, ["a"], options()).length >= 1


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["length=40"], "leave room for length=40 and <eos>, found 30: type max_new_tokens=41"),
        (["length=1"], "expected length to be at least the number of words of the prompt, found 1 for 2"),
        (["stop_at_eos=false"], "expected stop_at_eos=true for a run with length_conditioning=true, found false"),
    ],
)
def test_what_length_conditioning_cannot_do_is_refused(overrides, sentence):
    with pytest.raises(ValueError, match=sentence):
        generate(length_conditioned(), VOCABULARY, ["a", "b"], options(*overrides))


def test_a_long_generation_shows_its_progress(monkeypatch, capsys):
    monkeypatch.setattr("lm.generation.text_generation.QUIET_SECONDS", 0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    generate(small_model(), VOCABULARY, [], options("max_new_tokens=50", "stop_at_eos=false"))
    shown = capsys.readouterr()
    assert "generating: " in shown.err
    assert shown.out == ""
