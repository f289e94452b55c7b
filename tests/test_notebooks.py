"""The notebooks as they are stored; pytest runs them as tests of their own (`nbmake`)."""

import nbformat
import pytest

from lm.cli import CONFIGS

FOLDER = CONFIGS.parent / "notebooks"
LARGEST = 64 * 1024


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_stored_small_and_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert [cell for cell in cells if cell.outputs or cell.execution_count is not None] == []
    assert path.stat().st_size < LARGEST


def test_all_notebooks_are_there():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {"evaluation", "results", "theory"}
