import pytest
import torch

from lm.data.bptt import BPTTBatches
from lm.data.sentences import Sentences
from lm.evaluation.evaluation_loop import evaluate, read_text
from lm.evaluation.methods import Static
from lm.evaluation.methods.temperature import Temperature
from tests.evaluation import slow_references
from tests.evaluation.small_models import IDS, small_model


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_is_the_formula_word_by_word(cell):
    found = evaluate(small_model(cell), BPTTBatches(IDS, 1, 20), Temperature(Static(), 0.7), per_token=True)
    expected = slow_references.static(small_model(cell), IDS, temperature=0.7)
    assert found.token_nats.tolist() == pytest.approx(expected, abs=1e-9)
    summed = evaluate(small_model(cell), BPTTBatches(IDS, 1, 20), Temperature(Static(), 0.7))
    assert summed.nats == pytest.approx(sum(expected), rel=1e-9)


@pytest.mark.parametrize("batches", [BPTTBatches(IDS, 3, 20), Sentences(IDS, 0, 4)])
def test_the_sum_is_that_of_the_words(batches):
    method = Temperature(Static(), 0.7)
    summed = evaluate(small_model(), batches, method)
    assert summed.nats == pytest.approx(evaluate(small_model(), batches, method, per_token=True).nats, rel=1e-9)
    assert summed.nats != pytest.approx(evaluate(small_model(), batches).nats, rel=1e-3)


@pytest.mark.parametrize("batches", [BPTTBatches(IDS, 3, 20), Sentences(IDS, 0, 4)])
def test_at_1_it_is_static_evaluation(batches):
    found = evaluate(small_model(), batches, Temperature(Static(), 1.0))
    assert found.nats == pytest.approx(evaluate(small_model(), batches).nats, abs=1e-9)


def test_several_temperatures_are_computed_from_the_same_logits():
    temperatures, batches = [0.5, 1.0, 2.0], BPTTBatches(IDS, 2, 20)
    together = read_text(small_model(), batches, Static().at(temperatures)).nats_N
    for row, temperature in zip(together, temperatures, strict=True):
        alone = evaluate(small_model(), batches, Temperature(Static(), temperature), per_token=True).token_nats
        torch.testing.assert_close(row, alone)
