import pytest

from lm.models.cutoffs import check_clusters, check_cutoffs, vocabulary_cutoffs


@pytest.mark.parametrize("cutoffs", [None, [1], [2000, 10_000]])
def test_cutoffs_increase(cutoffs):
    check_cutoffs("cutoffs", cutoffs)


@pytest.mark.parametrize("cutoffs", [[], [0], [5, 5], [5, 4], [2.5], [True], 7, "7", {}])
def test_other_cutoffs_are_refused(cutoffs):
    with pytest.raises(
        ValueError, match=r"expected cutoffs to be a list of increasing .*: type cutoffs=\[2000,10000\]$"
    ):
        check_cutoffs("cutoffs", cutoffs)


def test_the_default_cutoffs_are_shares_of_the_vocabulary():
    assert vocabulary_cutoffs(10_000, None) == [156, 1250]
    assert vocabulary_cutoffs(3, None) == [1, 2]


def test_cutoffs_lie_within_the_vocabulary():
    assert vocabulary_cutoffs(101, [10, 100]) == [10, 100]
    with pytest.raises(ValueError, match=r"expected cutoffs below 100, .* found \[10, 100\]: type cutoffs=null"):
        vocabulary_cutoffs(100, [10, 100])
    with pytest.raises(ValueError, match="softmax=full"):
        vocabulary_cutoffs(2, None)


def test_each_cluster_divides_the_hidden_size():
    check_clusters(64, [1, 2, 3])
    check_clusters(16, None)
    with pytest.raises(ValueError, match=r"last_hidden_size of at least 64 .* 3 cutoffs, found 63: type softmax=full"):
        check_clusters(63, [1, 2, 3])
