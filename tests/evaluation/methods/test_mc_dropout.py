import math
from itertools import count

import pytest
import torch

from lm.data.bptt import BPTTBatches
from lm.data.sentences import Sentences
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.methods.mc_dropout import MCDropout, dropouts, mean_probability
from lm.models.dropout import Dropout
from lm.models.language_model import LanguageModel
from tests.evaluation.slow_references import hidden_states
from tests.evaluation.small_models import IDS, small_model

MC = {"samples": 3, "dropout_factor": 1.0, "seed": 1}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_is_the_mean_of_the_probabilities_word_by_word(cell, monkeypatch):
    """Here the masks of a pass are the same at every word, so that a loop over words can use them, too."""
    masks, chosen, passes = torch.rand(3, 8, dtype=torch.float64), [0], count()
    forward = LanguageModel.forward

    def numbered(*arguments):
        chosen[0] = next(passes) % 3
        return forward(*arguments)

    monkeypatch.setattr(Dropout, "forward", lambda module, x: x * masks[chosen[0]] * module.p)
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "forward", numbered)
        found = evaluate(small_model(cell), BPTTBatches(IDS, 1, 50), MCDropout(**MC), per_token=True).token_nats
    probabilities = torch.zeros(len(IDS) - 1)
    for chosen[0] in range(3):
        model = small_model(cell)
        with torch.no_grad():
            predicted = [model.decoder(h).softmax(0) for h in hidden_states(model, IDS)]
        probabilities += torch.tensor([p[word] for p, word in zip(predicted, IDS[1:], strict=True)]) / 3
    assert found.tolist() == pytest.approx((-probabilities.log()).tolist(), abs=1e-6)


@pytest.mark.parametrize("batches", [BPTTBatches(IDS, 3, 20), Sentences(IDS, 0, 4)])
@pytest.mark.parametrize(("dropout", "factor"), [(0.0, 1.0), (0.5, 0.0)])
def test_without_dropout_it_is_static_evaluation(batches, dropout, factor):
    model = small_model(dropout=dropout)
    found = evaluate(model, batches, MCDropout(samples=2, dropout_factor=factor, seed=1))
    assert found.nats == pytest.approx(evaluate(model, batches).nats, abs=1e-9)


def test_a_seed_repeats_its_masks_and_leaves_the_random_state_and_the_model_alone():
    model, batches = small_model(), BPTTBatches(IDS, 3, 20)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = (
        evaluate(model, batches, MCDropout(**MC | {"seed": seed, "samples": 2})).nats for seed in (1, 1, 2)
    )
    assert torch.rand(1) == expected
    assert first == second != other
    assert {module.p for module in dropouts(model)} <= {0.0, 0.5}


def test_the_mean_is_of_probabilities_and_not_of_logarithms():
    nats = [torch.tensor([-math.log(0.2)]), torch.tensor([-math.log(0.6)])]
    assert float(mean_probability(nats)) == pytest.approx(-math.log(0.4))
