"""Averaged SGD against its formula in plain Python, with a learning rate that changes."""

from copy import deepcopy

import pytest
import torch

from lm.training.asgd import ASGD

RATES = [0.5, 0.5, 0.25, 0.25, 0.125, 1.0]


@pytest.mark.parametrize(("lambd", "alpha", "t0"), [(0.0, 0.75, 0), (0.01, 0.75, 2), (0.1, 1.0, 4)])
def test_each_step_uses_its_own_learning_rate_and_the_average_is_the_mean(lambd, alpha, t0):
    weight = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
    optimizer = ASGD([weight], lr=RATES[0], lambd=lambd, alpha=alpha, t0=t0)
    expected, visited = [2.0, -1.0], []
    for step, rate in enumerate(RATES):
        optimizer.param_groups[0]["lr"] = rate
        (weight.grad,) = torch.autograd.grad((weight**2).sum(), weight)
        optimizer.step()
        eta = rate / (1 + lambd * rate * step) ** alpha
        expected = [value * (1 - lambd * eta) - eta * 2 * value for value in expected]
        visited.append(expected)
        averaged = visited[t0:] or visited[-1:]
        mean = [sum(values) / len(averaged) for values in zip(*averaged, strict=True)]
        torch.testing.assert_close(weight.tolist(), expected)
        torch.testing.assert_close(optimizer.state[weight]["ax"].tolist(), mean)


def test_the_closure_computes_gradients_and_its_result_is_returned():
    weight = torch.ones(3, requires_grad=True)
    optimizer = ASGD([weight], lr=0.5, lambd=0, t0=0)

    def closure():
        optimizer.zero_grad()
        loss = weight.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 3
    assert weight.tolist() == [0.5] * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_restored_state_takes_the_same_steps(dtype):
    weights = [torch.ones(3, dtype=dtype, requires_grad=True) for _ in range(2)]
    optimizers = [ASGD([weight], lr=0.1, t0=0, lambd=0.1) for weight in weights]
    for weight in weights:
        weight.grad = torch.full((3,), 0.25, dtype=dtype)
    optimizers[0].step()
    with torch.no_grad():
        weights[1].copy_(weights[0])
    optimizers[1].load_state_dict(deepcopy(optimizers[0].state_dict()))
    for optimizer in optimizers:
        optimizer.step()
    assert torch.equal(*weights)
    assert torch.equal(*(optimizer.state[weight]["ax"] for optimizer, weight in zip(optimizers, weights, strict=True)))
