import math
from contextlib import contextmanager
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import cross_entropy

from lm.data.bptt import BPTTBatches
from lm.data.sentences import Sentences
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.methods import Method, Nats
from lm.models.language_model import LanguageModel, detach_states

WORDS = 30


@pytest.fixture(params=["lstm", "gru", "rnn_tanh"])
def model(request):
    torch.manual_seed(0)
    return LanguageModel(WORDS, request.param, 8, 8, dropout=0.5, init_range=0.5)


@pytest.fixture
def ids():
    return torch.randint(WORDS, (203,), generator=torch.Generator().manual_seed(1))


def test_every_word_is_scored_once_as_by_brute_force(model, ids):
    model.eval()
    logits, _ = model.logits(ids[:-1, None])
    nats = cross_entropy(logits[:, 0], ids[1:], reduction="sum").item()
    found = evaluate(model, BPTTBatches(ids, 1, 20))
    assert found.tokens == 202
    assert found.ppl == pytest.approx(math.exp(nats / 202), rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_the_length_of_the_batches_changes_nothing(model, ids, batch_size):
    found = [evaluate(model, BPTTBatches(ids, batch_size, seq_len)).nats for seq_len in (1, 7, 20, 1000)]
    assert found == pytest.approx([found[0]] * 4, rel=1e-6)


def test_the_batch_size_matters_only_by_the_zero_initial_states(model, ids):
    """The columns, scored one by one as texts, add up to the same."""
    streams = BPTTBatches(ids, 3, 20)
    starts, lengths = streams._starts_B.tolist(), streams._lengths_B.tolist()
    columns = [ids[start : start + length + 1] for start, length in zip(starts, lengths, strict=True)]
    alone = sum(evaluate(model, BPTTBatches(column, 1, 20)).nats for column in columns)
    assert evaluate(model, streams).nats == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("batch_size", [2, 3, 20])
def test_after_warmup_tokens_the_batch_size_changes_nothing(model, ids, batch_size):
    """After 60 words the initial state of this small model no longer matters."""
    unbroken = evaluate(model, BPTTBatches(ids, 1, 20))
    found = evaluate(model, BPTTBatches(ids, batch_size, 7, warmup_tokens=60))
    assert found.nats == pytest.approx(unbroken.nats, rel=1e-6)
    assert found.tokens == unbroken.tokens
    assert evaluate(model, BPTTBatches(ids, batch_size, 7)).nats != pytest.approx(unbroken.nats, rel=1e-5)


def test_dropout_is_off_and_the_mode_of_the_model_is_restored(model, ids):
    model.train()
    first, second = (evaluate(model, BPTTBatches(ids, 2, 20)).nats for _ in range(2))
    assert first == second
    assert model.training


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_sentences_are_scored_whole_each_from_a_zero_state(model, ids, batch_size, padding_side):
    """Each sentence as a stream of its own, after an `<eos>`, adds up to the same."""
    ids = torch.cat([ids, torch.zeros(1, dtype=torch.long)])
    ends = [-1, *(ids == 0).nonzero()[:, 0].tolist()]
    alone = [torch.cat([ids[-1:], ids[one + 1 : other + 1]]) for one, other in pairwise(ends)]
    found = evaluate(model, Sentences(ids, 0, batch_size, padding_side=padding_side))
    assert found.nats == pytest.approx(sum(evaluate(model, BPTTBatches(text, 1, 20)).nats for text in alone), rel=1e-6)
    assert found.protocol == {
        "batch_size": batch_size,
        "tokens": len(ids),
        "state": "reset",
        "method": "static",
        "matmul_precision": "float32",
    }


class Adaptive(Method):
    """A method with a state and options of its own, which changes the model: what a seam for methods has to allow."""

    name = "adaptive"

    def __init__(self, scale):
        self.scale = scale

    @contextmanager
    def prepare(self, model):
        weight = model.decoder.weight.detach().clone()
        yield
        model.decoder.weight.data.copy_(weight)

    def score(self, model, batch, state, per_token):
        count, states = state or (0, None)
        nats, states = model.total_nats(batch.inputs_TB, batch.targets_TB, states)
        (gradient,) = torch.autograd.grad(nats, [model.decoder.weight])
        model.decoder.weight.data.sub_(self.scale * gradient)
        return Nats(nats.detach()), (count + 1, detach_states(states))

    def protocol(self):
        return {"method": self.name, "scale": self.scale}


def test_a_method_may_carry_a_state_and_adapt_the_model(model, ids):
    batches, before = BPTTBatches(ids, 2, 20), model.decoder.weight.clone()
    model.eval()
    found = evaluate(model, batches, Adaptive(0.01))
    assert torch.equal(model.decoder.weight, before)
    assert found.protocol["method"] == "adaptive"
    assert found.protocol["scale"] == 0.01
    assert found.nats < evaluate(model, batches).nats
    assert evaluate(model, batches, Adaptive(0.0)).nats == pytest.approx(evaluate(model, batches).nats, rel=1e-6)
