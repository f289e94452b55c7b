import pytest
import torch

from lm.data.bptt import BPTTBatches
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.methods import Static, neural_cache
from lm.evaluation.methods.neural_cache import Cache, cache_probabilities
from lm.evaluation.methods.temperature import Temperature
from tests.evaluation import slow_references
from tests.evaluation.small_models import IDS, small_model


@pytest.mark.parametrize("window", [1, 7, 1000])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_is_the_formula_word_by_word(cell, window, monkeypatch):
    monkeypatch.setattr(neural_cache, "TARGETS_AT_ONCE", 16)
    method = Cache(Static(), theta=1.5, weight=0.3, window=window)
    found = evaluate(small_model(cell), BPTTBatches(IDS, 1, 20), method, per_token=True)
    expected = slow_references.cache(small_model(cell), IDS, 1.5, 0.3, window)
    assert found.token_nats.tolist() == pytest.approx(expected, abs=1e-9)
    assert found.nats == pytest.approx(sum(expected), rel=1e-9)


def test_it_composes_with_temperature():
    method = Cache(Temperature(Static(), temperature=1.3), theta=1.0, weight=0.2, window=30)
    found = evaluate(small_model(), BPTTBatches(IDS, 1, 20), method, per_token=True).token_nats
    expected = slow_references.cache(small_model(), IDS, 1.0, 0.2, 30, temperature=1.3)
    assert found.tolist() == pytest.approx(expected, abs=1e-9)
    assert method.protocol()["method"] == "temperature,cache"


def test_without_weight_it_is_static_evaluation():
    batches, model = BPTTBatches(IDS, 1, 20), small_model()
    found = evaluate(model, batches, Cache(Static(), theta=1.0, weight=0.0, window=50))
    assert found.nats == pytest.approx(evaluate(model, batches).nats, abs=1e-9)


def test_hidden_states_may_be_computed_in_columns_while_the_cache_reads_one():
    """After 60 words the initial state of this small model no longer matters."""
    method, model = Cache(Static(), theta=1.0, weight=0.2, window=80), small_model()
    one = evaluate(model, BPTTBatches(IDS, 1, 20), method, per_token=True).token_nats
    columns = evaluate(model, BPTTBatches(IDS, 3, 7, warmup_tokens=60), method, per_token=True).token_nats
    torch.testing.assert_close(columns, one, atol=1e-5, rtol=1e-5)


def test_large_similarities_do_not_overflow():
    hidden = torch.ones(50, 200)
    [found] = cache_probabilities(hidden, torch.tensor([3, 4] * 25), [(100.0, 10)])
    assert found[0] == 0
    assert found[11:].tolist() == pytest.approx([0.5] * 39)
