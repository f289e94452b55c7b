"""Sentences side by side, padded at either end, against one after the other without any padding."""

import pytest
import torch
import torch.nn.functional as F

from lm.data.bptt import IGNORE_INDEX
from lm.data.sentences import Sentences, right_pad
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel

EOS, WORDS = 0, 30
LENGTHS = [3, 9, 1, 0, 5, 5, 12]


@pytest.fixture
def text():
    draw = torch.Generator().manual_seed(1)
    return [torch.randint(1, WORDS, (length,), generator=draw).tolist() for length in LENGTHS]


def model(cell):
    torch.manual_seed(0)
    return LanguageModel(WORDS, cell, embedding_size=6, hidden_size=5, num_layers=2, init_range=0.7).double()


def batch_of(text, padding_side):
    ids = torch.tensor([word for words in text for word in (*words, EOS)])
    [batch] = Sentences(ids, EOS, len(text), padding_side=padding_side)
    return batch


def one_by_one(network, text):
    """The summed nats by PyTorch's own cross-entropy, and the hidden states of each sentence."""
    nats, hidden = torch.zeros((), dtype=torch.float64), []
    for words in text:
        logits_TBV, _ = network.logits(torch.tensor([EOS, *words])[:, None])
        nats = nats + F.cross_entropy(logits_TBV[:, 0], torch.tensor([*words, EOS]), reduction="sum")
        hidden.append(network(torch.tensor([EOS, *words])[:, None])[0][:, 0])
    return nats, hidden


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_padding_changes_no_loss_and_no_gradient(cell, padding_side, text):
    network = model(cell)
    parameters = list(network.parameters())
    found, (expected, _) = network.sentence_loss(batch_of(text, padding_side)).words, one_by_one(network, text)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters))


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_padding_changes_no_hidden_state(cell, padding_side, text):
    network, batch = model(cell), right_pad(batch_of(text, padding_side))
    hidden_TBH, _ = network(batch.inputs_TB)
    by_length = sorted(one_by_one(network, text)[1], key=len)
    for column, expected_TH in enumerate(by_length):
        torch.testing.assert_close(hidden_TBH[: len(expected_TH), column], expected_TH)
    assert [int(n) for n in (batch.targets_TB != IGNORE_INDEX).sum(0)] == [len(hidden) for hidden in by_length]


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_what_stands_in_the_padding_does_not_matter(padding_side, text):
    network, batch = model("gru"), batch_of(text, padding_side)
    padded_TB = batch.targets_TB == IGNORE_INDEX
    other = batch._replace(inputs_TB=batch.inputs_TB.masked_fill(padded_TB, 7))
    assert padded_TB.any()
    assert torch.equal(network.sentence_loss(batch).words, network.sentence_loss(other).words)
