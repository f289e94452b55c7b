import pytest

from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.evaluation.loading import load_saved_run
from lm.evaluation.own_text import own_sentences, own_words, warn_of_unknown

VOCABULARY = Vocabulary(["the", "cat", EOS, UNK])


def test_a_text_and_a_file_have_the_same_sentences(saved_run, tmp_path):
    text = "ada reads <eos> alan\n\n  grace sees\n<eos>"
    (tmp_path / "text").write_text(text, encoding="utf-8-sig")
    saved = load_saved_run(saved_run)
    found = own_sentences(saved, None, str(tmp_path / "text"))
    assert found == own_sentences(saved, text, None) == [["ada", "reads"], ["alan"], ["grace", "sees"]]


@pytest.mark.parametrize("text", ["", " <eos> \n"])
def test_a_text_without_a_word_is_refused(saved_run, text):
    with pytest.raises(ValueError, match="expected at least one word to score, found none"):
        own_sentences(load_saved_run(saved_run), text, None)


def test_eos_in_a_prompt_starts_a_new_sentence(saved_run):
    assert own_words(load_saved_run(saved_run), "ada <eos> alan") == ["ada", EOS, "alan"]


def test_unknown_words_are_named_once_with_the_known_spelling(capsys):
    warn_of_unknown(["The", "cat", "The", "dog", "<unk>"], VOCABULARY)
    assert capsys.readouterr().err == "warning: not in the vocabulary, read as <unk>: 'The' ('the' is), 'dog'\n"


def test_of_many_unknown_words_some_are_named(capsys):
    warn_of_unknown((f"w{number}" for number in range(2500)), VOCABULARY, shown=2)
    assert capsys.readouterr().err.endswith("'w0', 'w1' and 2,498 others\n")


def test_a_warning_cannot_control_the_terminal(capsys):
    warn_of_unknown(["\x1b[31mred"], VOCABULARY)
    assert "\x1b" not in capsys.readouterr().err


def test_known_words_need_no_warning(capsys):
    warn_of_unknown(["the", "cat"], VOCABULARY)
    assert capsys.readouterr().err == ""
