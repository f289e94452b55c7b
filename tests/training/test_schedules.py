import pytest
import torch

from lm.training.schedules import SCHEDULES, ScheduleEntry, decay, make_scheduler
from tests.configs import config_with


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


def test_zarembas_small_model_halves_first_in_the_fifth_of_thirteen_epochs():
    config = config_with(epochs_at_full_rate=4, lr_decay_factor=2.0)
    rates = [decay(epochs, config) for epochs in range(13)]
    assert rates[:4] == [1.0] * 4
    assert rates[4] == 0.5
    assert rates[12] == 2.0**-9


def test_a_schedule_by_step_sees_fractions_of_an_epoch(monkeypatch):
    monkeypatch.setitem(SCHEDULES, "linear", ScheduleEntry(lambda epochs, config: 1 - epochs / config.epochs, "step"))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=8.0)
    found = make_scheduler("linear", config_with(epochs=2), optimizer, lambda: 4)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        found["scheduler"].step()
    assert (rates, found["interval"]) == ([8, 7, 6, 5, 4, 3, 2, 1], "step")


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="expected schedule to be one of decay, found 'cosines': type schedule=decay"):
        make_scheduler("cosines", config_with(), torch.optim.SGD([torch.zeros(1)]), lambda: 1)
