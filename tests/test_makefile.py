import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def make(*arguments):
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_help_fits_a_terminal():
    lines = make("help").splitlines()
    assert any(line.startswith("sweep ") for line in lines)
    assert all(len(line) <= 110 for line in lines)


def test_a_sweep_resumes_only_on_request():
    resumed = "'hydra.sweep.dir=${unfinished_sweep:${hydra.overrides.task},${oc.select:hydra.sweeper.params,null}}'"
    assert resumed in make("--dry-run", "sweep", "LAUNCHER=basic", "RESUME=1")
    assert "hydra.sweep.dir" not in make("--dry-run", "sweep", "LAUNCHER=basic")
