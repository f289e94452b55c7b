import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from lm.data.bptt import IGNORE_INDEX, BPTTBatches, random_edges
from lm.data.shard import Shard

ALPHABET = torch.arange(11)  # a to k: ten targets


def letters(ids_TB):
    return [" ".join("." if i == IGNORE_INDEX else "abcdefghijk"[i] for i in row) for row in ids_TB.tolist()]


def test_the_grid_is_the_one_drawn_in_the_module():
    first, second = BPTTBatches(ALPHABET, batch_size=3, seq_len=2)
    assert letters(first.inputs_TB) == ["a e h", "b f i"]
    assert letters(first.targets_TB) == ["b f i", "c g j"]
    assert [row[:1] for row in letters(second.inputs_TB)] == ["c", "d"]
    assert letters(second.targets_TB) == ["d h k", "e . ."]


def test_the_columns_with_warmup_tokens_are_those_drawn_in_the_module():
    (batch,) = batches = BPTTBatches(ALPHABET, batch_size=3, seq_len=9, warmup_tokens=2)
    assert [row[:3] for row in letters(batch.inputs_TB)] == ["a d", "b e", "c f", "d g", "e h"]
    assert [row[4:] for row in letters(batch.inputs_TB)][:4] == ["g", "h", "i", "j"]
    assert letters(batch.targets_TB) == ["b . .", "c . .", "d g j", "e h k", "f i ."]
    assert batches.state == "carried, after 2 words"


@pytest.mark.parametrize("warmup_tokens", [1, 4, 30])
@pytest.mark.parametrize(("length", "batch_size"), [(50, 1), (50, 3), (50, 19), (51, 20)])
def test_with_warmup_tokens_too_every_word_is_a_target_once_after_the_word_before_it(length, batch_size, warmup_tokens):
    targets = []
    for batch in BPTTBatches(torch.arange(length), batch_size, 7, warmup_tokens=warmup_tokens):
        scored = batch.targets_TB != IGNORE_INDEX
        assert torch.equal(batch.inputs_TB[scored] + 1, batch.targets_TB[scored])
        targets += batch.targets_TB[scored].tolist()
    assert sorted(targets) == list(range(1, length))


@pytest.mark.parametrize("warmup_tokens", [0, 5])
def test_devices_divide_the_columns_of_one(warmup_tokens):
    whole = list(BPTTBatches(torch.arange(100), 7, 8, warmup_tokens=warmup_tokens))
    shards = [list(BPTTBatches(torch.arange(100), 7, 8, Shard(rank, 3), warmup_tokens)) for rank in range(3)]
    for batch, *parts in zip(whole, *shards, strict=True):
        assert torch.equal(batch.targets_TB, torch.cat([part.targets_TB for part in parts], dim=1))


@pytest.mark.parametrize(("length", "batch_size"), [(2, 1), (7, 2), (7, 6), (50, 3), (50, 20), (101, 20), (101, 1)])
@pytest.mark.parametrize("seq_len", [1, 3, 20, 1000])
def test_every_word_but_the_first_is_a_target_exactly_once(length, batch_size, seq_len):
    ids = torch.randperm(length)
    targets = torch.cat([batch.targets_TB.flatten() for batch in BPTTBatches(ids, batch_size, seq_len)])
    assert sorted(targets[targets != IGNORE_INDEX].tolist()) == sorted(ids[1:].tolist())


def test_an_input_is_always_the_word_before_its_target():
    for batch in BPTTBatches(torch.arange(1000), batch_size=7, seq_len=9):
        scored = batch.targets_TB != IGNORE_INDEX
        assert torch.equal(batch.inputs_TB[scored] + 1, batch.targets_TB[scored])


def test_a_column_continues_where_its_last_batch_ended():
    batches = list(BPTTBatches(torch.arange(1000), batch_size=7, seq_len=9))
    for batch, following in pairwise(batches[:-1]):
        assert torch.equal(batch.targets_TB[-1], following.inputs_TB[0])


def test_the_number_of_batches_is_known_and_the_last_is_shorter():
    batches = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    lengths = [len(batch.targets_TB) for batch in batches]
    assert lengths == [10, 10, 5]
    assert len(batches) == 3


def test_every_iteration_starts_at_the_first_batch_even_after_an_interrupted_one():
    batches = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    assert next(iter(batches)).inputs_TB[0, 0] == 0
    assert next(iter(batches)).inputs_TB[0, 0] == 0
    assert len(list(batches)) == 3


def test_a_loaded_position_is_resumed_from_once():
    interrupted = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    batches = iter(interrupted)
    next(batches)
    resumed = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    resumed.load_state_dict(interrupted.state_dict())
    assert torch.equal(next(iter(resumed)).inputs_TB, next(batches).inputs_TB)
    assert len(list(resumed)) == 3


def test_a_position_after_the_last_batch_is_the_start_of_the_next_epoch():
    batches = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    list(batches)
    batches.load_state_dict(batches.state_dict())
    assert len(list(batches)) == 3


def test_more_columns_than_targets_are_refused_with_the_number_to_type():
    sentence = "expected the valid split to have more words than batch_size=11, found 11: type batch_size=10 or less"
    with pytest.raises(ValueError, match=sentence):
        BPTTBatches(ALPHABET, batch_size=11, seq_len=2, name="valid split")


@pytest.mark.parametrize(
    ("words", "warmup", "advice"), [(1, 0, ""), (4, 3, ""), (8, 3, "type batch_size=4 or less, or ")]
)
def test_a_batch_size_is_only_advised_if_it_would_do(words, warmup, advice):
    with pytest.raises(ValueError, match=rf"batch_size=5, found {words}: {advice}use a longer text$"):
        BPTTBatches(torch.arange(words), batch_size=5, seq_len=2, warmup_tokens=warmup)


