from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.terminal import warn_of_unknown

VOCABULARY = Vocabulary(["the", "cat", EOS, UNK])


def test_unknown_words_are_named_once_with_what_is_known_instead(capsys):
    warn_of_unknown(["The", "cat", "The", "dog", "<unk>"], VOCABULARY)
    assert capsys.readouterr().err == "warning: not in the vocabulary, read as <unk>: 'The' ('the' is), 'dog'\n"


def test_of_many_unknown_words_some_are_named(capsys):
    warn_of_unknown((f"w{number}" for number in range(25)), VOCABULARY, shown=2)
    assert capsys.readouterr().err.endswith("'w0', 'w1' and 23 others\n")


def test_known_words_are_no_reason_to_warn(capsys):
    warn_of_unknown(["the", "cat"], VOCABULARY)
    assert capsys.readouterr().err == ""
