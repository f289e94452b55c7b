from types import SimpleNamespace

import pytest
import torch

from lm.data.batching import Batching
from lm.data.corpus import Corpus
from lm.data.datamodule import CorpusDataModule
from lm.data.vocabulary import Vocabulary


def datamodule(kind, batch_size=2):
    """Return batches of a training split of 30 tokens and a validation split of 12."""
    ids = torch.tensor([3, 2, 1, 2, 3, 1] * 5, dtype=torch.int32)
    splits = {"train": ids, "valid": ids[:12]}
    corpus = Corpus("letters", "", Vocabulary(["<unk>", "<eos>", "a", "b"]), splits, None)
    windows = {"seq_len": 3, "random_seq_len": False, "partial_shuffle": False}
    sentences = {"max_length": None, "truncation_side": "right", "padding_side": "right", "bucket_width": 1}
    return CorpusDataModule(corpus, Batching(kind, batch_size, **windows, **sentences, seed=1))


@pytest.mark.parametrize("kind", ["streams", "sentences"])
@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_only_batches_for_a_gpu_are_put_into_pinned_memory(monkeypatch, kind, device, pinned):
    module = datamodule(kind)
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda part_TB: calls.append(part_TB) or part_TB)
    monkeypatch.setattr(torch.Tensor, "to", lambda part_TB, device, non_blocking: part_TB)
    module.trainer = SimpleNamespace(global_rank=0, world_size=1)
    batch = next(iter(module.train_dataloader()))
    found = module.transfer_batch_to_device(batch, torch.device(device), 0)
    assert type(found) is type(batch)
    assert all(one is other for one, other in zip(found, batch, strict=True))
    assert len(calls) == (len(batch) if pinned else 0)


@pytest.mark.parametrize(("batch_size", "width", "logged"), [(11, 11, 0), (12, 11, 1), (29, 11, 1)])
def test_a_validation_split_that_is_too_short_is_read_with_a_smaller_batch_size(caplog, batch_size, width, logged):
    caplog.set_level("INFO", "lm.data.datamodule")
    module = datamodule("streams", batch_size)
    module.trainer = SimpleNamespace(global_rank=0, world_size=1)
    assert (module.valid.batch_size, module.val_dataloader().batch_size) == (width, width)
    assert module.train_dataloader().batch_size == batch_size
    assert caplog.messages == logged * [
        "the validation split has too few words for this batch size: it is read with batch size 11"
    ]


def test_a_training_split_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="expected the train split to have more words than batch_size=30, found 30"):
        datamodule("streams", 30)
