import pytest
import torch

from lm.sweeps import recommended_launcher


@pytest.mark.parametrize(
    ("gpus", "cores", "launcher"),
    [(0, 1, "basic"), (0, 2, "local"), (0, 64, "local"), (1, 64, "basic"), (8, 64, "gpus")],
)
def test_a_sweep_uses_all_of_the_machine(monkeypatch, gpus, cores, launcher):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(recommended_launcher, "cores", lambda: cores)
    assert recommended_launcher.recommended() == launcher
