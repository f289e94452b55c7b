import csv
import io
import re

import pandas as pd

from lm.reporting.table import Table
from lm.reporting.text import csv_text, latex_text, markdown_text, plain_text

TABLE = Table(
    [
        "cell",
        "dropout",
        "hidden_size",
        "train_ppl",
        "valid_ppl",
        "valid_ppl_std",
        "published_valid_ppl",
        "published_in",
    ],
    [
        {
            "cell": "rnn_tanh",
            "dropout": 0.0,
            "hidden_size": 200,
            "train_ppl": 39.254999,
            "valid_ppl": 1 / 3 + 119,
            "valid_ppl_std": 0.126,
            "published_valid_ppl": 119.84,
            "published_in": "the table",
        },
        {
            "cell": "gru",
            "dropout": 0.25,
            "hidden_size": 1500,
            "train_ppl": 1234.5,
            "valid_ppl": 96.2,
            "valid_ppl_std": None,
            "published_valid_ppl": None,
            "published_in": None,
        },
    ],
)


def test_csv_keeps_every_digit_and_every_column() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(TABLE))))

    assert list(rows[0]) == TABLE.columns
    assert float(rows[0]["valid_ppl"]) == 1 / 3 + 119
    assert (rows[1]["valid_ppl_std"], rows[1]["published_in"]) == ("", "")


def test_pandas_reads_the_csv_as_numbers() -> None:
    frame = pd.read_csv(io.StringIO(csv_text(TABLE)))

    assert frame["train_ppl"].tolist() == [39.254999, 1234.5]
    assert frame["dropout"].tolist() == [0.0, 0.25]


def test_the_terminal_shows_two_decimals_in_aligned_columns() -> None:
    assert plain_text(TABLE).splitlines() == [
        "                                                         published",
        "cell      dropout  hidden_size    train     validation  validation",
        "--------  -------  -----------  -------  -------------  ----------",
        "rnn_tanh        0          200    39.25  119.33 ± 0.13      119.84",
        "gru          0.25         1500  1234.50          96.20",
    ]


def test_markdown_is_a_table_with_numbers_to_the_right() -> None:
    lines = markdown_text(TABLE).splitlines()

    assert lines[1].replace("-", "") == "|  | : | : | : | : | : |"
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
    text = markdown_text(Table(["cell"], [{"cell": "a|b*c"}]))

    assert text.splitlines()[2] == r"| a\|b\*c |"


def test_latex_is_a_whole_tabular_with_rules() -> None:
    lines = latex_text(TABLE).splitlines()

    assert lines[1:] == [
        r"\begin{tabular}{lrrrrr}",
        r"\toprule",
        r"& & & & & \multicolumn{1}{c}{published} \\",
        r"\cmidrule(lr){6-6}",
        r"cell & dropout & hidden\_size & train & validation & validation \\",
        r"\midrule",
        r"rnn\_tanh & 0 & 200 & 39.25 & 119.33 $\pm$ 0.13 & 119.84 \\",
        r"gru & 0.25 & 1500 & 1234.50 & 96.20 &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_latex_escapes_what_latex_would_read() -> None:
    text = latex_text(Table(["cell"], [{"cell": r"a_b%c&d#e$f{g}h~i^j\k"}]))

    assert r"a\_b\%c\&d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k \\" in text


def test_every_latex_row_has_as_many_cells_as_the_tabular_has_columns() -> None:
    lines = latex_text(TABLE).splitlines()
    columns = len(re.findall("[lr]", lines[1].removeprefix(r"\begin{tabular}")))

    rows = [line for line in lines if line.endswith(r"\\")]

    assert len(rows) == 4
    assert [line.count("&") + 1 for line in rows] == [columns] * 4


def test_sources_stand_in_the_table_where_there_are_several() -> None:
    rows = [{"published_valid_ppl": 1.0, "published_in": name} for name in ("one", "another")]

    assert "another" in plain_text(Table(["published_valid_ppl", "published_in"], rows))
    assert "one" not in plain_text(Table(["published_valid_ppl", "published_in"], rows[:1]))


def test_large_counts_are_grouped() -> None:
    text = plain_text(
        Table(["parameters", "tokens_per_second"], [{"parameters": 4653200, "tokens_per_second": 9321.6}])
    )

    assert text.splitlines()[0].split() == ["parameters", "tokens/second"]
    assert text.splitlines()[2].split() == ["4,653,200", "9,322"]
