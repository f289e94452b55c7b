import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lm.data.bptt import IGNORE_INDEX
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel, detach_states

WORDS, T, B = 30, 6, 3


def model(cell="lstm", **changes):
    torch.manual_seed(0)
    return LanguageModel(WORDS, cell, **{"embedding_size": 8, "hidden_size": 8, "num_layers": 2} | changes)


def window():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(WORDS, (2, T, B), generator=generator).unbind(0)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_a_text_in_two_windows_gives_what_it_gives_in_one(cell):
    tokens, _ = window()
    network = model(cell)
    whole, last = network.logits(tokens)
    first, states = network.logits(tokens[:2])
    second, states = network.logits(tokens[2:], detach_states(states))
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(states, last)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_nats_and_their_gradients_are_those_of_the_logits(cell):
    tokens, targets = window()
    targets = targets.clone()
    targets[-1, 1:] = IGNORE_INDEX
    network = model(cell).double()
    nats, _ = network.total_nats(tokens, targets)
    logits, _ = network.logits(tokens)
    expected = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, reduction="sum")
    torch.testing.assert_close(nats, expected)
    parameters = list(network.parameters())
    torch.testing.assert_close(torch.autograd.grad(nats, parameters), torch.autograd.grad(expected, parameters))


@pytest.mark.parametrize(("cell", "reference"), [("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn_tanh", nn.RNN)])
def test_the_stack_is_pytorchs(cell, reference):
    network, tokens = model(cell, num_layers=3), window()[0]
    stack = reference(8, 8, 3)
    for index, layer in enumerate(network.rnns):
        for name, value in layer.named_parameters():
            getattr(stack, name.replace("_l0", f"_l{index}")).data.copy_(value.data)
    torch.testing.assert_close(network(tokens)[0], stack(network.embedding(tokens))[0])


def test_dropout_falls_on_the_non_recurrent_connections_alone():
    """After the embedding, between layers and before the softmax: num_layers + 1 times, on whole windows [T, B, .]."""
    network, shapes = model(dropout=0.5, num_layers=3), []
    network.dropout.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    network(window()[0])
    assert shapes == [(T, B, 8)] * 4
    assert all(getattr(layer, "dropout", 0) == 0 for layer in network.rnns)


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
    # One layer of 200 has 4 * (200 + 2 * 200 * 200) with one bias a gate; PyTorch keeps two.
    assert counts["recurrent"] == 320_800 + 4 * 200
    assert counts["embedding"] == 2_000_000
    assert counts["decoder"] == 2_010_000
    assert counts["total"] == sum(counts[part] for part in ("embedding", "recurrent", "decoder"))


def test_tied_weights_are_one_matrix_counted_once():
    network = model(tie_weights=True)
    assert network.decoder.weight is network.embedding.weight
    assert network.parameter_counts()["decoder"] == WORDS
    assert network.parameter_counts()["total"] == sum(parameter.numel() for parameter in network.parameters())


def test_tying_different_sizes_is_refused():
    with pytest.raises(ValueError, match="type embedding_size=8"):
        model(embedding_size=4, tie_weights=True)


def test_an_unknown_cell_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="expected a cell of lstm, gru, rnn_tanh, rnn_relu, found 'lsmt'"):
        model("lsmt")
