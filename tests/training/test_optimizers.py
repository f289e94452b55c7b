import pytest
import torch

from lm.training.optimizers import OPTIMIZERS, OptimizerEntry, clip_gradients, make_optimizer
from lm.training.sgd import total_norm

CPU = torch.device("cpu")


def parameters():
    generator = torch.Generator().manual_seed(1)
    found = [torch.randn(4, 3, generator=generator, requires_grad=True) for _ in range(2)]
    for parameter in found:
        parameter.grad = torch.randn(4, 3, generator=generator)
    return found


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
@pytest.mark.parametrize("by_grad_scale", [False, True])
def test_a_clipped_step_is_that_of_pytorchs_clipping(max_norm, by_grad_scale):
    found, expected = parameters(), parameters()
    torch.nn.utils.clip_grad_norm_(expected, max_norm)
    torch.optim.SGD(expected, lr=0.3).step()
    optimizer = make_optimizer("sgd", found, CPU, lr=0.3) if by_grad_scale else torch.optim.SGD(found, lr=0.3)
    clip_gradients(optimizer, max_norm, total_norm([parameter.grad for parameter in found]), by_grad_scale)
    optimizer.step()
    torch.testing.assert_close(found, expected)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="expected optimizer to be one of sgd, found 'sdg': type optimizer=sgd"):
        make_optimizer("sdg", parameters(), CPU, lr=0.3)


def test_options_of_the_config_group_reach_the_optimizer(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "adamw", OptimizerEntry(torch.optim.AdamW, torch.optim.AdamW))
    optimizer = make_optimizer("adamw", parameters(), CPU, lr=0.3, weight_decay=0.25)
    assert optimizer.param_groups[0]["weight_decay"] == 0.25
