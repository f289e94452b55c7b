import pytest
import torch

from lm.sweeps import launchers
from lm.sweeps.launchers import LocalLauncher, recommended_launcher


@pytest.mark.parametrize(
    ("gpus", "cores", "launcher"),
    [(0, 1, "basic"), (0, 2, "local"), (0, 64, "local"), (1, 64, "basic"), (8, 64, "gpus")],
)
def test_the_recommended_launcher_uses_all_of_the_machine(monkeypatch, gpus, cores, launcher):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(launchers, "cores", lambda: cores)
    assert recommended_launcher() == launcher


@pytest.mark.parametrize("n_jobs", [0, -1, 1.5, "two"])
def test_a_number_of_runs_at_a_time_that_is_none_is_refused(n_jobs):
    with pytest.raises(ValueError, match=r"expected hydra\.launcher\.n_jobs to be a whole number of at least 1"):
        LocalLauncher(n_jobs=n_jobs)


@pytest.mark.parametrize(("at_once", "cores", "threads"), [(2, 8, "4"), (4, 2, "1")])
def test_the_runs_share_the_cores_unless_the_user_says_otherwise(monkeypatch, at_once, cores, threads):
    monkeypatch.setattr(launchers, "cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert launchers._threads(at_once) == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert launchers._threads(at_once) == "3"
