from itertools import pairwise

import pytest
import torch

from lm.data.bptt import IGNORE_INDEX, BPTTBatches
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
