from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="needs the extra search")

from lm.reporting.search_results import read_search, search_section
from lm.reporting.sweep_report import write_report
from lm.run_search import find_runs
from lm.study import STUDY
from tests.reporting.searches import make_search
from tests.run_folders import MakeRun

NOT_SHOWN = (
    "This sweep is a search. Its trials are not shown, because its study could not be read: "
    "`python -m lm.report` prints the reason."
)


@pytest.fixture
def search(sweep: Path, make_run: MakeRun) -> Path:
    make_search(sweep, make_run)
    return sweep


def test_the_best_trials_are_shown_with_the_values_of_their_runs(search: Path) -> None:
    found = read_search(search, find_runs(search))
    assert found is not None
    best = found.best_table().values
    assert list(best["valid"]) == [93.0, 95.0, 101.0, 105.0]
    assert list(best["lr"]) == [0.4, 0.5, 0.7, 1.0]
    assert list(best["cell"]) == ["lstm", "lstm", "gru", "gru"]
    assert best["run"][0] == "lr=0.4,cell=lstm"
    assert found.summary() == "5 trials: 4 finished, 1 pruned."
    assert found.trials[-1].valid_ppl == 200.0
    assert found.logarithmic == {"lr"}


def test_the_importances_are_optunas_and_sum_to_1(search: Path) -> None:
    found = read_search(search, find_runs(search))
    assert found is not None
    assert set(found.importances) == {"lr", "cell"}
    assert sum(found.importances.values()) == pytest.approx(1)
    assert found.importance_table().values.shape == (2, 2)
    assert "\nImportance: " in found.terminal()


def test_the_report_of_a_search_has_its_section_and_its_figure(search: Path) -> None:
    report = write_report(search)
    page = (search / "report.md").read_text(encoding="utf-8")
    assert "## Search\n\n5 trials: 4 finished, 1 pruned. The best:" in page
    assert "![Validation perplexity by option](search.png)" in page
    assert "## Runs that are not finished" not in page
    assert "| lr=1.9,cell=lstm" in page  # in the table of all runs
    assert "pruned" in page
    assert not report.unfinished
    assert "5 trials: 4 finished, 1 pruned." in report.terminal_text()


def test_a_search_names_each_run_that_it_has_no_answer_for(search: Path, make_run: MakeRun) -> None:
    make_run("lr=3", "cell=gru", results={"status": "diverged", "error": "the loss is nan"})
    make_run("lr=4", "cell=gru", results={"status": "interrupted", "error": "SIGTERM"})
    report = write_report(search)
    assert "1 of 7 runs not finished:\n- `lr=4,cell=gru`: interrupted: SIGTERM\nTo resume" in report.terminal_text()
    page = (search / "report.md").read_text(encoding="utf-8")
    assert "## Runs that are not finished\n\n- `lr=4,cell=gru`: interrupted: SIGTERM\n\n" in page


def test_a_sweep_that_is_no_search_has_no_such_section(grid: Path) -> None:
    assert read_search(grid, find_runs(grid)) is None
    assert list(search_section(grid, None)) == []


def test_a_report_is_written_without_optuna_too(
    search: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lm.checks.find_spec", lambda name: None)
    write_report(search)
    page = (search / "report.md").read_text(encoding="utf-8")
    assert NOT_SHOWN in page
    assert "type pip install -e '.[search]'" in caplog.text


def test_a_damaged_study_does_not_cost_the_report(search: Path, caplog: pytest.LogCaptureFixture) -> None:
    (search / STUDY).write_text("{\n{\n")
    report = write_report(search)
    assert len(report.table.values) == 4
    assert "the report leaves out the search: " in caplog.text
    assert NOT_SHOWN in (search / "report.md").read_text(encoding="utf-8")
    assert not report.effects
