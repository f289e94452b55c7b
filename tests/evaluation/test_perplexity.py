import math

import pytest
import torch
import torchmetrics.text
from torch.nn.functional import cross_entropy

from lm.evaluation.perplexity import Perplexity, perplexity


@pytest.fixture
def predictions():
    torch.manual_seed(0)
    return torch.randn(4, 30, 50), torch.randint(50, (4, 30))


def nats(logits_BTV, targets_BT):
    return cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="sum")


def test_it_is_torchmetrics_perplexity(predictions):
    logits, targets = predictions
    reference = torchmetrics.text.Perplexity()
    reference.update(logits, targets)
    metric = Perplexity()
    metric.update(nats(logits, targets), targets.numel())
    assert metric.compute().item() == pytest.approx(reference.compute().item(), rel=1e-6)


@pytest.mark.parametrize("cuts", [[30], [1, 29], [7, 7, 7, 9], [1] * 30])
def test_it_does_not_depend_on_how_the_text_is_cut(predictions, cuts):
    logits, targets = predictions
    metric = Perplexity()
    for part, wanted in zip(logits.split(cuts, 1), targets.split(cuts, 1), strict=True):
        metric.update(nats(part, wanted), wanted.numel())
    assert metric.compute().item() == pytest.approx(perplexity(nats(logits, targets).item(), 120), rel=1e-6)


def test_sums_over_devices_add_up():
    """What torchmetrics reduces by sum gives the perplexity of all, not a mean of perplexities."""
    metric = Perplexity()
    assert metric._reductions["nats"] is torchmetrics.utilities.dim_zero_sum
    assert metric._reductions["tokens"] is torchmetrics.utilities.dim_zero_sum


def test_many_small_addends_are_not_lost():
    metric = Perplexity()
    metric.update(torch.tensor(2.0**25), 1)
    for _ in range(1000):
        metric.update(torch.tensor(0.5), 0)
    assert metric.nats.item() == 2.0**25 + 500  # float32 would still be at 2 ** 25


def test_its_state_is_part_of_a_checkpoint():
    metric = Perplexity()
    metric.update(torch.tensor(3.0), 2)
    other = Perplexity()
    other.load_state_dict(metric.state_dict())
    assert (other.nats.item(), other.tokens.item()) == (3.0, 2)


def test_extremes():
    assert perplexity(1e6, 1) == math.inf
    assert math.isnan(perplexity(0.0, 0))
    assert perplexity(0.0, 5) == 1.0
