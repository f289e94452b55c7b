from itertools import chain, combinations, islice

import pytest
import torch

from lm.data.bptt import PADDING
from lm.data.sentences import Sentences, padding_last

LETTERS = ".abcdef"
END = 0
DRAWN = torch.tensor([LETTERS.index(letter) for letter in "ab.cde.f."])  # the text of the module's drawing


def letters(ids_TB, padded_TB):
    """The grid, each column in the order of its sentences' first letters."""
    marks = [["-" if p else LETTERS[i] for i, p in zip(*rows, strict=True)] for rows in zip(ids_TB, padded_TB)]  # noqa: B905
    return sorted("".join(column) for column in zip(*marks, strict=True))


def grid(**options):
    [batch] = Sentences(DRAWN, END, 3, **options)
    padded_TB = batch.targets_TB == PADDING
    return letters(batch.inputs_TB, padded_TB), letters(batch.targets_TB, padded_TB)


def random_text(sentences=57, seed=0):
    """Sentences of 0 to 12 words, every word another one; a list of lists, and the ids with END after each."""
    lengths = torch.randint(13, (sentences,), generator=torch.Generator().manual_seed(seed)).tolist()
    words = iter(range(1, 10_000))
    text = [[next(words) for _ in range(length)] for length in lengths]
    return text, torch.tensor([word for sentence in text for word in (*sentence, END)], dtype=torch.int32)


def pairs(batch):
    """Every input with its target, where there is one."""
    real_TB = batch.targets_TB != PADDING
    return list(zip(batch.inputs_TB[real_TB].tolist(), batch.targets_TB[real_TB].tolist(), strict=True))


@pytest.mark.parametrize(
    ("options", "inputs", "targets"),
    [
        ({}, [".ab-", ".cde", ".f--"], ["ab.-", "cde.", "f.--"]),
        ({"pad": "beginning"}, ["--.f", "-.ab", ".cde"], ["--f.", "-ab.", "cde."]),
        ({"max_len": 3}, [".ab", ".cd", ".f-"], ["ab.", "cde", "f.-"]),
        ({"max_len": 3, "trim": "beginning"}, [".ab", ".f-", "cde"], ["ab.", "de.", "f.-"]),
        ({"max_len": 1, "trim": "beginning"}, ["b", "e", "f"], [".", ".", "."]),
    ],
)
def test_the_grids_are_the_ones_drawn_in_the_module(options, inputs, targets):
    assert grid(**options) == (inputs, targets)


@pytest.mark.parametrize("pad", ["beginning", "end"])
@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_every_word_and_every_end_is_a_target_once_after_the_word_before_it(batch_size, seed, pad):
    text, ids = random_text()
    batches = Sentences(ids, END, batch_size, pad=pad, seed=seed, bucket_width=3)
    expected = [pair for words in text for pair in zip([END, *words], [*words, END], strict=True)]
    assert sorted(pair for batch in batches for pair in pairs(batch)) == sorted(expected)
    assert batches.num_targets == len(ids)
    assert batches.num_trimmed == 0


def test_an_epoch_has_as_many_batches_as_it_says():
    assert len(list(batches := Sentences(random_text()[1], END, 4))) == len(batches) == 15


@pytest.mark.parametrize("trim", ["beginning", "end"])
def test_trimming_keeps_the_other_end_of_long_sentences(trim):
    text, ids = random_text()
    batches = Sentences(ids, END, 4, max_len=5, trim=trim)
    kept = [pairs(Sentences(torch.tensor([*words, END]), END, 1).window(torch.tensor([0]))) for words in text]
    kept = [sentence[-5:] if trim == "beginning" else sentence[:5] for sentence in kept]
    assert sorted(pair for batch in batches for pair in pairs(batch)) == sorted(chain(*kept))
    assert batches.num_trimmed == len(ids) - batches.num_targets == len(ids) - sum(map(len, kept))


@pytest.mark.parametrize("trim", ["beginning", "end"])
def test_the_words_that_are_left_are_those_of_the_whole_sentence(trim):
    text, ids = random_text()
    after = {word: len(words) - place for words in text for place, word in enumerate(words)}
    for batch in Sentences(ids, END, 4, max_len=5, trim=trim):
        for target, left in zip(batch.targets_TB.flatten().tolist(), batch.left_TB.flatten().tolist(), strict=True):
            assert left == after.get(target, 0)


def test_sentences_of_a_batch_are_of_similar_length():
    batches = Sentences(random_text(200)[1], END, 5, bucket_width=3, seed=1)
    lengths = [(batch.targets_TB != PADDING).sum(0) for batch in batches]
    # Only a batch across the edge of two buckets has more than three lengths.
    assert sum(int(lengths_B.max() - lengths_B.min()) >= 3 for lengths_B in lengths) <= 13 // 3


@pytest.mark.parametrize("bucket_width", [1, 4])
def test_the_share_of_padding_is_that_of_the_first_epoch(bucket_width):
    batches = Sentences(random_text()[1], END, 4, seed=3, bucket_width=bucket_width)
    places = torch.cat([batch.targets_TB.flatten() for batch in batches])
    assert batches.padding == pytest.approx((places == PADDING).double().mean().item())


def test_wider_buckets_mean_more_padding():
    shares = [Sentences(random_text(400)[1], END, 4, seed=3, bucket_width=width).padding for width in (1, 4, 100)]
    assert shares == sorted(shares)
    assert shares[0] < 0.05 < shares[2]


def order(batches, epoch):
    batches.set_epoch(epoch)
    return [pairs(batch) for batch in batches]


def test_another_epoch_and_another_seed_have_another_order():
    sentences = [Sentences(random_text()[1], END, 4, seed=seed) for seed in (1, 2)]
    orders = [order(batches, epoch) for batches in sentences for epoch in (0, 1)]
    assert orders == [order(batches, epoch) for batches in sentences for epoch in (0, 1)]
    assert all(one != other for one, other in combinations(orders, 2))


@pytest.mark.parametrize("read", [1, 7, 14])
def test_a_loaded_position_is_gone_on_from_once_in_the_same_order(read):
    interrupted, resumed = (Sentences(random_text()[1], END, 4, seed=1) for _ in range(2))
    whole = order(interrupted, 3)
    assert [pairs(batch) for batch in islice(interrupted, read)] == whole[:read]
    resumed.load_state_dict(interrupted.state_dict())
    assert [pairs(batch) for batch in resumed] == whole[read:]
    assert [pairs(batch) for batch in resumed] == whole


def test_a_position_after_the_last_batch_is_the_start_of_an_epoch():
    batches = Sentences(random_text()[1], END, 4, seed=1)
    list(batches)
    batches.load_state_dict(batches.state_dict())
    assert len(list(batches)) == len(batches)


def test_padding_is_moved_behind_the_words_wherever_it_stood():
    text = random_text()[1]
    for one, other in zip(Sentences(text, END, 4, pad="beginning"), Sentences(text, END, 4, pad="end"), strict=True):
        for moved_TB, expected_TB in zip(padding_last(one), padding_last(other), strict=True):
            assert torch.equal(moved_TB, expected_TB)
        assert torch.equal(padding_last(other).targets_TB, other.targets_TB)
