"""Length conditioning against sentences one by one, in plain PyTorch."""

import math

import pytest
import torch
import torch.nn.functional as F

from lm.data.bptt import IGNORE_INDEX
from lm.models import length_conditioning as module
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel
from lm.models.length_conditioning import UNCONDITIONED, LengthConditioning
from tests.models.test_sentence_loss import EOS, WORDS, batch_of, text  # noqa: F401  # a fixture

MAX_LENGTH = 8  # of the sentences of that text, two are longer


@pytest.fixture(autouse=True)
def few_classes(monkeypatch):
    monkeypatch.setattr(module, "MOST", MAX_LENGTH)


def model(cell="gru"):
    torch.manual_seed(0)
    arguments = {"embedding_size": 6, "hidden_size": 5, "num_layers": 2, "init_range": 0.7}
    return LanguageModel(WORDS, cell, **arguments, length_conditioning=True).double()


def nats_of_length(network, hidden_H, left):
    """-log P(n): a class for each length below `MAX_LENGTH`; above, half of what is left for each further word."""
    log_p = network.lengths.head(hidden_H).log_softmax(0)
    return -log_p[left] if left < MAX_LENGTH else -log_p[MAX_LENGTH] + math.log(2) * (left - MAX_LENGTH + 1)


def one_by_one(network, sentences):
    """Words, lengths, and lengths before each word with that word's weight, each summed over the sentences."""
    totals = torch.zeros(3, dtype=torch.float64)
    for words in sentences:
        inputs_T1, left_T1 = torch.tensor([EOS, *words])[:, None], torch.arange(len(words), -1, -1)[:, None]
        logits_TBV, _ = network.logits(inputs_T1, None, left_T1)
        nats = F.cross_entropy(logits_TBV[:, 0], torch.tensor([*words, EOS]), reduction="sum")
        hidden_TH = network(inputs_T1)[0][:, 0]
        ways = torch.stack([nats_of_length(network, h, int(left)) for h, left in zip(hidden_TH, left_T1, strict=True)])
        weighed = sum(way / number for number, way in enumerate(ways, start=1))
        totals = totals + torch.stack([nats, ways[0], weighed])
    return totals


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_nats_of_words_and_lengths_are_those_of_sentences_one_by_one(cell, padding_side, text):  # noqa: F811
    network = model(cell)
    parameters = list(network.parameters())
    found, expected = torch.stack(network.sentence_loss(batch_of(text, padding_side))), one_by_one(network, text)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad(total.sum(), parameters) for total in (found, expected))
    torch.testing.assert_close(*gradients)


def test_a_length_is_learnt_alike_from_short_sentences_and_from_long_ones(text):  # noqa: F811
    network, logits = model(), []
    network.lengths.head.register_forward_hook(lambda module, inputs, output: logits.append(output))
    found = network.sentence_loss(batch_of(text, "end"))
    of_first = torch.autograd.grad(found.lengths, logits, retain_graph=True)[0][0]
    on_the_way = torch.autograd.grad(found.length_auxiliary, logits)[0][0]
    torch.testing.assert_close(on_the_way, of_first)


def test_a_model_without_it_is_told_nothing_and_has_no_nats_of_lengths(text):  # noqa: F811
    without = LanguageModel(WORDS, "gru", 6, 5, 2, init_range=0.7).double()
    found = without.sentence_loss(batch_of(text, "end"))
    assert found[1:] == (0, 0)
    remaining_TB = torch.full((3, 2), 4)
    assert torch.equal(
        without(torch.ones_like(remaining_TB), None, remaining_TB)[0], without(torch.ones_like(remaining_TB))[0]
    )


def test_a_batch_of_padding_alone_has_no_nats_and_no_gradient(text):  # noqa: F811
    """As a device has it for which no sentence is left."""
    network, batch = model(), batch_of(text, "end")
    found = network.sentence_loss(batch._replace(targets_TB=torch.full_like(batch.targets_TB, IGNORE_INDEX)))
    assert [nats.item() for nats in found] == [0, 0, 0]
    gradients = torch.autograd.grad(found.words + found.length_auxiliary, list(network.parameters()))
    assert all((gradient == 0).all() for gradient in gradients)


def test_the_probabilities_of_all_lengths_sum_to_one():
    conditioning = LengthConditioning(4, 3).double()
    hidden_TBH, lengths_TB = torch.randn(1, 1, 3, dtype=torch.float64), torch.arange(80)[:, None]
    nats_TB = conditioning.nats(hidden_TBH.expand(80, 1, 3), lengths_TB)
    assert nats_TB.neg().exp().sum().item() == pytest.approx(1)
    log_p_BC = conditioning.log_probabilities(hidden_TBH[0])
    torch.testing.assert_close(nats_TB[:MAX_LENGTH, 0], -log_p_BC[0, :MAX_LENGTH])


def test_not_to_be_told_is_another_thing_than_any_length():
    told_N = LengthConditioning(4, 3).embed(
        torch.tensor([[UNCONDITIONED, 0, MAX_LENGTH - 1, MAX_LENGTH, MAX_LENGTH + 5]])
    )[0]
    assert len(torch.unique(told_N, dim=0)) == 4
    assert torch.equal(told_N[3], told_N[4])


def test_its_parameters_are_a_part_of_their_own():
    counts = model().parameter_counts()
    assert counts["lengths"] == (MAX_LENGTH + 2) * 6 + (MAX_LENGTH + 1) * (5 + 1)
    assert counts["total"] == sum(counts.values()) - counts["total"]
