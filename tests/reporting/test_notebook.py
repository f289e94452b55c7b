from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.run_folders import MakeRun

ROOT = Path(__file__).parents[2]


def test_the_notebook_shows_any_sweep(seeds: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds, a failed run and one that is still on its way."""
    make_run("cell=lstm", "seed=4", seed=4, results={"status": "failed", "best": None})
    make_run("cell=lstm", "seed=5", seed=5, running=True)
    monkeypatch.setenv("LM_SWEEP", str(seeds))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / "results.ipynb", as_version=4)

    NotebookClient(notebook, timeout=300).execute()

    outputs = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    assert "failed" in outputs
    assert "running" in outputs
    assert "±" in outputs
