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
from tests.models.sentences import EOS, WORDS, sentence_batch, sentences

MAX_LENGTH = 8  # two of the sentences are longer


@pytest.fixture(autouse=True)
def few_classes(monkeypatch):
    monkeypatch.setattr(module, "MAX_LENGTH", MAX_LENGTH)


def model(cell="gru"):
    torch.manual_seed(0)
    arguments = {"embedding_size": 6, "hidden_size": 5, "num_layers": 2, "init_range": 0.7}
    return LanguageModel(WORDS, cell, **arguments, length_conditioning=True).double()


def nats_of_length(network, hidden_H, remaining):
    """-log P(n): one class for each length below `MAX_LENGTH`; above, half of the rest for each further word."""
    log_p = network.lengths.head(hidden_H).log_softmax(0)
    return -log_p[min(remaining, MAX_LENGTH)] + math.log(2) * max(0, remaining - MAX_LENGTH + 1)


def one_by_one(network):
    """The three parts of `SentenceLoss`, summed over the sentences."""
    totals = torch.zeros(3, dtype=torch.float64)
    for words in sentences():
        inputs_T1, remaining_T1 = torch.tensor([EOS, *words])[:, None], torch.arange(len(words), -1, -1)[:, None]
        logits_TBV, _ = network.logits(inputs_T1, None, remaining_T1)
        nats = F.cross_entropy(logits_TBV[:, 0], torch.tensor([*words, EOS]), reduction="sum")
        pairs = zip(network(inputs_T1)[0][:, 0], remaining_T1, strict=True)
        lengths = [nats_of_length(network, hidden_H, int(remaining)) for hidden_H, remaining in pairs]
        auxiliary = sum(length / n for n, length in enumerate(lengths, start=1))
        totals = totals + torch.stack([nats, lengths[0], auxiliary])
    return totals


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_nats_of_words_and_lengths_equal_those_of_single_sentences(cell, padding_side):
    network = model(cell)
    parameters = list(network.parameters())
    found, expected = torch.stack(network.sentence_loss(sentence_batch(padding_side))), one_by_one(network)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad(total.sum(), parameters) for total in (found, expected))
    torch.testing.assert_close(*gradients)


def test_short_and_long_sentences_weigh_the_same_in_the_auxiliary_loss():
    network, logits = model(), []
    network.lengths.head.register_forward_hook(lambda module, inputs, output: logits.append(output))
    found = network.sentence_loss(sentence_batch("right"))
    of_first = torch.autograd.grad(found.lengths, logits, retain_graph=True)[0][0]
    auxiliary = torch.autograd.grad(found.length_auxiliary, logits)[0][0]
    torch.testing.assert_close(auxiliary, of_first)


def test_without_length_conditioning_lengths_have_no_nats_and_no_effect():
    without = LanguageModel(WORDS, "gru", 6, 5, 2, init_range=0.7).double()
    assert without.sentence_loss(sentence_batch("right"))[1:] == (0, 0)
    tokens_TB, remaining_TB = torch.ones(3, 2, dtype=torch.long), torch.full((3, 2), 4)
    assert torch.equal(without(tokens_TB, None, remaining_TB)[0], without(tokens_TB)[0])


def test_a_batch_of_padding_alone_has_no_nats_and_no_gradient():
    """A device without sentences gets one."""
    network, batch = model(), sentence_batch("right")
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


def test_unconditioned_has_an_embedding_of_its_own_and_long_lengths_share_one():
    lengths_TB = torch.tensor([[UNCONDITIONED, 0, MAX_LENGTH - 1, MAX_LENGTH, MAX_LENGTH + 5]])
    embedded_BE = LengthConditioning(4, 3).embed(lengths_TB)[0]
    assert len(torch.unique(embedded_BE, dim=0)) == 4
    assert torch.equal(embedded_BE[3], embedded_BE[4])


def test_its_parameters_are_a_part_of_their_own():
    counts = model().parameter_counts()
    assert counts["lengths"] == (MAX_LENGTH + 2) * 6 + (MAX_LENGTH + 1) * (5 + 1)
    assert counts["total"] == sum(counts.values()) - counts["total"]
