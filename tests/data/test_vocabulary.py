from collections import Counter

import pytest

from lm.data.vocabulary import END, UNKNOWN, Vocabulary


def test_build_lists_frequent_words_first_and_ties_alphabetically() -> None:
    counts = Counter({"b": 2, "a": 2, "c": 5, END: 3})
    assert Vocabulary.build(counts).words == ("c", END, "a", "b", UNKNOWN)


def test_build_does_not_depend_on_the_order_of_counting() -> None:
    words = ["the", "cat", "saw", "the", "dog"]
    assert Vocabulary.build(Counter(words)).words == Vocabulary.build(Counter(reversed(words))).words


def test_build_always_holds_unknown_and_end() -> None:
    vocabulary = Vocabulary.build(Counter())
    assert set(vocabulary.words) == {UNKNOWN, END}


def test_min_count_leaves_out_rarer_words() -> None:
    vocabulary = Vocabulary.build(Counter({"a": 3, "b": 2, "c": 1}), min_count=2)
    assert set(vocabulary.words) == {"a", "b", UNKNOWN, END}


def test_max_words_counts_unknown_and_end() -> None:
    vocabulary = Vocabulary.build(Counter({"a": 3, "b": 2, "c": 1, UNKNOWN: 9}), max_words=4)
    assert set(vocabulary.words) == {"a", "b", UNKNOWN, END}


def test_a_word_that_is_not_listed_becomes_unknown_and_does_not_vanish() -> None:
    vocabulary = Vocabulary(["a", UNKNOWN, END])
    assert vocabulary.encode(["a", "zebra", "a", "<other>"]) == [0, 1, 0, 1]
    assert "zebra" not in vocabulary
    assert "a" in vocabulary


def test_decode_inverts_encode() -> None:
    vocabulary = Vocabulary([END, "a", UNKNOWN, "b"])
    assert len(vocabulary) == 4
    assert (vocabulary.end_id, vocabulary.unknown_id) == (0, 2)
    assert vocabulary.decode(vocabulary.encode(["b", "a", END])) == ["b", "a", END]


def test_a_word_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is there twice"):
        Vocabulary(["a", "a", UNKNOWN, END])


@pytest.mark.parametrize("missing", [UNKNOWN, END])
def test_a_vocabulary_without_its_special_words_is_refused(missing: str) -> None:
    words = [word for word in ("a", UNKNOWN, END) if word != missing]
    with pytest.raises(ValueError, match=f"must hold {missing}"):
        Vocabulary(words)
