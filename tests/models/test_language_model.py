import pytest
import torch
from torch.nn.functional import cross_entropy

import lm.models.dropout
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


@pytest.mark.parametrize("cell", sorted(name for name in CELLS if CELLS[name].reference_class))
def test_the_stack_is_pytorchs(cell):
    network, (tokens_TB, _) = model(cell, num_layers=3), window()
    stack = CELLS[cell].reference(8, 8, num_layers=3, dropout=0.0)
    for index, layer in enumerate(network.rnns):
        for name, value in layer.named_parameters():
            getattr(stack, name.replace("_l0", f"_l{index}")).data.copy_(value.data)
    torch.testing.assert_close(network(tokens_TB)[0], stack(network.embedding(tokens_TB))[0])


def test_dropout_is_applied_to_the_non_recurrent_connections_alone():
    """After the embedding, between layers and before the decoder: num_layers + 1 times, on whole windows [T, B, .]."""
    network, calls = model(dropout=0.5, num_layers=3), []
    for dropout in (network.input_dropout, network.hidden_dropout, network.output_dropout):
        dropout.register_forward_hook(lambda module, _, output: calls.append((module, output.shape)))
    network(window()[0])
    order = [network.input_dropout, network.hidden_dropout, network.hidden_dropout, network.output_dropout]
    assert calls == [(dropout, (T, B, 8)) for dropout in order]
    assert all(layer.dropout == 0 for layer in network.rnns)


@pytest.fixture
def masks(monkeypatch):
    """The masks drawn by the model, in order."""
    drawn, draw = [], lm.models.dropout.scaled_mask
    monkeypatch.setattr(lm.models.dropout, "scaled_mask", lambda x, p: drawn.append(draw(x, p)) or drawn[-1])
    return drawn


def step_by_step(network, cell, tokens_TB, masks):
    """The hidden states of a network of two layers, word by word and column by column, under given masks."""
    if not CELLS[cell].recurrent:
        masks = [*masks[:2], None, masks[2], None, masks[3]]
    word_V, input_1BH, weight_1, hidden_1BH, weight_2, output_1BH = masks
    layers = []
    for layer, mask in zip(network.rnns, (weight_1, weight_2), strict=True):
        masked = CELLS[cell].layer(layer.input_size, layer.hidden_size)
        masked.load_state_dict(layer.state_dict())
        if mask is not None:
            masked.all_weights[0][1].data.mul_(mask)
        layers.append(masked)
    columns = []
    for column in range(B):
        states, outputs = [None, None], []
        for word in tokens_TB[:, column]:
            x = network.embedding.weight[word] * word_V[word] * input_1BH[0, column]
            x, states[0] = layers[0](x[None, None], states[0])
            x, states[1] = layers[1](x * hidden_1BH[0, column], states[1])
            outputs.append(x[0, 0] * output_1BH[0, column])
        columns.append(torch.stack(outputs))
    return torch.stack(columns, dim=1)


REGULARISED = dict(
    dropout_type="locked", input_dropout=0.4, hidden_dropout=0.3, output_dropout=0.2, embedding_dropout=0.25,
    weight_dropout=0.5, init_range=0.5,
)  # fmt: skip


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_every_mask_is_where_it_belongs_in_training_and_gone_in_evaluation(cell, masks):
    options = REGULARISED if CELLS[cell].recurrent else {**REGULARISED, "weight_dropout": 0.0}
    network, (tokens_TB, _) = model(cell, embedding_size=6, **options), window()
    for _ in range(2):
        found, _ = network(tokens_TB)
        torch.testing.assert_close(found, step_by_step(network, cell, tokens_TB, masks))
        masks.clear()
    same = model(cell, embedding_size=6, init_range=0.5)
    same.load_state_dict(network.state_dict())
    torch.testing.assert_close(network.eval()(tokens_TB), same(tokens_TB), rtol=0, atol=0)
    assert masks == []


def test_each_dropout_has_the_given_probability_or_that_of_all():
    network = model(dropout=0.5, input_dropout=0.0, output_dropout=0.25)
    assert [network.input_dropout.p, network.hidden_dropout.p, network.output_dropout.p] == [0.0, 0.5, 0.25]


@pytest.mark.parametrize("tie_weights", [True, False])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_the_last_layer_may_have_another_size(cell, tie_weights):
    network = model(cell, embedding_size=6, last_hidden_size=6, num_layers=3, tie_weights=tie_weights)
    assert [(layer.input_size, layer.hidden_size) for layer in network.rnns] == [(6, 8), (8, 8), (8, 6)]
    logits_TBV, _ = network.logits(window()[0])
    assert (network.decoder.weight is network.embedding.weight) == tie_weights
    hidden_TBH, _ = network(window()[0])
    torch.testing.assert_close(logits_TBV, hidden_TBH @ network.decoder.weight.t() + network.decoder.bias)


def test_the_sizes_of_merity_et_al_have_their_number_of_parameters():
    sizes = dict(embedding_size=400, hidden_size=1150, last_hidden_size=400, num_layers=3, tie_weights=True)
    with torch.device("meta"):
        counts = LanguageModel(10_000, "lstm", **sizes).parameter_counts()
    assert counts["total"] == 24_221_600


def test_tied_weights_of_another_size_are_projected():
    network = model(embedding_size=6, tie_weights=True)
    assert network.projection.weight.shape == (6, 8)
    assert network.parameter_counts()["projection"] == 48
    tokens_TB, targets_TB = window()
    recorded = []
    network.output_dropout.register_forward_hook(lambda *call: recorded.append(call[2]))
    nats, _ = network.total_nats(tokens_TB, targets_TB)
    logits_TBV = recorded[0] @ network.projection.weight.t() @ network.embedding.weight.t() + network.decoder.bias
    torch.testing.assert_close(nats, cross_entropy(logits_TBV.flatten(0, 1), targets_TB.flatten(), reduction="sum"))


def test_a_state_is_carried_without_dropout():
    network = model(dropout=0.9)
    _, states = network(window()[0])
    assert all((hidden != 0).all() for hidden, _ in states)


@pytest.mark.parametrize("init_range", [0.1, 0.04])
def test_every_parameter_starts_uniform_in_the_range(init_range):
    values = torch.cat([parameter.flatten() for parameter in model(hidden_size=64, init_range=init_range).parameters()])
    assert values.abs().max() <= init_range
    assert values.std().item() == pytest.approx(init_range / 3**0.5, rel=0.03)


def test_the_parameters_of_recurrent_layers_may_start_in_a_range_of_their_own():
    found = model(hidden_size=64, init_range=0.1, recurrent_init_range=0.03)
    for name, parameter in found.named_parameters():
        limit = 0.03 if name.startswith("rnns.") else 0.1
        assert 0.9 * limit < parameter.abs().max() <= limit


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
