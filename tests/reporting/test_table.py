import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest

from lm.reporting.columns import Column, format_ppl
from lm.reporting.extra_columns import ExtraColumns
from lm.reporting.groups import group_runs
from lm.reporting.table import Table, build_last_table
from lm.run_search import find_runs
from tests.reporting.tables import rows_of, table_of
from tests.run_folders import MakeRun


def test_the_grid_has_one_row_per_run_with_the_best_weights(grid: Path) -> None:
    table = table_of(grid)

    assert list(table.values)[:5] == ["cell", "dropout", "train_ppl", "valid_ppl", "test_ppl"]
    assert [(row["cell"], row["dropout"], row["valid_ppl"]) for row in rows_of(table)] == [
        ("lstm", 0.0, 101.0),
        ("lstm", 0.25, 91.0),
        ("gru", 0.0, 111.0),
        ("gru", 0.25, 101.0),
    ]


def test_the_last_weights_have_a_table_of_their_own(grid: Path) -> None:
    assert [row["valid_ppl"] for row in rows_of(build_last_table(group_runs(find_runs(grid))))] == [
        111.0,
        101.0,
        121.0,
        111.0,
    ]


def test_seeds_become_mean_and_sample_deviation(seeds: Path) -> None:
    table = table_of(seeds)

    assert [row["cell"] for row in rows_of(table)] == ["lstm", "gru"]
    for row in rows_of(table):
        best = [run.results["best"] for run in find_runs(seeds) if run.value("cell.name") == row["cell"]]
        assert row["seeds"] == len(best) == 3
        for name in ("train_ppl", "valid_ppl", "test_ppl"):
            values = [figures[name] for figures in best]
            assert row[name] == pytest.approx(np.mean(values))
            assert row[f"{name}_std"] == pytest.approx(np.std(values, ddof=1))


def test_a_setting_with_one_seed_has_no_deviation(seeds: Path, make_run: MakeRun) -> None:
    make_run("cell=rnn_tanh", "seed=1", cell="rnn_tanh")

    row = rows_of(table_of(seeds))[-1]

    assert (row["cell"], row["seeds"], row["valid_ppl_std"]) == ("rnn_tanh", 1, None)


def test_whatever_was_swept_is_a_column(make_run: MakeRun, sweep: Path) -> None:
    for size in (100, 200):
        for schedule in ("table1", "as_printed"):
            make_run(
                "epochs=25",
                f"hidden_size={size}",
                f"schedule={schedule}",
                config={"hidden_size": size},
                choices={"schedule": schedule},
            )

    table = table_of(sweep)

    assert list(table.values)[:4] == ["cell", "dropout", "hidden_size", "schedule"]
    assert [(row["hidden_size"], row["schedule"]) for row in rows_of(table)] == [
        (100, "table1"),
        (100, "as_printed"),
        (200, "table1"),
        (200, "as_printed"),
    ]


def test_a_failed_run_keeps_its_column(make_run: MakeRun, sweep: Path) -> None:
    make_run("lr=1.0", config={"lr": 1.0})
    make_run("lr=9.0", config={"lr": 9.0}, results={"status": "diverged"})

    assert [(row["cell"], row["lr"]) for row in rows_of(table_of(sweep))] == [("lstm", 1.0)]


def test_the_same_run_twice_is_two_rows_and_not_two_seeds(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=lstm")
    make_run("cell=lstm", "resume=null")

    table = table_of(sweep)

    assert "seeds" not in table.values
    assert [row["run"] for row in rows_of(table)] == ["cell=lstm", "cell=lstm,resume=null"]


def test_a_perplexity_that_no_run_reached_keeps_its_column(make_run: MakeRun, sweep: Path) -> None:
    make_run("seed=1", seed=1, valid_ppls=[150.0, 120.0])
    make_run("seed=2", seed=2, valid_ppls=[150.0, 130.0])

    table = table_of(sweep, ExtraColumns(epochs_to=120))

    assert rows_of(table)[0]["epochs_to_120"] is None
    assert "epochs to 120" in table.terminal()
    assert table.terminal().split()[-1] != "-"  # published figures come after it
    assert " - " in table.terminal().splitlines()[-1]


def test_the_best_row_by_validation_is_marked_outside_of_the_csv(grid: Path) -> None:
    table = table_of(grid)

    assert table.best == [1]
    assert [line.split()[:2] for line in table.terminal().splitlines()[3:]] == [
        ["lstm", "0"],
        ["lstm", "*"],
        ["gru", "0"],
        ["gru", "0.25"],
    ]
    assert r"lstm \*" in table.markdown()
    assert table.latex().count("lstm *") == 1
    assert "*" not in table.csv()


def test_rows_on_different_corpora_are_not_compared(make_run: MakeRun, sweep: Path) -> None:
    for cell in ("lstm", "gru"):
        make_run(f"cell={cell}", "data=ptb", cell=cell)
    make_run("cell=gru", "data=text", cell="gru", choices={"data": "text"}, results={"corpus": {"name": "text"}})

    assert table_of(sweep).best == [0]


def test_a_run_on_a_part_of_its_corpus_is_marked(make_run: MakeRun, sweep: Path) -> None:
    make_run(config={"trainer": {"limit_train_batches": 20}})

    table = table_of(sweep)

    assert rows_of(table)[0]["part_of_corpus"] == "limit_train_batches=20"
    assert "part of corpus" in table.terminal()


def test_values_that_differ_are_never_shown_as_the_same(make_run: MakeRun, sweep: Path) -> None:
    for rate in (1.0000001, 1.0000002):
        make_run(f"lr={rate}", config={"lr": rate})

    assert {"1.0000001", "1.0000002"} < set(table_of(sweep).terminal().split())


TABLE = Table.from_rows(
    [
        "cell",
        "dropout",
        "hidden_size",
        Column("train_ppl", "train", text=format_ppl),
        Column("valid_ppl", "valid", text=format_ppl),
        Column("valid_ppl_std", csv_only=True),
        Column("published_valid_ppl", "published valid", text=format_ppl),
        "published_in",
    ],
    [
        ("rnn_tanh", 0.0, 200, 39.254999, 1 / 3 + 119, 0.126, 119.84, "the table"),
        ("gru", 0.25, 1500, 1234.5, 96.2, None, None, None),
    ],
)


def test_csv_keeps_every_digit_and_every_column() -> None:
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))

    assert list(rows[0]) == list(TABLE.values)
    assert float(rows[0]["valid_ppl"]) == 1 / 3 + 119
    assert (rows[1]["valid_ppl_std"], rows[1]["published_in"]) == ("", "")


