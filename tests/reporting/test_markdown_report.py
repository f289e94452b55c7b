import shlex
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from lm.reporting.groups import group_runs
from lm.reporting.markdown_report import report_markdown, sweep_command
from lm.reporting.sweep_report import Report
from lm.reporting.table import build_table
from lm.run_dir import RunDir
from lm.run_search import find_runs
from tests.run_folders import MakeRun


def page(folder: Path) -> str:
    runs = find_runs(folder)
    groups = group_runs(runs)
    return report_markdown(Report(folder, runs, build_table(groups), []), groups)


def row(text: str, *cells: str) -> bool:
    """Return whether a table of the page has a row that begins with these cells."""
    rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:1] == "|")
    return any(found[: len(cells)] == list(cells) for found in rows)


def test_the_page_shows_best_weights_first_and_last_weights_after(grid: Path) -> None:
    best, last = page(grid).split("## Last weights")

    assert row(best, r"lstm \*", "0.25", "45.50", "91.00", "90.67", "2", "43.80", "96.59", "92.67")
    assert row(last, r"lstm \*", "0.25", "30.33", "101.00", "100.00")


def test_every_number_has_its_protocol(grid: Path) -> None:
    text = page(grid)

    assert row(text, "train", "20", "929588", "carried", "float32", "all")
    assert row(text, "valid", "1", "73759", "carried", "float32", "all")
    assert row(text, "test", "1", "82429", "carried", "float32", "all")


def test_runs_that_were_measured_differently_have_rows_of_their_own(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    protocol = {"batch_size": 7, "tokens": 5, "state": "reset", "matmul_precision": "bf16 (fp32 accumulation)"}
    make_run("cell=gru", cell="gru", results={"protocol": {"valid": protocol}})

    text = page(sweep)

    assert row(text, "valid", "1", "73759", "carried", "float32", "cell=lstm")
    assert row(text, "valid", "7", "5", "reset", "bf16 (fp32 accumulation)", "cell=gru")


def test_the_page_records_the_origin_of_the_numbers(grid: Path) -> None:
    text = page(grid)

    facts = {
        "corpus": "ptb",
        "corpus SHA-256": "ab" * 32,
        "corpus vocabulary": "10000",
        "commit": "0123abc",
        "torch": "2.13.0",
        "device": "cpu",
    }
    assert all(row(text, name, value, "all") for name, value in facts.items())
    assert (
        "- the table to reproduce: a course exercise after Zaremba, Sutskever and Vinyals (2014); it does not state "
        "epochs_at_full_rate, lr_decay_factor, init_range, max_grad_norm"
    ) in text.splitlines()


def test_the_page_shows_the_figures_that_exist(grid: Path) -> None:
    (grid / "validation.png").touch()

    text = page(grid)

    assert "](validation.png)" in text
    assert "convergence.png" not in text
    assert "scored in batches of their own. So the two differ slightly." in text


def test_every_split_has_its_unknown_words(grid: Path) -> None:
    text = page(grid).split("## Unknown words")[1]

    assert row(text, "train", "44000", "0.047", "all")
    assert row(text, "valid", "3400", "0.046", "all")
    assert row(text, "test", "4794", "0.058", "all")


def test_results_without_unknown_words_have_no_such_section(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"corpus": {"name": "text"}})

    assert "Unknown words" not in page(sweep)


def test_a_run_on_a_part_of_its_corpus_is_explained(make_run: MakeRun, sweep: Path) -> None:
    make_run(config={"trainer": {"limit_train_batches": 20}})

    text = page(sweep)

    assert "limit_train_batches=20" in text
    assert "Part of corpus: the run was trained or validated on a part of its corpus, as the option says." in text


def test_the_best_row_is_explained(grid: Path) -> None:
    assert "\n" + r"\* The lowest validation perplexity." + "\n" in page(grid)


@pytest.mark.parametrize(
    "results",
    [
        {"corpus": 5},
        {"corpus": {"tokens": [1]}},
        {"protocol": [1]},
        {"protocol": {"train": {"tokens": {"a": 1}}}},
        {"versions": 7, "device": [1, 2], "tokens_per_second": "fast", "best_epoch": [2], "parameters": None},
        {"last": None},
    ],
)
def test_results_of_another_shape_do_not_stop_the_report(
    make_run: MakeRun, sweep: Path, results: dict[str, object]
) -> None:
    make_run(results=results)

    assert "1 of 1 runs finished." in page(sweep)


