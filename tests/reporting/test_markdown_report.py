from pathlib import Path

from omegaconf import OmegaConf

from lm.reporting.markdown_report import report_markdown, sweep_command
from lm.reporting.table import build_table, settings_of
from lm.run_dir import find_runs
from tests.run_folders import MakeRun


def page(folder: Path) -> str:
    runs = find_runs(folder)
    settings = settings_of(runs)
    return report_markdown(folder, runs, settings, build_table(settings))


def row(text: str, *cells: str) -> bool:
    """Whether some table of the page has a row that begins with these cells."""
    rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:1] == "|")
    return any(found[: len(cells)] == list(cells) for found in rows)


def test_the_page_shows_best_weights_first_and_last_weights_after(grid: Path) -> None:
    best, last = page(grid).split("## Last weights")

    assert row(best, "lstm", "0.25", "45.50", "91.00", "90.67", "43.80", "96.59", "92.67")
    assert row(last, "lstm", "0.25", "30.33", "101.00", "100.00")


def test_every_number_has_its_protocol(grid: Path) -> None:
    text = page(grid)

    assert row(text, "train", "20", "929588", "carried", "float32", "all")
    assert row(text, "valid", "1", "73759", "carried", "float32", "all")
    assert row(text, "test", "1", "82429", "carried", "float32", "all")


def test_runs_that_were_measured_differently_are_told_apart(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    protocol = {"batch_size": 7, "tokens": 5, "state": "reset", "matmul_precision": "bf16 (fp32 accumulation)"}
    make_run("cell=gru", cell="gru", results={"protocol": {"valid": protocol}})

    text = page(sweep)

    assert row(text, "valid", "1", "73759", "carried", "float32", "cell=lstm")
    assert row(text, "valid", "7", "5", "reset", "bf16 (fp32 accumulation)", "cell=gru")


def test_the_page_says_where_the_numbers_come_from(grid: Path) -> None:
    text = page(grid)

    facts = {
        "corpus": "ptb",
        "corpus SHA-256": "ab" * 32,
        "corpus vocabulary": "10000",
        "commit": "0123abc",
        "torch": "2.13.0",
        "device": "cpu",
        "precision": "32-true",
    }
    assert all(row(text, name, value, "all") for name, value in facts.items())
    assert "the table to reproduce" in text


def test_the_page_shows_the_figures_that_there_are(grid: Path) -> None:
    (grid / "validation.png").touch()

    text = page(grid)

    assert "](validation.png)" in text
    assert "convergence.png" not in text


def test_each_run_stands_with_what_was_typed_for_it(grid: Path) -> None:
    text = page(grid)

    start = ("cell=gru,dropout=0.25", "finished", "1", "2", "3", "30", "9,001", "cell=gru dropout=0.25")
    assert row(text, *start)


def test_a_failed_run_stands_with_the_first_line_of_its_error(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    make_run("cell=gru", cell="gru", results={"status": "failed", "error": "OSError: disk full\nTraceback"})
    make_run("cell=rnn_tanh", cell="rnn_tanh", running=True)

    text = page(sweep)

    assert "1 of 3 runs finished." in text
    assert "- `cell=gru`: failed: OSError: disk full\n" in text
    assert "- `cell=rnn_tanh`: running or interrupted\n" in text
    assert "Traceback" not in text


def test_the_floor_is_explained_where_there_is_one(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"corpus": {"name": "synthetic", "floor_ppl": 17.25}})

    text = page(sweep)

    assert "17.25" in text
    assert "no model can do better" in text


def test_the_sweeps_command_is_what_was_typed(sweep: Path) -> None:
    typed = {
        "hydra": ["hydra.mode=MULTIRUN", "hydra/launcher=joblib"],
        "task": ["cell=lstm,gru", "data.dir=/home/me/ptb"],
    }
    OmegaConf.save(OmegaConf.create({"hydra": {"overrides": typed}}), sweep / "multirun.yaml")

    assert sweep_command(sweep) == "python -m lm.train -m hydra/launcher=joblib cell=lstm,gru data.dir=FOLDER"


def test_a_folder_that_does_not_tell_has_no_command(grid: Path) -> None:
    assert sweep_command(grid) is None
    assert "The command" not in page(grid)


def test_folders_of_the_machine_stay_out_of_the_page(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm", "data.dir=elsewhere").rename(sweep / "cell=lstm")

    text = page(sweep)

    assert "data.dir=FOLDER" in text
    assert "elsewhere" not in text