def test_a_reader_of_csv_finds_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(TABLE.csv())))

    assert [float(row["train_ppl"]) for row in rows] == [39.254999, 1234.5]
    assert [float(row["dropout"]) for row in rows] == [0.0, 0.25]


def test_the_terminal_shows_two_decimals_in_aligned_columns() -> None:
    assert TABLE.terminal().splitlines() == [
        "                                                              published",
        "cell        dropout    hidden_size    train          valid        valid",
        "--------  ---------  -------------  -------  -------------  -----------",
        "rnn_tanh          0            200    39.25  119.33 ± 0.13       119.84",
        "gru            0.25           1500  1234.50          96.20",
    ]


def test_the_terminal_has_one_line_of_names_where_nothing_is_published() -> None:
    assert Table.from_rows(["cell", "seeds"], [{"cell": "gru", "seeds": 3}]).terminal().splitlines() == [
        "cell      seeds",
        "------  -------",
        "gru           3",
    ]


def test_a_word_that_looks_like_a_number_is_not_changed() -> None:
    table = Table.from_rows(
        ["cell", "commit"], [{"cell": "gru", "commit": "42992e1"}, {"cell": "lstm", "commit": "007"}]
    )

    for text in (table.terminal(), table.markdown(), table.latex()):
        assert {"42992e1", "007"} < set(text.split())


def test_a_table_without_rows_is_no_text() -> None:
    assert Table.from_rows(["cell"], []).terminal() == Table.from_rows(["cell"], []).markdown() == ""


def test_markdown_is_a_table_with_numbers_to_the_right() -> None:
    lines = TABLE.markdown().splitlines()

    assert re.sub("-+", "-", lines[1]) == "|:-|-:|-:|-:|-:|-:|"
    assert [cell.strip() for cell in lines[0].strip("|").split("|")][-2:] == ["valid", "published valid"]
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "rnn_tanh",
        "0",
        "200",
        "39.25",
        "119.33 ± 0.13",
        "119.84",
    ]
    assert len({len(line) for line in lines}) == 1


def test_markdown_cannot_be_broken_by_a_value() -> None:
    text = Table.from_rows(["cell"], [{"cell": "a|b*c"}]).markdown()

    assert text.splitlines()[2] == r"| a\|b\*c |"


def test_latex_is_a_whole_tabular_with_rules() -> None:
    lines = [re.sub(" +", " ", line).strip() for line in TABLE.latex().splitlines()]

    assert lines == [
        r"% Perplexities; put \usepackage{booktabs} into the preamble.",
        r"\begin{tabular}{lrrrrr}",
        r"\toprule",
        r"cell & dropout & hidden\_size & train & valid & published valid \\",
        r"\midrule",
        r"rnn\_tanh & 0 & 200 & 39.25 & 119.33 $\pm$ 0.13 & 119.84 \\",
        r"gru & 0.25 & 1500 & 1234.50 & 96.20 & \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert TABLE.latex().endswith("\n")


def test_latex_escapes_what_latex_would_read() -> None:
    text = Table.from_rows(["cell"], [{"cell": r"a_b%c&d#e$f{g}h~i^j\k"}]).latex()

    assert r"a\_b\%c\&d\#e\$f\{g\}h\textasciitilde i\textasciicircum j\textbackslash k \\" in text


def test_every_latex_row_has_as_many_cells_as_the_tabular_has_columns() -> None:
    lines = TABLE.latex().splitlines()
    columns = len(re.findall("[lr]", lines[1].removeprefix(r"\begin{tabular}")))

    rows = [line for line in lines if line.endswith(r"\\")]

    assert [line.count("&") + 1 for line in rows] == [columns] * 3


def test_sources_stand_in_the_table_if_there_are_several() -> None:
    rows = [{"published_valid_ppl": 1.0, "published_in": name} for name in ("one", "another")]

    assert "another" in Table.from_rows(["published_valid_ppl", "published_in"], rows).terminal()
    assert "one" not in Table.from_rows(["published_valid_ppl", "published_in"], rows[:1]).terminal()
