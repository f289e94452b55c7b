from types import SimpleNamespace

import pytest
import torch

from lm.data.batching import Batching
from lm.data.corpus import Corpus
from lm.data.datamodule import CorpusDataModule
from lm.data.vocabulary import Vocabulary


@pytest.fixture(params=["streams", "sentences"])
def windows(request):
    ids = torch.tensor([3, 2, 1, 2, 3, 1] * 5, dtype=torch.int32)
    corpus = Corpus(
        "letters", "", Vocabulary(["<unk>", "<eos>", "a", "b"]), dict.fromkeys(("train", "valid"), ids), None
    )
    batching = Batching(
        request.param, 2, 3, max_length=None, truncation_side="right", padding_side="right", bucket_width=1, seed=1
    )
    return CorpusDataModule(corpus, batching)


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda", True)])
def test_only_what_goes_to_a_gpu_is_put_into_pinned_memory(monkeypatch, windows, device, pinned):
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda part_TB: calls.append(part_TB) or part_TB)
    monkeypatch.setattr(torch.Tensor, "to", lambda part_TB, device, non_blocking: part_TB)
    windows.trainer = SimpleNamespace(global_rank=0, world_size=1)
    batch = next(iter(windows.train_dataloader()))
    found = windows.transfer_batch_to_device(batch, torch.device(device), 0)
    assert type(found) is type(batch)
    assert all(one is other for one, other in zip(found, batch, strict=True))
    assert len(calls) == (len(batch) if pinned else 0)
