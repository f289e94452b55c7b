"""A table as text: for the terminal, Markdown, LaTeX and CSV."""

import csv
import io
import re
from collections.abc import Sequence

from tabulate import tabulate

from lm.reporting.table import PERPLEXITIES, Table, format_value
from lm.run_dir import Value

NAMES = {"train_ppl": "train", "valid_ppl": "valid", "test_ppl": "test", "floor_ppl": "floor"}


def csv_text(table: Table) -> str:
    """Return the table for machines: every digit, an empty field where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, table.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.rows)
    return text.getvalue()


def plain_text(table: Table) -> str:
    """Return the table for a terminal, in aligned columns; the word `published` has a line of its own above."""
    header, *rows = _cells(table)
    in_two_lines = [re.sub("^(published)? ?", r"\1\n", name) for name in header]
    return _tabulated(table, [in_two_lines, *rows], "simple").lstrip("\n")


def markdown_text(table: Table) -> str:
    """Return the table in Markdown, aligned for those who read it as it is."""
    return _tabulated(table, [[escape_markdown(cell) for cell in row] for row in _cells(table)], "pipe")


def latex_text(table: Table) -> str:
    r"""Return a `tabular` for `\input` into a document that loads `booktabs`; the caption is the document's own."""
    tabular = _tabulated(table, _cells(table), "latex_booktabs").replace("±", r"$\pm$")
    return f"% Perplexities; put \\usepackage{{booktabs}} into the preamble.\n{tabular}\n"


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, inside a table too."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", text)


def _tabulated(table: Table, cells: Sequence[Sequence[str]], form: str) -> str:
    columns = ([row[name] for row in table.rows] for name in _shown_columns(table))
    numeric = [all(isinstance(value, int | float | None) for value in column) for column in columns]
    alignment = ["right" if right else "left" for right in numeric]
    # Words that look like numbers are words.
    return tabulate(cells, "firstrow", form, colalign=alignment, disable_numparse=True)


def _cells(table: Table) -> list[list[str]]:
    """Return the header and the rows as text, perplexities rounded to two decimals."""
    names = _shown_columns(table)
    return [[_heading(name) for name in names], *([_cell(row, name) for name in names] for row in table.rows)]


def _shown_columns(table: Table) -> list[str]:
    """Deviations stand beside their mean; where all published figures have one source, it stands below the table."""
    sources = {row.get("published_in") for row in table.rows} - {None}
    hidden = {f"{name}_std" for name in PERPLEXITIES} | ({"published_in"} if len(sources) < 2 else set())
    return [name for name in table.columns if name not in hidden]


def _heading(name: str) -> str:
    for start in ("published_", "epochs_to_"):
        if name.startswith(start):
            return start.replace("_", " ") + _heading(name.removeprefix(start))
    return NAMES.get(name, name.replace("_per_", "/"))


def _cell(row: dict[str, Value], name: str) -> str:
    value = row[name]
    if isinstance(value, int | float) and name.endswith("_ppl"):
        deviation = row.get(f"{name}_std")
        return f"{value:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "")
    if isinstance(value, int | float) and name in ("parameters", "tokens_per_second"):
        return f"{value:,.0f}"
    return format_value(value)
