"""The decoders against PyTorch's own adaptive softmax, and against a sum over the whole vocabulary."""

import math

import pytest
import torch
from torch.nn import AdaptiveLogSoftmaxWithLoss

from lm.data.bptt import IGNORE_INDEX
from lm.models.language_model import LanguageModel
from lm.models.linear_cross_entropy import chunk_size
from lm.models.softmax import AdaptiveSoftmax, FullSoftmax

H, V, N = 64, 300, 200
CUTOFFS = [20, 100]


def decoder(name="adaptive", cutoffs=CUTOFFS, dtype=torch.float64):
    torch.manual_seed(1)
    softmax = FullSoftmax(H, V) if name == "full" else AdaptiveSoftmax(H, V, cutoffs)
    return softmax.to(dtype)


def tokens(count=N, largest=V):
    generator = torch.Generator().manual_seed(2)
    hidden_NH = torch.randn(count, H, dtype=torch.float64, generator=generator)
    return hidden_NH, torch.randint(largest, (count,), generator=generator)


@pytest.mark.parametrize("cutoffs", [[20], [20, 100], [1, 2, 299], None])
def test_an_adaptive_softmax_is_pytorchs(cutoffs):
    found, (hidden_NH, targets_N) = decoder(cutoffs=cutoffs), tokens()
    weights_N = torch.rand(N, dtype=torch.float64)
    reference = AdaptiveLogSoftmaxWithLoss(H, V, cutoffs or [4, 37], head_bias=True).double()
    reference.load_state_dict(found.softmax.state_dict())
    nats = found.total_nats(hidden_NH.requires_grad_(), targets_N, weights_N)
    expected = -(weights_N * reference(hidden_NH, targets_N).output).sum()
    torch.testing.assert_close(nats, expected)
    gradients = torch.autograd.grad(nats, [hidden_NH, *found.parameters()])
    wanted = torch.autograd.grad(expected, [hidden_NH, *reference.parameters()], materialize_grads=True)
    torch.testing.assert_close(gradients, wanted)


def test_large_clusters_are_computed_in_chunks():
    vocabulary_size = 600_000
    found = AdaptiveSoftmax(4, vocabulary_size, [10]).double()
    targets_N = torch.arange(40) * 10_000
    assert chunk_size(vocabulary_size, 4) < len(targets_N)
    hidden_NH = torch.randn(len(targets_N), 4, dtype=torch.float64)
    nats = found.total_nats(hidden_NH, targets_N, torch.ones(len(targets_N), dtype=torch.float64))
    torch.testing.assert_close(nats, -found.softmax(hidden_NH, targets_N).output.sum())


@pytest.mark.parametrize("name", ["full", "adaptive"])
def test_the_nats_of_each_token_are_those_of_a_distribution(name):
    found, (hidden_NH, targets_N) = decoder(name), tokens()
    log_probabilities_NV = found(hidden_NH).log_softmax(1)
    torch.testing.assert_close(log_probabilities_NV.exp().sum(1), torch.ones(N, dtype=torch.float64))
    targets_N[3] = IGNORE_INDEX
    expected_N = -log_probabilities_NV[torch.arange(N), targets_N.clamp(min=0)]
    expected_N[3] = 0
    torch.testing.assert_close(found.token_nats(hidden_NH, targets_N), expected_N)
    weights_N = (targets_N != IGNORE_INDEX).double()
    torch.testing.assert_close(found.total_nats(hidden_NH, targets_N.clamp(min=0), weights_N), expected_N.sum())


def test_adaptive_logits_are_log_probabilities_for_any_shape():
    found, (hidden_NH, _) = decoder(), tokens(6)
    logits_NV = found(hidden_NH)
    torch.testing.assert_close(logits_NV, logits_NV.log_softmax(1))
    torch.testing.assert_close(found(hidden_NH.view(2, 3, H)), logits_NV.view(2, 3, V))
    torch.testing.assert_close(found(hidden_NH[0]), logits_NV[0])


def test_a_cluster_without_targets_gets_no_gradient():
    found, (hidden_NH, targets_N) = decoder(), tokens(largest=20)
    nats = found.total_nats(hidden_NH, targets_N, torch.ones(N, dtype=torch.float64))
    for gradient in torch.autograd.grad(nats, list(found.softmax.tail.parameters())):
        assert not gradient.any()


def test_names():
    assert isinstance(decoder("full"), FullSoftmax)
    assert isinstance(decoder("adaptive"), AdaptiveSoftmax)


def test_an_adaptive_softmax_has_fewer_parameters():
    counts = {
        name: LanguageModel(10_000, softmax=name, hidden_size=200).parameter_counts()["decoder"]
        for name in ("full", "adaptive")
    }
    head, clusters = 158 * 201, (200 * 50 + 50 * 1094) + (200 * 12 + 12 * 8750)
    assert counts == {"full": 2_010_000, "adaptive": head + clusters}


def test_an_untrained_adaptive_model_is_near_the_uniform_distribution():
    torch.manual_seed(1)
    model = LanguageModel(V, softmax="adaptive", init_range=1e-6, hidden_size=16, embedding_size=16)
    ids_TB = torch.randint(V, (50, 2))
    nats, _ = model.total_nats(ids_TB, ids_TB)
    head = 6  # 4 words and two clusters of 33 and 263 words
    expected = math.log(head) + ((ids_TB >= 4) & (ids_TB < 37)).double().mean() * math.log(33)
    expected += (ids_TB >= 37).double().mean() * math.log(263)
    assert nats.item() / 100 == pytest.approx(float(expected), abs=1e-4)
