import csv
import shutil
import subprocess
import sys
import time
from itertools import combinations, product
from pathlib import Path
from unittest.mock import patch

import pytest

from lm.reporting import sweep_report as module
from lm.reporting.effect_sentences import effect_sentence, effects_note
from lm.reporting.sweep_report import runs_of_sweeps, write_report
from tests.processes import FORK_SERVER
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
EFFECT_FILES = ["effects.csv", "effects.png", "effects.svg"]


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def cells_in(folder: Path) -> list[str]:
    with (folder / "table.csv").open(newline="") as file:
        return [row["cell"] for row in csv.DictReader(file)]


def test_a_report_writes_its_files_and_nothing_else(grid: Path) -> None:
    write_report(grid)

    assert files_in(grid) == sorted(FILES + EFFECT_FILES)
    assert "](convergence.png)" in (grid / "report.md").read_text(encoding="utf-8")


def test_the_csv_holds_the_numbers_of_the_results(grid: Path) -> None:
    write_report(grid, figures=False)

    with (grid / "table.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[1]
    assert (row["cell"], float(row["dropout"])) == ("lstm", 0.25)
    assert float(row["test_ppl"]) == 91 - 1 / 3


def test_a_report_grows_with_its_sweep(make_run: MakeRun, sweep: Path) -> None:
    make_run(cell="lstm")
    write_report(sweep, figures=False)
    assert cells_in(sweep) == ["lstm"]

    make_run(cell="gru")
    write_report(sweep, figures=False)
    assert cells_in(sweep) == ["lstm", "gru"]


def test_a_sweep_without_a_finished_run_has_only_the_page(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"status": "failed", "error": "boom"})

    report = write_report(sweep, figures=False)

    assert files_in(sweep) == ["report.md"]
    assert "0 of 1 runs finished." in (sweep / "report.md").read_text()
    assert [run.error for run in report.unfinished] == ["boom"]


def test_a_figure_that_can_no_longer_be_drawn_is_deleted(make_run: MakeRun, sweep: Path) -> None:
    folder = make_run(cell="lstm")
    write_report(sweep)
    assert files_in(sweep) == FILES

    (folder / "epochs.csv").unlink()
    write_report(sweep)
    assert files_in(sweep) == ["report.md", "table.csv", "table.tex"]
    assert ".png" not in (sweep / "report.md").read_text()


