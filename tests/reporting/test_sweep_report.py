import csv
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from lm.reporting import sweep_report as module
from lm.reporting.sweep_report import write_report
from tests.run_folders import MakeRun

FILES = [
    "convergence.png",
    "convergence.svg",
    "report.md",
    "table.csv",
    "table.tex",
    "validation.png",
    "validation.svg",
]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def cells_in(folder: Path) -> list[str]:
    with (folder / "table.csv").open(newline="") as file:
        return [row["cell"] for row in csv.DictReader(file)]


def write_often(folder: Path) -> None:
    for _ in range(2):
        write_report(folder)


def test_a_report_is_its_files_and_nothing_else(grid: Path) -> None:
    write_report(grid)

    assert files_in(grid) == FILES
    assert "](convergence.png)" in (grid / "report.md").read_text(encoding="utf-8")


def test_the_csv_holds_the_numbers_of_the_results(grid: Path) -> None:
    write_report(grid)

    with (grid / "table.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[1]
    assert (row["cell"], float(row["dropout"])) == ("lstm", 0.25)
    assert float(row["test_ppl"]) == 91 - 1 / 3


def test_a_report_grows_with_its_sweep(make_run: MakeRun, sweep: Path) -> None:
    make_run(cell="lstm")
    write_report(sweep)
    assert cells_in(sweep) == ["lstm"]

    make_run(cell="gru")
    write_report(sweep)
    assert cells_in(sweep) == ["lstm", "gru"]


def test_a_sweep_without_a_finished_run_has_a_page_alone(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"status": "failed", "error": "boom"})

    report = write_report(sweep)

    assert files_in(sweep) == ["report.md"]
    assert "0 of 1 runs finished." in (sweep / "report.md").read_text()
    assert [run.error for run in report.unfinished] == ["boom"]


def test_a_figure_that_can_no_longer_be_drawn_is_taken_away(
    make_run: MakeRun, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lm.reporting.figures.MOST_PANELS", 1)
    make_run(cell="lstm")
    write_report(sweep)
    assert files_in(sweep) == FILES

    make_run(cell="gru")
    write_report(sweep)
    assert files_in(sweep) == [name for name in FILES if not name.startswith("convergence")]
    assert "convergence" not in (sweep / "report.md").read_text()


def test_a_single_run_may_have_a_report_of_its_own(grid: Path) -> None:
    report = write_report(grid / "cell=gru,dropout=0.25")

    assert [row["cell"] for row in report.table.rows] == ["gru"]
    assert set(FILES) < set(files_in(grid / "cell=gru,dropout=0.25"))
    assert files_in(grid) == []


def test_a_run_that_ends_while_the_report_is_written_is_in_it(make_run: MakeRun, sweep: Path) -> None:
    make_run(cell="lstm")
    write_once = module._write_once

    def write_slowly(*arguments: object) -> object:
        report = write_once(*arguments)  # type: ignore[arg-type]
        if len(list(sweep.glob("cell=*"))) == 1:
            make_run(cell="gru")
        return report

    with patch.object(module, "_write_once", write_slowly):
        report = write_report(sweep)

    assert cells_in(sweep) == ["lstm", "gru"]
    assert len(report.runs) == 2


def test_two_workers_may_write_at_once(grid: Path) -> None:
    write_report(grid)
    expected = {name: (grid / name).read_bytes() for name in FILES}

    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_often, args=(grid,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    seen = {name: set[bytes]() for name in FILES}
    while any(worker.is_alive() for worker in workers):
        for name in FILES:
            seen[name].add((grid / name).read_bytes())
        time.sleep(0.002)
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0]
    assert seen == {name: {content} for name, content in expected.items()}
    assert files_in(grid) == FILES


def test_the_terminal_shows_the_table_and_what_to_do_next(grid: Path) -> None:
    lines = write_report(grid).terminal_text().splitlines()

    assert lines[1].split() == ["cell", "dropout", "train", "valid", "test", "train", "valid", "test"]
    assert lines[4].split() == ["lstm", "0.25", "45.50", "91.00", "90.67", "43.80", "96.59", "92.67"]
    assert lines[-3:] == [
        f"Figure:      {grid / 'convergence.png'}",
        f"Report:      {grid / 'report.md'}",
        f"TensorBoard: tensorboard --logdir {grid}",
    ]


def test_the_terminal_lists_what_did_not_finish(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    make_run("cell=gru", cell="gru", results={"status": "diverged", "error": "the loss is not finite in step 7"})

    text = write_report(sweep).terminal_text()

    assert text.endswith(
        "1 of 2 runs not finished:\n- `cell=gru`: diverged: the loss is not finite in step 7\n"
        f"To resume, type the same again with hydra.sweep.dir={sweep}"
    )


def test_training_does_not_load_what_only_reports_need() -> None:
    code = (
        "import sys, lm.reporting.report_callback; "
        "print([name for name in ('matplotlib', 'tensorboard', 'torch') if name in sys.modules])"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout == "[]\n"
