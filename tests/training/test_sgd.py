import pytest
import torch
import torch.nn.functional as F

from lm.training.sgd import SGD, total_norm


def parameters():
    generator = torch.Generator().manual_seed(1)
    values = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in [(7, 3), (5, 3), (5,)]]
    return [value.requires_grad_() for value in values]


def error(embedding, weight, bias, sparse=False):
    words = torch.tensor([0, 3, 3, 6])  # one of them twice
    return F.linear(F.embedding(words, embedding, sparse=sparse), weight, bias).cos().sum()


def test_a_step_is_that_of_sgd_on_scaled_gradients_whether_sparse_or_dense():
    expected, dense, sparse = parameters(), parameters(), parameters()
    (error(*expected) / 4).backward()
    torch.optim.SGD(expected, lr=0.3).step()
    for found, is_sparse in ((dense, False), (sparse, True)):
        optimizer = SGD([*found, torch.zeros(2, requires_grad=True)], lr=0.3)  # the last one has no gradient
        optimizer.grad_scale = torch.tensor(4.0)
        error(*found, sparse=is_sparse).backward()
        assert found[0].grad.is_sparse == is_sparse
        optimizer.step()
        torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


def test_the_norm_is_that_of_the_dense_gradients():
    dense, sparse = parameters(), parameters()
    error(*dense).backward()
    error(*sparse, sparse=True).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in dense]).norm()
    for found in (dense, sparse):
        torch.testing.assert_close(total_norm([parameter.grad for parameter in found]), expected)


def test_the_closure_computes_gradients_and_its_result_is_given_back():
    found = parameters()
    optimizer = SGD(found, lr=0.3)

    def closure():
        optimizer.grad_scale = torch.tensor(2.0)
        loss = error(*found)
        loss.backward()
        return loss

    before = found[2].detach().clone()
    assert optimizer.step(closure) == error(*parameters())
    torch.testing.assert_close(found[2].detach(), before - 0.15 * found[2].grad)


@pytest.mark.parametrize("kinds", [(SGD, torch.optim.SGD), (torch.optim.SGD, SGD)])
def test_a_state_saved_on_a_cpu_goes_on_on_a_gpu_and_back(kinds):
    saved, loaded = (kind(parameters(), lr=rate, fused=True) for kind, rate in zip(kinds, (0.3, 0.1), strict=True))
    loaded.load_state_dict(saved.state_dict())
    loaded.param_groups[0]["params"][0].grad = torch.ones(7, 3, dtype=torch.float64)
    loaded.step()
    torch.testing.assert_close(loaded.param_groups[0]["params"][0].detach(), parameters()[0].detach() - 0.3)
