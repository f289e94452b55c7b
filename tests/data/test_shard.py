import pytest
import torch

from lm.data.bptt import IGNORE_INDEX, BPTTBatches
from lm.data.sentences import Sentences
from lm.data.shard import UNSHARDED, Shard
from tests.data.toy_sentences import EOS, pairs, random_text


def shards(devices):
    return [Shard(rank, devices) for rank in range(devices)]


def test_the_shards_are_those_drawn_in_the_module():
    columns = torch.arange(7)
    assert ["".join("abcdefg"[column] for column in shard.take(columns)) for shard in shards(3)] == ["abc", "de", "fg"]
    assert torch.equal(UNSHARDED.take(columns), columns)


def test_columns_are_taken_along_any_dimension():
    states = torch.rand(1, 5, 3)
    assert torch.equal(torch.cat([shard.take(states, dim=1) for shard in shards(2)], dim=1), states)


@pytest.mark.parametrize("devices", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [11, 20, 104, 106])
def test_the_batches_of_all_devices_side_by_side_are_the_whole_batches(devices, length):
    """Also the last one, where some devices may have nothing but padding."""
    ids = torch.randperm(length)
    whole = list(BPTTBatches(ids, 5, seq_len=4))
    parts = [list(BPTTBatches(ids, 5, seq_len=4, shard=shard)) for shard in shards(devices)]
    assert (
        {len(part) for part in parts}
        == {len(whole)}
        == {len(BPTTBatches(ids, 5, 4, shard)) for shard in shards(devices)}
    )
    for batch, *own in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([each.inputs_TB for each in own], dim=1), batch.inputs_TB)
        assert torch.equal(torch.cat([each.targets_TB for each in own], dim=1), batch.targets_TB)


@pytest.mark.parametrize("devices", [1, 2, 3])
@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("seed", [None, 1])
def test_the_sentences_of_all_devices_are_those_of_the_whole_batch_step_by_step(devices, padding_side, seed):
    ids = random_text(57)[1]
    options = {"padding_side": padding_side, "seed": seed, "bucket_width": 3}
    whole = list(Sentences(ids, EOS, 4, **options))
    parts = [list(Sentences(ids, EOS, 4, shard=shard, **options)) for shard in shards(devices)]
    for batch, *own in zip(whole, *parts, strict=True):
        assert sorted(pair for each in own for pair in pairs(each)) == sorted(pairs(batch))


def test_a_device_without_a_sentence_takes_the_step_with_padding_alone():
    ids = torch.tensor([1, EOS, 2, EOS, 3, 4, EOS])
    *_, last = Sentences(ids, EOS, 2, shard=Shard(1, 2))
    assert last.inputs_TB.shape == (3, 1)
    assert (last.targets_TB == IGNORE_INDEX).all()


def test_a_device_without_a_column_takes_every_step_with_padding_alone():
    ids = torch.arange(20)
    shards_of_batches = [list(BPTTBatches(ids, 2, 4, shard)) for shard in shards(3)]
    assert [len(batches) for batches in shards_of_batches] == [3, 3, 3]
    assert [batch.inputs_TB.shape for batch in shards_of_batches[2]] == [(4, 1), (4, 1), (2, 1)]
    assert all((batch.targets_TB == IGNORE_INDEX).all() for batch in shards_of_batches[2])
    targets = [pair for batches in shards_of_batches for batch in batches for pair in pairs(batch)]
    assert sorted(targets) == [(word, word + 1) for word in range(19)]
