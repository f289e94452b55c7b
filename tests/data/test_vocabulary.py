from collections import Counter

import pytest

from lm.data.vocabulary import EOS, UNK, Vocabulary


def test_build_lists_frequent_words_first_and_ties_alphabetically():
    counts = Counter({"b": 2, "a": 2, "c": 5, EOS: 3})
    assert Vocabulary.build(counts).words == ("c", EOS, "a", "b", UNK)


def test_build_does_not_depend_on_the_order_of_counting():
    words = ["the", "cat", "saw", "the", "dog"]
    assert Vocabulary.build(Counter(words)).words == Vocabulary.build(Counter(reversed(words))).words


def test_build_always_holds_unknown_and_end():
    vocabulary = Vocabulary.build(Counter())
    assert set(vocabulary.words) == {UNK, EOS}


def test_min_count_leaves_out_rarer_words():
    vocabulary = Vocabulary.build(Counter({"a": 3, "b": 2, "c": 1}), min_count=2)
    assert set(vocabulary.words) == {"a", "b", UNK, EOS}


def test_max_vocab_size_counts_unknown_and_end():
    vocabulary = Vocabulary.build(Counter({"a": 3, "b": 2, "c": 1, UNK: 9}), max_vocab_size=4)
    assert set(vocabulary.words) == {"a", "b", UNK, EOS}


def test_a_word_that_is_not_listed_becomes_unknown_and_does_not_vanish():
    vocabulary = Vocabulary(["a", UNK, EOS])
    assert vocabulary.encode(["a", "zebra", "a", "<other>"]) == [0, 1, 0, 1]
    assert "zebra" not in vocabulary
    assert "a" in vocabulary


def test_decode_inverts_encode():
    vocabulary = Vocabulary([EOS, "a", UNK, "b"])
    assert len(vocabulary) == 4
    assert (vocabulary.eos_id, vocabulary.unk_id) == (0, 2)
    assert vocabulary.decode(vocabulary.encode(["b", "a", EOS])) == ["b", "a", EOS]


def test_a_word_given_twice_is_refused():
    with pytest.raises(ValueError, match="found 'a' twice"):
        Vocabulary(["a", "a", UNK, EOS])


@pytest.mark.parametrize("missing", [UNK, EOS])
def test_a_vocabulary_without_its_special_words_is_refused(missing):
    words = [word for word in ("a", UNK, EOS) if word != missing]
    with pytest.raises(ValueError, match=f"expected a vocabulary with {missing}"):
        Vocabulary(words)
