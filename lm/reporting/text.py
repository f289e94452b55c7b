"""A table as text: for the terminal, Markdown, LaTeX and CSV."""

import csv
import io
import re
from collections.abc import Callable, Sequence

from lm.reporting.runs import Value
from lm.reporting.table import PERPLEXITIES, Table, shown

NAMES = {"train_ppl": "train", "valid_ppl": "validation", "test_ppl": "test", "floor_ppl": "floor"}
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


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
    above = ["published" if name.startswith("published ") else "" for name in header]
    header = [name.removeprefix("published ") for name in header]
    widths = _widths([above, header, *rows])
    lines = [*([above] if any(above) else []), header, ["-" * width for width in widths], *rows]
    return "\n".join(_line(row, widths, _numeric(table), "  ").rstrip() for row in lines)


def markdown_text(table: Table) -> str:
    """Return the table in Markdown, aligned for those who read it as it is."""
    header, *rows = _cells(table, escape_markdown)
    numeric = _numeric(table)
    widths = [max(width, 3) for width in _widths([header, *rows])]
    rule = ["-" * (width - right) + ":" * right for width, right in zip(widths, numeric, strict=True)]
    return "\n".join(f"| {_line(row, widths, numeric, ' | ')} |" for row in [header, rule, *rows])


def latex_text(table: Table) -> str:
    r"""Return a `tabular` for `\input` into a document that loads `booktabs`; the caption is the document's own."""
    header, *rows = _cells(table, escape_latex)
    alignment = "".join("r" if right else "l" for right in _numeric(table))
    body = [" & ".join(row) + r" \\" for row in rows]
    return "\n".join(
        [
            "% Perplexities; put \\usepackage{booktabs} into the preamble.",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            *_latex_groups(table),
            " & ".join(name.removeprefix("published ") for name in header) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, inside a table too."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", text)


def escape_latex(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(LATEX_ESCAPES.get(character, character) for character in text).replace("±", r"$\pm$")


def _latex_groups(table: Table) -> list[str]:
    """A line above the header that joins the published columns under one word."""
    names = _shown_columns(table)
    published = [number for number, name in enumerate(names, start=1) if name.startswith("published_")]
    if not published:
        return []
    first, last = published[0], published[-1]
    empty = "& " * (first - 1)
    return [
        rf"{empty}\multicolumn{{{len(published)}}}{{c}}{{published}} {'& ' * (len(names) - last)}\\",
        rf"\cmidrule(lr){{{first}-{last}}}",
    ]


def _shown_columns(table: Table) -> list[str]:
    """Deviations stand beside their mean; where all published figures have one source, it stands below the table."""
    sources = {row.get("published_in") for row in table.rows} - {None}
    hidden = {f"{name}_std" for name in PERPLEXITIES} | ({"published_in"} if len(sources) < 2 else set())
    return [name for name in table.columns if name not in hidden]


def _cells(table: Table, escape: Callable[[str], str] = str) -> list[list[str]]:
    """Return the header and the rows as text, perplexities rounded to two decimals."""
    names = _shown_columns(table)
    header = [escape(_heading(name)) for name in names]
    return [header, *([escape(_cell(row, name)) for name in names] for row in table.rows)]


def _heading(name: str) -> str:
    if name.startswith("published_"):
        return "published " + _heading(name.removeprefix("published_"))
    if name.startswith("epochs_to_"):
        return f"epochs to {name.removeprefix('epochs_to_')}"
    return NAMES.get(name, name.replace("_per_", "/"))


def _cell(row: dict[str, Value], name: str) -> str:
    value = row[name]
    if isinstance(value, int | float) and name.endswith("_ppl"):
        deviation = row.get(f"{name}_std")
        return f"{value:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "")
    if isinstance(value, int | float) and name in ("parameters", "tokens_per_second"):
        return f"{value:,.0f}"
    return shown(value)


def _numeric(table: Table) -> list[bool]:
    columns = ([row[name] for row in table.rows] for name in _shown_columns(table))
    return [all(value is None or isinstance(value, int | float) for value in column) for column in columns]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def _line(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], separator: str) -> str:
    cells = zip(row, widths, numeric, strict=True)
    return separator.join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells)