def test_each_run_is_listed_with_its_overrides(grid: Path) -> None:
    text = page(grid)

    start = ("cell=gru,dropout=0.25", "finished", "1", "2", "3", "30", "9,001", "cell=gru dropout=0.25")
    assert row(text, *start)


def test_a_failed_run_is_listed_with_the_first_line_of_its_error(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    make_run("cell=gru", cell="gru", results={"status": "failed", "error": "OSError: disk full\nTraceback"})
    make_run("cell=rnn_tanh", cell="rnn_tanh", running=True)

    text = page(sweep)

    assert "1 of 3 runs finished." in text
    assert "- `cell=gru`: failed: OSError: disk full\n" in text
    assert "- `cell=rnn_tanh`: running or interrupted\n" in text
    assert "Traceback" not in text


def test_an_unfinished_run_in_a_numbered_folder_is_listed_with_its_overrides(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=gru", "lr=9", results={"status": "diverged", "error": "too high"}).rename(sweep / "0")

    assert "- `0` (cell=gru lr=9): diverged: too high\n" in page(sweep)


def test_the_floor_is_explained_if_there_is_one(make_run: MakeRun, sweep: Path) -> None:
    make_run(results={"corpus": {"name": "synthetic", "floor_ppl": 17.25}})

    text = page(sweep)

    assert "17.25" in text
    assert "no model is better on average" in text


def test_the_command_of_the_sweep_is_shown_as_it_was_typed(sweep: Path) -> None:
    typed = {
        "hydra": ["hydra.mode=MULTIRUN", "hydra/launcher=joblib", "+hydra.callbacks.sweep.swept=[cell]"],
        "task": ["cell=lstm,gru", "data.dir=/home/me/ptb"],
    }
    OmegaConf.save(OmegaConf.create({"hydra": {"overrides": typed}}), sweep / "multirun.yaml")

    assert sweep_command(sweep) == "python -m lm.train -m hydra/launcher=joblib cell=lstm,gru data.dir=FOLDER"


def test_the_command_to_resume_can_be_typed(sweep: Path) -> None:
    typed = {
        "hydra": ["hydra.mode=MULTIRUN", "hydra.sweep.dir='old'", "hydra.sweep.subdir=${hydra.job.num}"],
        "task": ["cell=lstm,gru", "data.dir='/home/it\\'s'"],
    }
    OmegaConf.save(OmegaConf.create({"hydra": {"overrides": typed}}), sweep / "multirun.yaml")

    command = sweep_command(sweep, "runs/a=1, {b}")

    assert command is not None
    assert shlex.split(command) == [
        *(
            "python",
            "-m",
            "lm.train",
            "-m",
            "hydra.sweep.subdir=${hydra.job.num}",
            "cell=lstm,gru",
            'data.dir="/home/it\'s"',
        ),
        'hydra.sweep.dir="runs/a=1, {b}"',
    ]


@pytest.mark.parametrize(
    "content",
    ["", "a: [", "hydra: 5", "hydra: {overrides: [1]}", "hydra: {overrides: {hydra: [], task: ['lr=[']}}", "\x00"],
)
def test_a_damaged_record_of_the_command_is_left_out(sweep: Path, content: str) -> None:
    (sweep / "multirun.yaml").write_text(content)

    assert sweep_command(sweep) is None


def test_a_folder_without_a_record_of_its_command_has_none(grid: Path) -> None:
    assert sweep_command(grid) is None
    assert "The command" not in page(grid)


def test_folders_of_the_machine_stay_out_of_the_page(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm", "data.dir=elsewhere").rename(sweep / "cell=lstm")

    text = page(sweep)

    assert "data.dir=FOLDER" in text
    assert "elsewhere" not in text


def test_evaluations_are_listed_with_all_that_they_depend_on(make_run: MakeRun, sweep: Path) -> None:
    assert "Evaluation methods" not in page(make_run())
    protocol = {"method": "cache", "settings": {"cache": {"theta": 0.5, "window": 500}}, "batch_size": 18}
    RunDir(make_run("seed=2", seed=2)).append_evaluation({
        "split": "test", "ppl": 81.234, "checkpoint": "best", "corpus": {"sha256": "ab" * 32},
        "tuned": {"split": "valid"}, "protocol": protocol | {"tokens": 82_429, "state": "carried"},
    })  # fmt: skip

    text = page(sweep).partition("## Evaluation methods")[2]

    options = "cache.theta=0.5 cache.window=500"
    assert row(text, "seed=2", "test", "cache, tuned", "81.23", options, "18", "82429", "carried", "valid")
