import pytest
import torch
import torch.nn.functional as F

from lm.data.bptt import BPTTBatches
from lm.data.sentences import Sentences
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.methods import temperature
from lm.models.language_model import LanguageModel

WORDS, EOS = 12, 0


@pytest.fixture
def ids():
    drawn = torch.randint(WORDS, (120,), generator=torch.Generator().manual_seed(1))
    return torch.cat([drawn, torch.tensor([EOS])])


def small_model(cell="lstm", **options):
    torch.manual_seed(0)
    return LanguageModel(WORDS, cell, 8, 8, dropout=0.5, init_range=0.8, **options)


@torch.no_grad()
def reference(model, ids):
    """The nats of each word of one text, from all logits at once in float64."""
    logits, _ = model.eval().double().logits(ids[:-1, None])
    return F.cross_entropy(logits[:, 0], ids[1:], reduction="none")


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_token_nats_of_a_stream_are_in_the_order_of_the_text(ids, cell):
    batches = BPTTBatches(ids, 3, 7, warmup_tokens=30)
    found = evaluate(small_model(cell), batches, per_token=True)
    assert found.token_nats.dtype == torch.float64
    assert found.nats == pytest.approx(float(found.token_nats.sum()), rel=1e-6)
    whole = evaluate(small_model(cell), BPTTBatches(ids, 1, 200), per_token=True).token_nats
    torch.testing.assert_close(whole, reference(small_model(cell), ids), atol=1e-5, rtol=1e-5)
    # The first columns are read from the start of the text, the others after their warm-up.
    torch.testing.assert_close(found.token_nats[:40], whole[:40], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.token_nats[40:], whole[40:], atol=0.05, rtol=0.05)


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_token_nats_of_sentences_are_in_the_order_of_the_text(ids, padding_side):
    found = evaluate(small_model(), Sentences(ids, EOS, 4, padding_side=padding_side), per_token=True).token_nats
    sentences = torch.tensor_split(ids, (ids == EOS).nonzero()[:-1, 0] + 1)
    alone = [reference(small_model(), torch.cat([torch.tensor([EOS]), sentence])) for sentence in sentences]
    torch.testing.assert_close(found, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_predicted_lengths_are_counted_in_the_sum_but_not_per_token(ids):
    model, batches = small_model(length_conditioning=True), Sentences(ids, EOS, 4)
    summed, found = evaluate(model, batches), evaluate(model, batches, per_token=True)
    assert found.length_nats == summed.length_nats > 0
    assert found.nats == pytest.approx(summed.nats, rel=1e-6)
    assert float(found.token_nats.sum()) == pytest.approx(found.nats - found.length_nats, rel=1e-6)


def test_the_number_of_logits_at_a_time_changes_nothing(ids, monkeypatch):
    batches = BPTTBatches(ids, 2, 20)
    whole = evaluate(small_model(), batches, per_token=True).token_nats
    monkeypatch.setattr(temperature, "MAX_LOGITS", 1)
    cut = evaluate(small_model(), batches, per_token=True).token_nats
    torch.testing.assert_close(cut, whole, atol=1e-6, rtol=1e-6)
