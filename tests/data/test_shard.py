import pytest
import torch

from lm.data.bptt import IGNORE_INDEX, BPTTBatches
from lm.data.sentences import Sentences
from lm.data.shard import UNSHARDED, Shard
from tests.data.test_sentences import EOS, pairs, random_text


def shares(devices):
    return [Shard(rank, devices) for rank in range(devices)]


def test_the_shares_are_the_ones_drawn_in_the_module():
    columns = torch.arange(7)
    assert ["".join("abcdefg"[column] for column in share.of(columns)) for share in shares(3)] == ["abc", "de", "fg"]
    assert torch.equal(UNSHARDED.of(columns), columns)


def test_a_share_is_taken_along_any_dimension():
    states = torch.rand(1, 5, 3)
    assert torch.equal(torch.cat([share.of(states, dim=1) for share in shares(2)], dim=1), states)


@pytest.mark.parametrize("devices", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [11, 20, 104, 106])
def test_the_windows_of_all_devices_side_by_side_are_the_whole_windows(devices, length):
    """Also the last one, where some devices may have nothing but padding."""
    ids = torch.randperm(length)
    whole = list(BPTTBatches(ids, 5, seq_len=4))
    parts = [list(BPTTBatches(ids, 5, seq_len=4, share=share)) for share in shares(devices)]
    assert (
        {len(part) for part in parts}
        == {len(whole)}
        == {len(BPTTBatches(ids, 5, 4, share)) for share in shares(devices)}
    )
    for window, *own in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([each.inputs_TB for each in own], dim=1), window.inputs_TB)
        assert torch.equal(torch.cat([each.targets_TB for each in own], dim=1), window.targets_TB)


@pytest.mark.parametrize("devices", [1, 2, 3])
@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("seed", [None, 1])
def test_the_sentences_of_all_devices_are_those_of_the_whole_batch_step_by_step(devices, padding_side, seed):
    ids = random_text(57)[1]
    options = {"padding_side": padding_side, "seed": seed, "bucket_width": 3}
    whole = list(Sentences(ids, EOS, 4, **options))
    parts = [list(Sentences(ids, EOS, 4, share=share, **options)) for share in shares(devices)]
    for batch, *own in zip(whole, *parts, strict=True):
        assert sorted(pair for each in own for pair in pairs(each)) == sorted(pairs(batch))


def test_a_device_for_which_no_sentence_is_left_takes_the_step_with_padding_alone():
    ids = torch.tensor([1, EOS, 2, EOS, 3, 4, EOS])
    *_, last = Sentences(ids, EOS, 2, share=Shard(1, 2))
    assert last.inputs_TB.shape == (3, 1)
    assert (last.targets_TB == IGNORE_INDEX).all()
