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


def test_the_columns_that_lead_in_are_those_drawn_in_the_module():
    (window,) = streams = BPTTBatches(ALPHABET, batch_size=3, seq_len=9, warmup_tokens=2)
    assert [row[:3] for row in letters(window.inputs_TB)] == ["a d", "b e", "c f", "d g", "e h"]
    assert [row[4:] for row in letters(window.inputs_TB)][:4] == ["g", "h", "i", "j"]
    assert letters(window.targets_TB) == ["b . .", "c . .", "d g j", "e h k", "f i ."]
    assert streams.state == "carried, after 2 words"


@pytest.mark.parametrize("warmup_tokens", [1, 4, 30])
@pytest.mark.parametrize(("length", "batch_size"), [(50, 1), (50, 3), (50, 19), (51, 20)])
def test_with_a_lead_in_too_every_word_is_a_target_once_and_after_the_word_before_it(length, batch_size, warmup_tokens):
    targets = []
    for window in BPTTBatches(torch.arange(length), batch_size, 7, warmup_tokens=warmup_tokens):
        scored = window.targets_TB != IGNORE_INDEX
        assert torch.equal(window.inputs_TB[scored] + 1, window.targets_TB[scored])
        targets += window.targets_TB[scored].tolist()
    assert sorted(targets) == list(range(1, length))


@pytest.mark.parametrize("warmup_tokens", [0, 5])
def test_devices_share_out_the_columns_that_one_has(warmup_tokens):
    whole = list(BPTTBatches(torch.arange(100), 7, 8, warmup_tokens=warmup_tokens))
    shares = [list(BPTTBatches(torch.arange(100), 7, 8, Shard(rank, 3), warmup_tokens)) for rank in range(3)]
    for window, *parts in zip(whole, *shares, strict=True):
        assert torch.equal(window.targets_TB, torch.cat([part.targets_TB for part in parts], dim=1))


@pytest.mark.parametrize(("length", "batch_size"), [(2, 1), (7, 2), (7, 6), (50, 3), (50, 20), (101, 20), (101, 1)])
@pytest.mark.parametrize("seq_len", [1, 3, 20, 1000])
def test_every_word_but_the_first_is_a_target_exactly_once(length, batch_size, seq_len):
    ids = torch.randperm(length)
    targets = torch.cat([window.targets_TB.flatten() for window in BPTTBatches(ids, batch_size, seq_len)])
    assert sorted(targets[targets != IGNORE_INDEX].tolist()) == sorted(ids[1:].tolist())


def test_an_input_is_always_the_word_before_its_target():
    for window in BPTTBatches(torch.arange(1000), batch_size=7, seq_len=9):
        scored = window.targets_TB != IGNORE_INDEX
        assert torch.equal(window.inputs_TB[scored] + 1, window.targets_TB[scored])


def test_a_column_goes_on_where_its_last_window_ended():
    windows = list(BPTTBatches(torch.arange(1000), batch_size=7, seq_len=9))
    for window, following in pairwise(windows[:-1]):
        assert torch.equal(window.targets_TB[-1], following.inputs_TB[0])


def test_the_number_of_windows_is_known_and_the_last_is_shorter():
    streams = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    lengths = [len(window.targets_TB) for window in streams]
    assert lengths == [10, 10, 5]
    assert len(streams) == 3


def test_iteration_starts_anew_each_time_also_after_a_broken_off_one():
    streams = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    assert next(iter(streams)).inputs_TB[0, 0] == 0
    assert next(iter(streams)).inputs_TB[0, 0] == 0
    assert len(list(streams)) == 3


def test_a_loaded_position_is_gone_on_from_once():
    interrupted = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    windows = iter(interrupted)
    next(windows)
    resumed = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    resumed.load_state_dict(interrupted.state_dict())
    assert torch.equal(next(iter(resumed)).inputs_TB, next(windows).inputs_TB)
    assert len(list(resumed)) == 3


def test_a_position_after_the_last_window_is_the_start_of_the_next_epoch():
    streams = BPTTBatches(torch.arange(101), batch_size=4, seq_len=10)
    list(streams)
    streams.load_state_dict(streams.state_dict())
    assert len(list(streams)) == 3


def test_more_columns_than_targets_are_refused_with_the_number_to_type():
    with pytest.raises(ValueError, match="type batch_size=10 or less"):
        BPTTBatches(ALPHABET, batch_size=11, seq_len=2)
