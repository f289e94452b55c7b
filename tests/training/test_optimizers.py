"""Every optimiser against `torch.optim` or its formula."""

import math

import pytest
import torch
from omegaconf import OmegaConf

from lm.cli import CONFIGS
from lm.training.optimizers import OPTIMIZERS, check_optimizer, clip_gradients, make_optimizer
from lm.training.sgd import total_norm

CPU = torch.device("cpu")


def options_of(name):
    """The options of a config group, without the default of the learning rate."""
    values = OmegaConf.load(CONFIGS / "optimizer" / f"{name}.yaml")
    return OmegaConf.to_container(OmegaConf.masked_copy(values, values.keys() - {"name", "lr"}))


def parameters():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4, 3, generator=generator, requires_grad=True) for _ in range(2)]


def set_gradients(values, step=0):
    generator = torch.Generator().manual_seed(2 + step)
    for value in values:
        value.grad = torch.randn(4, 3, generator=generator)


def test_every_optimizer_has_its_file():
    assert {path.stem for path in (CONFIGS / "optimizer").glob("*.yaml")} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_options_of_the_file_are_those_of_the_registry(name):
    check_optimizer(name, options_of(name))
    for wrong in ({"nesterov": True}, {option: None for option in options_of(name)}):
        if wrong:
            with pytest.raises(ValueError, match=r"^expected .*optimizer"):
                check_optimizer(name, options_of(name) | wrong)


REFERENCES = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "asgd": torch.optim.ASGD,
}


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
@pytest.mark.parametrize("weight_decay", [0.0, 0.2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clipped_steps_are_those_of_pytorchs_clipping_and_optimizer(name, weight_decay, max_norm):
    found, expected = parameters(), parameters()
    optimizer = make_optimizer(name, found, CPU, 0.1, weight_decay, **options_of(name))
    reference = REFERENCES[name](expected, lr=0.1, weight_decay=weight_decay, **options_of(name))
    for step in range(5):
        for values in (found, expected):
            set_gradients(values, step)
        torch.nn.utils.clip_grad_norm_(expected, max_norm)
        reference.step()
        norm = total_norm([parameter.grad for parameter in found])
        clip_gradients(optimizer, max_norm, norm, OPTIMIZERS[name].grad_scale)
        optimizer.step()
        torch.testing.assert_close(found, expected)


def test_the_decay_of_adamw_is_decoupled_and_that_of_adam_is_not():
    after = {}
    for name in ("adam", "adamw"):
        (weight,) = after[name] = [torch.full((1,), 2.0, requires_grad=True)]
        weight.grad = torch.zeros(1)
        make_optimizer(name, [weight], CPU, 0.1, 0.5, **options_of(name)).step()
    assert after["adamw"][0].item() == pytest.approx(2.0 - 0.1 * 0.5 * 2.0)
    assert after["adam"][0].item() == pytest.approx(2.0 - 0.1)  # the gradient is 0.5 * 2, and Adam normalises it


def test_a_beta_may_be_typed_as_a_whole_number():
    optimizer = make_optimizer("adam", parameters(), CPU, 0.1, betas=[0, 0.999], eps=1e-8)
    assert list(optimizer.param_groups[0]["betas"]) == [0.0, 0.999]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_of_the_config_group_reach_the_optimizer(name):
    values = options_of(name) | ({"eps": 0.25} if "eps" in options_of(name) else {})
    group = make_optimizer(name, parameters(), CPU, 0.3, 0.125, **values).param_groups[0]
    assert {key: list(group[key]) if key == "betas" else group[key] for key in values} == values
    assert (group["lr"], group["weight_decay"]) == (0.3, 0.125)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match=r"expected optimizer to be one of sgd, .*, found 'sdg': type optimizer=sgd"):
        make_optimizer("sdg", parameters(), CPU, lr=0.3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gpu_takes_the_steps_of_the_cpu(name):
    on_cpu = parameters()
    on_gpu = [value.detach().cuda().requires_grad_() for value in on_cpu]
    for values in (on_cpu, on_gpu):
        optimizer = make_optimizer(name, values, values[0].device, 0.1, 0.2, **options_of(name))
        for step in range(3):
            set_gradients(on_cpu, step)
            for value, source in zip(values, on_cpu, strict=True):
                value.grad = source.grad.to(value.device)
            norm = total_norm([value.grad for value in values])
            clip_gradients(optimizer, 0.5, norm, OPTIMIZERS[name].grad_scale)
            optimizer.step()
    torch.testing.assert_close([value.cpu() for value in on_gpu], on_cpu, check_device=False)
    assert all(math.isfinite(value.norm()) for value in on_gpu)
