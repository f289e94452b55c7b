import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from lm.benchmark.baseline import PlainLanguageModel
from lm.benchmark.flops import model_without_weights, step_bytes, step_flops
from lm.config import Config
from tests.benchmark.jobs import SETTINGS

WORDS, T, B = 30, 5, 4
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "changes", [{"cell": cell} for cell in ("lstm", "gru", "rnn_tanh")] + [{"embedding_size": 6, "num_layers": 3}]
)
def test_operations_are_those_that_pytorch_counts(changes):
    settings = Config(**vars(SETTINGS) | changes)
    plain = PlainLanguageModel(WORDS, settings)
    tokens_TB = torch.randint(WORDS, (T, B))
    h, c = torch.zeros(
        2, settings.num_layers, B, settings.hidden_size, requires_grad=True
    )  # as all other steps' states
    # oneDNN's LSTM is one operation, which the counter doesn't know.
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None), FlopCounterMode(display=False) as counted:
        hidden_TBH, _ = plain(tokens_TB, (h, c) if settings.cell == "lstm" else h)
        F.cross_entropy(plain.projection(hidden_TBH).flatten(0, 1), tokens_TB.flatten()).backward()
    flops = step_flops(model_without_weights(WORDS, settings), T * B)
    assert sum(flops.values()) == counted.get_total_flops()


def test_the_model_of_the_table_takes_six_gigaflops_a_step():
    settings = Config(**vars(SETTINGS) | {"hidden_size": 200, "embedding_size": 200})
    assert sum(step_flops(model_without_weights(10_000, settings), 400).values()) == 6_336_000_000


def test_bytes_are_those_of_the_words_read_and_of_all_weights_but_theirs():
    model = model_without_weights(WORDS, SETTINGS)
    weights = sum(p.numel() for name, p in model.named_parameters() if name != "embedding.weight")
    rows = T * B * 8
    assert list(step_bytes(model, T * B, CPU).values()) == [16 * rows, 16 * (weights + rows)]


def test_tied_weights_and_those_on_a_gpu_have_gradients_of_all_words():
    tied = model_without_weights(WORDS, Config(**vars(SETTINGS) | {"tie_weights": True}))
    for model, device in ((tied, CPU), (model_without_weights(WORDS, SETTINGS), torch.device("cuda"))):
        assert step_bytes(model, T * B, device)["clip and update"] == 16 * sum(p.numel() for p in model.parameters())


def test_the_shapes_alone_take_no_memory():
    assert {parameter.device.type for parameter in model_without_weights(10**7, SETTINGS).parameters()} == {"meta"}
