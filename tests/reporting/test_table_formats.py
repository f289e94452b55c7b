import csv
import io
import re

from lm.reporting.table import Table
from lm.reporting.table_formats import csv_text, latex_text, markdown_text, plain_text

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


def test_a_reader_of_csv_finds_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(TABLE))))

    assert [float(row["train_ppl"]) for row in rows] == [39.254999, 1234.5]
    assert [float(row["dropout"]) for row in rows] == [0.0, 0.25]


def test_the_terminal_shows_two_decimals_in_aligned_columns() -> None:
    assert plain_text(TABLE).splitlines() == [
        "                                                              published",
        "cell        dropout    hidden_size    train          valid        valid",
        "--------  ---------  -------------  -------  -------------  -----------",
        "rnn_tanh          0            200    39.25  119.33 ± 0.13       119.84",
        "gru            0.25           1500  1234.50          96.20",
    ]


def test_the_terminal_has_one_line_of_names_where_nothing_is_published() -> None:
    assert plain_text(Table(["cell", "seeds"], [{"cell": "gru", "seeds": 3}])).splitlines() == [
        "cell      seeds",
        "------  -------",
        "gru           3",
    ]


def test_words_that_look_like_numbers_stay_as_they_are() -> None:
    table = Table(["cell", "commit"], [{"cell": "gru", "commit": "42992e1"}, {"cell": "lstm", "commit": "007"}])

    for text in (plain_text(table), markdown_text(table), latex_text(table)):
        assert {"42992e1", "007"} < set(text.split())


def test_a_table_without_rows_is_no_text() -> None:
    assert plain_text(Table([], [])) == markdown_text(Table([], [])) == ""


def test_markdown_is_a_table_with_numbers_to_the_right() -> None:
    lines = markdown_text(TABLE).splitlines()

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
    text = markdown_text(Table(["cell"], [{"cell": "a|b*c"}]))

    assert text.splitlines()[2] == r"| a\|b\*c |"


def test_latex_is_a_whole_tabular_with_rules() -> None:
    lines = [re.sub(" +", " ", line).strip() for line in latex_text(TABLE).splitlines()]

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
    assert latex_text(TABLE).endswith("\n")


def test_latex_escapes_what_latex_would_read() -> None:
    text = latex_text(Table(["cell"], [{"cell": r"a_b%c&d#e$f{g}h~i^j\k<l"}]))

    assert r" a\_b\%c\&d\#e\$f\{g\}h\textasciitilde{}i\^{}j\textbackslash{}k\ensuremath{<}l \\" in text


def test_every_latex_row_has_as_many_cells_as_the_tabular_has_columns() -> None:
    lines = latex_text(TABLE).splitlines()
    columns = len(re.findall("[lr]", lines[1].removeprefix(r"\begin{tabular}")))

    rows = [line for line in lines if line.endswith(r"\\")]

    assert [line.count("&") + 1 for line in rows] == [columns] * 3


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
