import hashlib

import pytest

from lm.data.sources.source import check_vocabulary_limits, digest


def test_a_digest_is_the_sha256_of_the_values_as_json():
    assert digest("a", 1, None) == hashlib.sha256(b'["a", 1, null]').hexdigest()


def test_values_that_differ_have_different_digests():
    values = [("ab",), ("a", "b"), (["a", "b"],), ("a,b",), (1,), ("1",), (True,), (None,), ("",), ()]
    assert len({digest(*parts) for parts in values}) == len(values)


def test_the_order_of_options_does_not_change_a_digest():
    assert digest({"lowercase": True, "min_count": 2}) == digest({"min_count": 2, "lowercase": True})


@pytest.mark.parametrize(("min_count", "max_vocab_size"), [(1, None), (1, 3), (10**6, 10_000)])
def test_limits_that_leave_a_word_are_accepted(min_count, max_vocab_size):
    check_vocabulary_limits(min_count, max_vocab_size)


@pytest.mark.parametrize(
    ("min_count", "max_vocab_size", "sentence"),
    [
        (0, None, "expected data.min_count to be a whole number of at least 1, found 0: type data.min_count=2"),
        (None, None, "expected data.min_count to be a whole number of at least 1, found null: type data.min_count=2"),
        (1, 2, "expected data.max_vocab_size to be a whole number of at least 3 or null, found 2: type data.max_vocab"),
    ],
)
def test_limits_that_leave_no_word_are_refused(min_count, max_vocab_size, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        check_vocabulary_limits(min_count, max_vocab_size)
