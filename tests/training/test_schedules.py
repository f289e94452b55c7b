import pytest

from lm.training.schedules import learning_rate


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
    assert [learning_rate(epoch, 1.0, epochs_at_full_rate, 2.0) for epoch in (1, 2, 3, 4)] == expected


def test_zarembas_small_model_halves_first_in_the_fifth_of_thirteen_epochs():
    rates = [learning_rate(epoch, 1.0, 4, 2.0) for epoch in range(1, 14)]
    assert rates[:4] == [1.0] * 4
    assert rates[4] == 0.5
    assert rates[12] == 2.0**-9
