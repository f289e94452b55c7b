from itertools import chain, combinations, islice

import numpy as np
import pytest
import torch

from lm.data.bptt import IGNORE_INDEX
from lm.data.sentences import Sentences, right_pad
from tests.data.toy_sentences import EOS, pairs, random_text

LETTERS = ".abcdef"
DRAWN = torch.tensor([LETTERS.index(letter) for letter in "ab.cde.f."])  # the text of the module's drawing


def letters(ids_TB, padded_TB):
    """Return the columns of the grid, sorted."""
    marks = [["-" if p else LETTERS[i] for i, p in zip(*rows, strict=True)] for rows in zip(ids_TB, padded_TB)]  # noqa: B905
    return sorted("".join(column) for column in zip(*marks, strict=True))


def grid(**options):
    [batch] = Sentences(DRAWN, EOS, 3, **options)
    padded_TB = batch.targets_TB == IGNORE_INDEX
    return letters(batch.inputs_TB, padded_TB), letters(batch.targets_TB, padded_TB)


@pytest.mark.parametrize(
    ("options", "inputs", "targets"),
    [
        ({}, [".ab-", ".cde", ".f--"], ["ab.-", "cde.", "f.--"]),
        ({"padding_side": "left"}, ["--.f", "-.ab", ".cde"], ["--f.", "-ab.", "cde."]),
        ({"max_length": 3}, [".ab", ".cd", ".f-"], ["ab.", "cde", "f.-"]),
        ({"max_length": 3, "truncation_side": "left"}, [".ab", ".f-", "cde"], ["ab.", "de.", "f.-"]),
        ({"max_length": 1, "truncation_side": "left"}, ["b", "e", "f"], [".", ".", "."]),
    ],
)
def test_the_grids_are_the_ones_drawn_in_the_module(options, inputs, targets):
    assert grid(**options) == (inputs, targets)


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_every_word_and_every_end_is_a_target_once_after_the_word_before_it(batch_size, seed, padding_side):
    text, ids = random_text()
    batches = Sentences(ids, EOS, batch_size, padding_side=padding_side, seed=seed, bucket_width=3)
    expected = [pair for words in text for pair in zip([EOS, *words], [*words, EOS], strict=True)]
    assert sorted(pair for batch in batches for pair in pairs(batch)) == sorted(expected)
    assert batches.num_targets == len(ids)
    assert batches.num_truncated == 0


def test_an_epoch_has_as_many_batches_as_it_says():
    assert len(list(batches := Sentences(random_text()[1], EOS, 4))) == len(batches) == 15


@pytest.mark.parametrize("truncation_side", ["left", "right"])
def test_truncation_keeps_the_other_side_of_long_sentences(truncation_side):
    text, ids = random_text()
    batches = Sentences(ids, EOS, 4, max_length=5, truncation_side=truncation_side)
    kept = [pairs(Sentences(torch.tensor([*words, EOS]), EOS, 1).batch(torch.tensor([0]))) for words in text]
    kept = [sentence[-5:] if truncation_side == "left" else sentence[:5] for sentence in kept]
    assert sorted(pair for batch in batches for pair in pairs(batch)) == sorted(chain(*kept))
    assert batches.num_truncated == len(ids) - batches.num_targets == len(ids) - sum(map(len, kept))


@pytest.mark.parametrize("truncation_side", ["left", "right"])
def test_the_remaining_words_are_those_of_the_whole_sentence(truncation_side):
    text, ids = random_text()
    after = {word: len(words) - place for words in text for place, word in enumerate(words)}
    for batch in Sentences(ids, EOS, 4, max_length=5, truncation_side=truncation_side):
        for target, left in zip(
            batch.targets_TB.flatten().tolist(), batch.remaining_TB.flatten().tolist(), strict=True
        ):
            assert left == after.get(target, 0)


@pytest.mark.parametrize("bucket_width", [1, 2, 5])
def test_the_order_of_an_epoch_is_random_within_a_bucket_and_of_batches(bucket_width):
    """As drawn by numpy: one number per sentence, then a permutation of the batches."""
    batches = Sentences(random_text(200)[1], EOS, 7, seed=3, bucket_width=bucket_width)
    generator = np.random.default_rng([3, 2])
    chance, lengths = generator.random(200), [len(words) + 1 for words in random_text(200)[0]]
    order = sorted(range(200), key=lambda index: lengths[index] // bucket_width + chance[index])
    cut = [order[start : start + 7] for start in range(0, 200, 7)]
    assert [batch.tolist() for batch in batches.batches(2)] == [cut[index] for index in generator.permutation(len(cut))]


def test_sentences_of_a_batch_are_of_similar_length():
    batches = Sentences(random_text(200)[1], EOS, 5, bucket_width=3, seed=1)
    lengths = [(batch.targets_TB != IGNORE_INDEX).sum(0) for batch in batches]
    # Only a batch across the edge of two buckets has more than three lengths.
    assert sum(int(lengths_B.max() - lengths_B.min()) >= 3 for lengths_B in lengths) <= 13 // 3


@pytest.mark.parametrize("bucket_width", [1, 4])
def test_the_fraction_of_padding_is_that_of_the_first_epoch(bucket_width):
    batches = Sentences(random_text()[1], EOS, 4, seed=3, bucket_width=bucket_width)
    places = torch.cat([batch.targets_TB.flatten() for batch in batches])
    assert batches.padding == pytest.approx((places == IGNORE_INDEX).double().mean().item())


def test_wider_buckets_mean_more_padding():
    fractions = [Sentences(random_text(400)[1], EOS, 4, seed=3, bucket_width=width).padding for width in (1, 4, 100)]
    assert fractions == sorted(fractions)
    assert fractions[0] < 0.05 < fractions[2]


def order(batches, epoch):
    batches.set_epoch(epoch)
    return [pairs(batch) for batch in batches]


def test_another_epoch_and_another_seed_have_another_order():
    sentences = [Sentences(random_text()[1], EOS, 4, seed=seed) for seed in (1, 2)]
    orders = [order(batches, epoch) for batches in sentences for epoch in (0, 1)]
    assert orders == [order(batches, epoch) for batches in sentences for epoch in (0, 1)]
    assert all(one != other for one, other in combinations(orders, 2))


@pytest.mark.parametrize("read", [1, 7, 14])
def test_a_loaded_position_is_resumed_from_once_in_the_same_order(read):
    interrupted, resumed = (Sentences(random_text()[1], EOS, 4, seed=1) for _ in range(2))
    whole = order(interrupted, 3)
    assert [pairs(batch) for batch in islice(interrupted, read)] == whole[:read]
    resumed.load_state_dict(interrupted.state_dict())
    assert [pairs(batch) for batch in resumed] == whole[read:]
    assert [pairs(batch) for batch in resumed] == whole


def test_a_position_after_the_last_batch_is_the_start_of_an_epoch():
    batches = Sentences(random_text()[1], EOS, 4, seed=1)
    list(batches)
    batches.load_state_dict(batches.state_dict())
    assert len(list(batches)) == len(batches)


def test_padding_is_moved_behind_the_words_from_either_side():
    text = random_text()[1]
    for one, other in zip(
        Sentences(text, EOS, 4, padding_side="left"), Sentences(text, EOS, 4, padding_side="right"), strict=True
    ):
        for moved_TB, expected_TB in zip(right_pad(one), right_pad(other), strict=True):
            assert torch.equal(moved_TB, expected_TB)
        assert torch.equal(right_pad(other).targets_TB, other.targets_TB)