BOTH = {"random_seq_len": True, "partial_shuffle": True}


def epoch_of(batches, epoch):
    batches.set_epoch(epoch)
    return list(batches)


def test_the_rotated_columns_are_those_drawn_in_the_module(monkeypatch):
    batches = BPTTBatches(ALPHABET, batch_size=3, seq_len=4, partial_shuffle=True)
    batches._offsets_B = torch.tensor([1, 2, 0])
    [batch] = batches
    assert letters(batch.inputs_TB[:3]) == ["b g h", "c e i", "d f j"]
    assert letters(batch.inputs_TB[3:, :1]) == ["a"]
    assert letters(batch.targets_TB) == ["c h i", "d f j", "e g k", "b . ."]


@pytest.mark.parametrize("options", [BOTH, {"random_seq_len": True}, {"partial_shuffle": True}])
@pytest.mark.parametrize(("length", "batch_size"), [(2, 1), (7, 6), (500, 3), (1001, 20)])
def test_every_word_is_a_target_once_in_every_epoch_after_the_word_before_it(length, batch_size, options):
    batches = BPTTBatches(torch.arange(length), batch_size, 12, **options)
    for epoch in range(4):
        targets = []
        for batch in epoch_of(batches, epoch):
            scored = batch.targets_TB != IGNORE_INDEX
            assert torch.equal(batch.inputs_TB[scored] + 1, batch.targets_TB[scored])
            targets += batch.targets_TB[scored].tolist()
        assert sorted(targets) == list(range(1, length))


def test_a_rotated_column_begins_at_a_random_row_and_continues_at_its_beginning():
    columns, rows = 5, 200
    batches = BPTTBatches(torch.arange(columns * rows + 1), columns, 30, partial_shuffle=True, seed=3)
    starts = set()
    for epoch in range(3):
        inputs_TB = torch.cat([batch.inputs_TB for batch in epoch_of(batches, epoch)])
        for column in range(columns):
            first = int(inputs_TB[0, column]) - column * rows
            expected = [column * rows + (first + row) % rows for row in range(rows)]
            assert inputs_TB[:, column].tolist() == expected
            starts.add(first)
    assert len(starts) > 12


def awd_lstm_lengths(number, base, draw):
    """The loop of AWD-LSTM's training."""
    lengths = []
    for _ in range(number):
        mean = base if draw.random() < 0.95 else base / 2.0
        lengths.append(max(5, int(draw.normalvariate(mean, 5))))
    return lengths


@pytest.mark.parametrize(("rows", "seq_len"), [(46_479, 70), (13_000, 35), (2_000, 10)])
def test_random_lengths_are_distributed_as_in_awd_lstm(rows, seq_len):
    edges = [random_edges(rows, seq_len, np.random.default_rng([1, epoch])) for epoch in range(40)]
    found = np.concatenate([np.diff(each) for each in edges])
    expected = np.array(awd_lstm_lengths(40_000, seq_len, random.Random(1)))
    assert {(each[0], each[-1]) for each in edges} == {(0, rows)}
    assert found.min() >= 4
    # Around a small length many are raised to 5; these epochs would have fewer batches.
    assert found.mean() == pytest.approx(expected.mean(), rel=0.02 if seq_len > 10 else 0.1)
    assert found.std() == pytest.approx(expected.std(), rel=0.1)
    for quantile in (0.01, 0.04, 0.1, 0.5, 0.9):
        assert np.quantile(found, quantile) == pytest.approx(np.quantile(expected, quantile), abs=2)


def test_every_epoch_has_other_lengths_and_as_many_batches():
    batches = BPTTBatches(torch.arange(20_001), 10, 30, random_seq_len=True)
    lengths = [[len(batch.inputs_TB) for batch in epoch_of(batches, epoch)] for epoch in range(5)]
    assert {len(each) for each in lengths} == {len(batches)}
    assert len({tuple(each) for each in lengths}) == 5


def test_devices_draw_the_same_lengths_and_offsets():
    ids = torch.arange(1000)
    whole = BPTTBatches(ids, 7, 12, **BOTH)
    shards = [BPTTBatches(ids, 7, 12, Shard(rank, 3), **BOTH) for rank in range(3)]
    for epoch in range(2):
        epochs = [epoch_of(each, epoch) for each in (whole, *shards)]
        for batch, *parts in zip(*epochs, strict=True):
            assert torch.equal(batch.targets_TB, torch.cat([part.targets_TB for part in parts], dim=1))


def test_a_device_without_a_column_reads_padding_alone():
    batches = BPTTBatches(torch.arange(100), 2, 12, Shard(2, 3), **BOTH)
    assert all((batch.targets_TB == IGNORE_INDEX).all() for batch in batches)


@pytest.mark.parametrize("stop", [1, 4])
def test_a_drawn_epoch_resumes_where_it_stopped(stop):
    first, second = (BPTTBatches(torch.arange(1000), 5, 12, **BOTH) for _ in range(2))
    first.set_epoch(3)
    rest = iter(first)
    for _ in range(stop):
        next(rest)
    second.load_state_dict(first.state_dict())
    second.set_epoch(3)  # as Lightning does
    for batch, same in zip(rest, second, strict=True):
        assert torch.equal(batch.targets_TB, same.targets_TB)


def test_without_the_options_every_epoch_is_the_same():
    batches = BPTTBatches(torch.arange(100), 5, 12)
    for one, other in zip(epoch_of(batches, 0), epoch_of(batches, 1), strict=True):
        assert torch.equal(one.targets_TB, other.targets_TB)
