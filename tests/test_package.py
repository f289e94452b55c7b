"""The names of the package `lm`, as `import lm` gives them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lm

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "pytorch_lightning", "pandas", "hydra", "numpy")


def test_import_lm_imports_nothing_else():
    code = f"import lm, sys; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_sweep_is_loaded_without_pytorch(grid):
    code = f"import lm, sys; print(len(lm.load_sweep({str(grid)!r})), 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["4", "False"]


@pytest.mark.parametrize("name", ["load_run", "load_sweep", "train", "LanguageModelModule"])
def test_a_public_name_is_listed_and_found(name):
    assert name in dir(lm)
    assert callable(getattr(lm, name))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="load_rum"):
        lm.load_rum  # noqa: B018


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("pyproject.toml", r'^version = "(.+)"$'),
        ("CITATION.cff", r"^version: (.+)$"),
        ("CHANGELOG.md", r"^## (\d\S+) - \d{4}-\d\d-\d\d$"),
    ],
)
def test_every_file_states_the_same_version(file, pattern):
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.M)
    assert found is not None
    assert found[1] == lm.__version__
