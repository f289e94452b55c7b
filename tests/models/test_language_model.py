import pytest
import torch
from torch.nn.functional import cross_entropy

from lm.data.bptt import IGNORE_INDEX
from lm.data.sentences import right_pad
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel, detach_states
from tests.models.sentences import EOS, WORDS, sentence_batch, sentences

T, B = 6, 3


def model(cell="lstm", **changes):
    torch.manual_seed(0)
    return LanguageModel(WORDS, cell, **{"embedding_size": 8, "hidden_size": 8, "num_layers": 2} | changes)


def window():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(WORDS, (2, T, B), generator=generator).unbind(0)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_two_windows_with_a_carried_state_equal_one(cell):
    tokens_TB, _ = window()
    network = model(cell)
    whole, last = network.logits(tokens_TB)
    first, states = network.logits(tokens_TB[:2])
    second, states = network.logits(tokens_TB[2:], detach_states(states))
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(states, last)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_nats_and_their_gradients_are_those_of_the_logits(cell):
    tokens_TB, targets_TB = window()
    targets_TB = targets_TB.clone()
    targets_TB[-1, 1:] = IGNORE_INDEX
    network = model(cell).double()
    nats, _ = network.total_nats(tokens_TB, targets_TB)
    logits_TBV, _ = network.logits(tokens_TB)
    flat = logits_TBV.flatten(0, 1), targets_TB.flatten()
    expected = cross_entropy(*flat, ignore_index=IGNORE_INDEX, reduction="sum")
    torch.testing.assert_close(nats, expected)
    parameters = list(network.parameters())
    torch.testing.assert_close(torch.autograd.grad(nats, parameters), torch.autograd.grad(expected, parameters))


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_the_stack_is_pytorchs(cell):
    network, (tokens_TB, _) = model(cell, num_layers=3), window()
    stack = CELLS[cell].reference(8, 8, num_layers=3, dropout=0.0)
    for index, layer in enumerate(network.rnns):
        for name, value in layer.named_parameters():
            getattr(stack, name.replace("_l0", f"_l{index}")).data.copy_(value.data)
    torch.testing.assert_close(network(tokens_TB)[0], stack(network.embedding(tokens_TB))[0])


def test_dropout_is_applied_to_the_non_recurrent_connections_alone():
    """After the embedding, between layers and before the decoder: num_layers + 1 times, on whole windows [T, B, .]."""
    network, shapes = model(dropout=0.5, num_layers=3), []
    network.dropout.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    network(window()[0])
    assert shapes == [(T, B, 8)] * 4
    assert all(layer.dropout == 0 for layer in network.rnns)


def test_a_state_is_carried_without_dropout():
    network = model(dropout=0.9)
    _, states = network(window()[0])
    assert all((hidden != 0).all() for hidden, _ in states)


@pytest.mark.parametrize("init_range", [0.1, 0.04])
def test_every_parameter_starts_uniform_in_the_range(init_range):
    values = torch.cat([parameter.flatten() for parameter in model(hidden_size=64, init_range=init_range).parameters()])
    assert values.abs().max() <= init_range
    assert values.std().item() == pytest.approx(init_range / 3**0.5, rel=0.03)


def test_parameters_are_counted_by_part():
    counts = LanguageModel(10_000, "lstm", 200, 200, num_layers=1).parameter_counts()
    # One layer of 200 has 4 * (200 + 2 * 200 * 200) with one bias of each gate; PyTorch keeps two.
    recurrent = 320_800 + 4 * 200
    assert counts == {
        "embedding": 2_000_000,
        "recurrent": recurrent,
        "decoder": 2_010_000,
        "total": 4_010_000 + recurrent,
    }


def test_tied_weights_are_one_matrix_counted_once():
    network = model(tie_weights=True)
    assert network.decoder.weight is network.embedding.weight
    assert network.parameter_counts()["decoder"] == WORDS
    assert network.parameter_counts()["total"] == sum(parameter.numel() for parameter in network.parameters())


def one_by_one(network):
    """The summed nats by PyTorch's own cross-entropy, and the hidden states of each sentence."""
    nats, hidden = torch.zeros((), dtype=torch.float64), []
    for words in sentences():
        inputs_T1 = torch.tensor([EOS, *words])[:, None]
        logits_TBV, _ = network.logits(inputs_T1)
        nats = nats + cross_entropy(logits_TBV[:, 0], torch.tensor([*words, EOS]), reduction="sum")
        hidden.append(network(inputs_T1)[0][:, 0])
    return nats, hidden


def sentence_model(cell):
    return model(cell, embedding_size=6, hidden_size=5, init_range=0.7).double()


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_padding_changes_no_loss_and_no_gradient(cell, padding_side):
    network = sentence_model(cell)
    parameters = list(network.parameters())
    found, (expected, _) = network.sentence_loss(sentence_batch(padding_side)).words, one_by_one(network)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters))


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_padding_changes_no_hidden_state(cell, padding_side):
    network, batch = sentence_model(cell), right_pad(sentence_batch(padding_side))
    hidden_TBH, _ = network(batch.inputs_TB)
    by_length = sorted(one_by_one(network)[1], key=len)
    for column, expected_TH in enumerate(by_length):
        torch.testing.assert_close(hidden_TBH[: len(expected_TH), column], expected_TH)
    assert [int(n) for n in (batch.targets_TB != IGNORE_INDEX).sum(0)] == [len(hidden) for hidden in by_length]


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_the_ids_under_the_padding_do_not_matter(padding_side):
    network, batch = sentence_model("gru"), sentence_batch(padding_side)
    padded_TB = batch.targets_TB == IGNORE_INDEX
    other = batch._replace(inputs_TB=batch.inputs_TB.masked_fill(padded_TB, 7))
    assert padded_TB.any()
    assert torch.equal(network.sentence_loss(batch).words, network.sentence_loss(other).words)