def test_several_sweeps_are_compared_in_a_folder_of_the_first(
    make_run: MakeRun, sweep: Path, tmp_path: Path, grid: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(grid, other)

    report = write_report(grid, others=[other])

    assert report.folder == grid / "comparison"
    assert files_in(grid / "comparison") == sorted(FILES + EFFECT_FILES)
    rows = [(row["cell"], row["sweep"]) for row in report.table.values.to_dict("records")]
    assert rows == [(cell, name) for name in ("sweep", "other") for cell in ("lstm", "lstm", "gru", "gru")]
    assert report.runs[0].name == "sweep/cell=lstm,dropout=0.0"
    assert len(write_report(grid, figures=False).runs) == 4  # the comparison is no run


def test_a_sweep_may_be_named_as_the_current_folder(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(grid, tmp_path / "other")
    monkeypatch.chdir(grid)
    names = [run.name for run in runs_of_sweeps([Path("."), Path("../other")])]
    assert names[0] == "sweep/cell=lstm,dropout=0.0"


def test_sweeps_of_the_same_name_are_told_apart_by_their_paths(make_run: MakeRun, grid: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "sweep"
    shutil.copytree(grid, other)

    assert {run.sweep for run in runs_of_sweeps([grid, other])} == {str(grid), str(other)}


def test_runs_in_nested_folders_are_reported(make_run: MakeRun, sweep: Path) -> None:
    for cell in ("lstm", "gru"):
        make_run(f"cell={cell}", cell=cell).rename(sweep / f"{cell}x")
        (sweep / cell).mkdir()
        (sweep / f"{cell}x").rename(sweep / cell / "0")

    write_report(sweep, figures=False)

    assert cells_in(sweep) == ["lstm", "gru"]


def test_a_damaged_run_is_named_and_the_others_are_reported(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    (make_run("cell=gru", cell="gru") / "results.json").write_text("[" * 100_000)

    report = write_report(sweep, figures=False)

    assert cells_in(sweep) == ["lstm"]
    assert "- `cell=gru`: damaged: results.json is damaged (RecursionError): copy the run" in report.terminal_text()


def test_a_single_run_may_have_a_report_of_its_own(grid: Path) -> None:
    report = write_report(grid / "cell=gru,dropout=0.25")

    assert report.table.values["cell"].tolist() == ["gru"]
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
        report = write_report(sweep, figures=False)

    assert cells_in(sweep) == ["lstm", "gru"]
    assert len(report.runs) == 2


def test_two_workers_may_write_at_once(grid: Path) -> None:
    write_report(grid)
    expected = {name: (grid / name).read_bytes() for name in FILES + EFFECT_FILES}

    workers = [FORK_SERVER.Process(target=write_with_figures, args=(grid,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    seen = {name: set[bytes]() for name in FILES + EFFECT_FILES}
    while any(worker.is_alive() for worker in workers):
        for name in FILES + EFFECT_FILES:
            seen[name].add((grid / name).read_bytes())
        time.sleep(0.002)
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0]
    assert seen == {name: {content} for name, content in expected.items()}
    assert files_in(grid) == sorted(FILES + EFFECT_FILES)


def write_with_figures(folder: Path) -> None:
    from tests.preload import write_figures  # without which the fork server writes reports

    module._write_figures = write_figures
    write_report(folder)


def test_the_terminal_shows_the_table_and_what_to_do_next(grid: Path) -> None:
    lines = write_report(grid).terminal_text().splitlines()

    headings = ["cell", "dropout", "train", "valid", "test", *["epochs", "to", "1", "%"], "train", "valid", "test"]
    assert lines[1].split() == headings
    assert lines[4].split() == ["lstm", "*", "0.25", "45.50", "91.00", "90.67", "2", "43.80", "96.59", "92.67"]
    notes = lines.index("Train is measured after training, without dropout.")
    assert lines[notes : notes + 8] == [
        "Train is measured after training, without dropout.",
        "* The lowest validation perplexity.",
        "Epochs to 1 %: the first epoch with a validation perplexity within 1 % of the run's best.",
        "",
        f"Figures:     {grid / 'convergence.png'}, {grid / 'validation.png'}, {grid / 'effects.png'}",
        f"Report:      {grid / 'report.md'}",
        f"TensorBoard: tensorboard --logdir {grid}",
        "",
    ]


def test_the_terminal_and_the_page_end_with_a_sentence_per_effect(grid: Path) -> None:
    report = write_report(grid, figures=False)

    sentences = [effect_sentence(effect) for effect in report.effects]
    assert len(sentences) == 5
    assert report.terminal_text().splitlines()[-6:] == [*sentences, effects_note(report.effects)]
    page = (grid / "report.md").read_text(encoding="utf-8")
    assert page.endswith("".join(f"- {sentence}\n" for sentence in sentences) + f"\n{effects_note(report.effects)}\n")


def test_a_sweep_over_many_options_shows_their_means_over_the_others(make_run: MakeRun, sweep: Path) -> None:
    for cell, dropout, size, tied in product(("lstm", "gru"), (0.0, 0.25), (100, 200), (False, True)):
        overrides = [f"cell={cell}", f"dropout={dropout}", f"hidden_size={size}", f"tie_weights={tied}"]
        make_run(*overrides, cell=cell, dropout=dropout, config={"hidden_size": size, "tie_weights": tied})

    report = write_report(sweep, figures=False)

    shown = [(effect.change.option, effect.by and effect.by.option, effect.num_settings) for effect in report.effects]
    options = ["cell", "dropout", "hidden_size", "tie_weights"]
    assert shown == [(option, None, 8) for option in options] + [
        (option, by, 4) for by, option in combinations(options, 2)
    ]
    with (sweep / "effects.csv").open(newline="") as file:
        rows = [(row["split"], row["by"] != "", row["settings"]) for row in csv.DictReader(file)]
    for split in ("valid", "test"):
        assert rows.count((split, False, "1")) == 4 * 8
        assert rows.count((split, False, "8")) == 4


def test_the_terminal_lists_the_unfinished_runs_and_how_to_resume(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    make_run("cell=gru", cell="gru", results={"status": "failed", "error": "no space left"})

    text = write_report(sweep, figures=False).terminal_text()

    assert text.endswith(
        "1 of 2 runs not finished:\n- `cell=gru`: failed: no space left\n"
        f"To resume, type the same command with hydra.sweep.dir={sweep}"
    )


def test_markdown_shows_an_error_as_it_is(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm", results={"status": "failed", "error": "found <unk> in [1]"})
    report = write_report(sweep, figures=False)
    assert "- `cell=lstm`: failed: found \\<unk> in \\[1\\]" in (sweep / "report.md").read_text(encoding="utf-8")
    assert "- `cell=lstm`: failed: found <unk> in [1]" in report.terminal_text()


def test_a_sweep_that_trains_is_not_resumed(make_run: MakeRun, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run("cell=lstm")
    make_run("cell=gru", cell="gru", running=True)
    report = write_report(sweep, figures=False)

    monkeypatch.setattr(module, "in_use", lambda folder: folder == sweep)

    assert report.terminal_text().endswith(f"Another process trains in {sweep}")


def test_a_run_that_has_diverged_is_not_resumed(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    make_run("cell=gru", cell="gru", results={"status": "diverged", "error": "the loss is not finite in step 7"})

    text = write_report(sweep, figures=False).terminal_text()

    assert text.endswith("1 of 2 runs not finished:\n- `cell=gru`: diverged: the loss is not finite in step 7")


def test_a_single_run_is_resumed_by_its_folder(make_run: MakeRun) -> None:
    folder = make_run("cell=lstm", running=True)

    assert (
        write_report(folder, figures=False)
        .terminal_text()
        .endswith(f"To resume, type python -m lm.train 'resume=\"{folder}\"'")
    )


def test_training_does_not_load_what_only_reports_need() -> None:
    code = (
        "import sys, lm.reporting.report_callback; "
        "print([name for name in ('matplotlib', 'pandas', 'tensorboard', 'torch') if name in sys.modules])"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout == "[]\n"
