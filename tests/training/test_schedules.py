"""The learning rate at every epoch and at every step, against PyTorch's schedulers and the papers."""

import math
from dataclasses import replace

import pytest
import torch
import yaml
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from lm.cli import CONFIGS
from lm.training.schedules import SCHEDULES, ScheduleEntry, check_schedule, decay, make_scheduler, update_plateau
from tests.configs import config_with

STEPS = 8
"""Of an epoch."""


def sgd(lr=1.0):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def rates(config, epochs, lr=1.0):
    """Return the learning rate of every step."""
    optimizer, found = sgd(lr), []
    made = make_scheduler(config, optimizer, lambda: STEPS)
    for step in range(epochs * STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if made["interval"] == "step" or (step + 1) % STEPS == 0:
            made["scheduler"].step()
    return found


@pytest.mark.parametrize(
    ("epochs_at_full_rate", "expected"),
    [
        (0, [0.5, 0.25, 0.125, 0.0625]),
        (1, [1.0, 0.5, 0.25, 0.125]),
        (3, [1.0, 1.0, 1.0, 0.5]),
        (9, [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_rate_of_every_epoch(epochs_at_full_rate, expected):
    config = config_with(epochs_at_full_rate=epochs_at_full_rate, lr_decay_factor=2.0)
    assert [decay(epochs, config) for epochs in range(4)] == expected
    assert rates(config, 4) == [rate for rate in expected for _ in range(STEPS)]


def test_zarembas_small_model_halves_first_in_the_fifth_of_thirteen_epochs():
    config = config_with(epochs_at_full_rate=4, lr_decay_factor=2.0)
    rates = [decay(epochs, config) for epochs in range(13)]
    assert rates[:4] == [1.0] * 4
    assert rates[4] == 0.5
    assert rates[12] == 2.0**-9


def scheduled(name, epochs, **options):
    return config_with(schedule=name, schedule_options=options, epochs=epochs)


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_a_cosine_without_warm_up_is_that_of_pytorch(final):
    optimizer = sgd(3.0)
    reference, expected = CosineAnnealingLR(optimizer, 5 * STEPS, eta_min=3.0 * final), []
    for _ in range(5 * STEPS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    found = rates(scheduled("cosine", 5, warmup_epochs=0, final_factor=final), 5, 3.0)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("warmup", [0.5, 1, 2])
def test_the_warm_up_is_linear_and_the_cosine_fills_the_rest(warmup):
    """As `get_cosine_schedule_with_warmup` of Hugging Face's transformers."""
    found, warmup_steps, steps = rates(scheduled("cosine", 4, warmup_epochs=warmup, final_factor=0), 4), warmup * 8, 32
    for step, rate in enumerate(found):
        progress = (step - warmup_steps) / (steps - warmup_steps)
        expected = step / warmup_steps if step < warmup_steps else 0.5 * (1 + math.cos(math.pi * progress))
        assert rate == pytest.approx(expected, abs=1e-12)
    assert max(found) == found[int(warmup_steps)] == 1


@pytest.mark.parametrize("fraction", [0.25, 0.5])
def test_one_cycle_is_that_of_pytorch(fraction):
    """PyTorch's turns one step early and ends one step early, which its arguments make up for."""
    steps, optimizer, expected = 4 * STEPS, sgd(), []
    reference = OneCycleLR(
        optimizer, 3.0, steps + 1, pct_start=(fraction * steps + 1) / (steps + 1), div_factor=25, final_div_factor=100,
        cycle_momentum=False,
    )  # fmt: skip
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    config = scheduled("one_cycle", 4, warmup_fraction=fraction, initial_factor=1 / 25, final_factor=1 / 2500)
    assert rates(config, 4, 3.0) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("patience", "threshold"), [(0, 0), (1, 0), (0, 0.1)])
def test_a_plateau_divides_the_rate_when_the_loss_has_not_fallen(patience, threshold):
    config = replace(scheduled("plateau", 9, patience=patience, threshold=threshold), lr_decay_factor=4.0)
    optimizer = sgd()
    scheduler = make_scheduler(config, optimizer, lambda: STEPS)["scheduler"]
    best, waited, expected = math.inf, 0, 1.0
    for loss in [6.0, 5.8, 5.9, 5.5, 4.0, 3.9, 3.95, 3.92, 3.91, 3.0]:
        update_plateau(scheduler, math.exp(loss))
        better = loss < best * (1 - threshold)
        best, waited = (loss, 0) if better else (best, waited + 1)
        if waited > patience:
            expected, waited = expected / 4, 0
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)
    assert expected < 1


def test_a_schedule_that_does_not_depend_on_validation_is_not_updated_by_it():
    optimizer = sgd()
    update_plateau(make_scheduler(config_with(), optimizer, lambda: STEPS)["scheduler"], 5.0)
    update_plateau(None, 5.0)
    assert optimizer.param_groups[0]["lr"] == 1


def test_a_plateau_that_would_not_lower_the_rate_is_refused():
    config = replace(scheduled("plateau", 9, patience=0, threshold=0), lr_decay_factor=1.0)
    with pytest.raises(
        ValueError, match=r"^expected lr_decay_factor to be above 1 .*, found 1.0: type lr_decay_factor=4"
    ):
        check_schedule(config)


def test_a_schedule_by_step_sees_fractions_of_an_epoch(monkeypatch):
    monkeypatch.setitem(SCHEDULES, "linear", ScheduleEntry(lambda epochs, config: 1 - epochs / config.epochs, "step"))
    assert rates(scheduled("linear", 2), 2, 16.0) == list(range(16, 0, -1))


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match=r"expected schedule to be one of decay, .*, found 'cosines': type schedule="):
        make_scheduler(config_with(schedule="cosines"), sgd(), lambda: 1)


def test_a_warm_up_that_fills_all_epochs_is_refused():
    with pytest.raises(ValueError, match=r"below epochs=4, found 4: type schedule.warmup_epochs=0.4$"):
        check_schedule(scheduled("cosine", 4, warmup_epochs=4, final_factor=0))


@pytest.mark.parametrize("path", sorted((CONFIGS / "schedule").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_has_the_options_of_its_schedule(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    entry = SCHEDULES[values.pop("name")]
    assert values.keys() == {*entry.options, *entry.reads}
