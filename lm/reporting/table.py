"""Groups of runs -> a table, as text for the terminal, Markdown, LaTeX and CSV."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from lm.reporting.columns import COLUMNS, Column, extra_columns, perplexity_columns, t_interval_text
from lm.reporting.extra_columns import ExtraColumns
from lm.reporting.groups import RunGroup

MARK = " *"
"""The mark of the best rows, behind their first cell."""


@dataclass(frozen=True)
class Table:
    """Full-precision values under columns.

    Args:
        columns: the columns.
        values: one row per group, one column per name; a cell without a value is None.
        best: the numbers of the rows that are marked.
    """

    columns: list[Column]
    values: pd.DataFrame
    best: list[int] = field(default_factory=list)

    @classmethod
    def from_rows(cls, columns: Sequence[Column | str], rows: Sequence[Any], best: Sequence[int] = ()) -> "Table":
        """Return the table of these rows: dictionaries, or sequences in the order of the columns."""
        full = [Column(column) if isinstance(column, str) else column for column in columns]
        values = pd.DataFrame(list(rows), columns=[column.name for column in full], dtype=object)
        return cls(full, values.where(values.notna(), None), list(best))

    def csv(self) -> str:
        """Return the table with every digit, and an empty field for a missing value."""
        return str(self.values.to_csv(index=False, lineterminator="\n"))

    def terminal(self) -> str:
        """Return the table in aligned columns; the word `published` has a line of its own above."""
        texts = self._texts(str)
        texts.columns = [re.sub("^(published)? ?", r"\1\n", heading) for heading in texts]
        return self._tabulate(texts, "simple").lstrip("\n")

    def markdown(self) -> str:
        """Return the table in Markdown, aligned for those who read the source."""
        return self._tabulate(self._texts(escape_markdown), "pipe")

    def latex(self) -> str:
        r"""Return a `tabular` for `\input`, without a caption, for a document that loads `booktabs`."""
        style = self._texts(str).style.hide(axis="index").format(escape="latex").format_index(axis=1, escape="latex")
        text = style.to_latex(hrules=True, column_format="".join(side[0] for side in self._alignment()))
        text = text.replace("±", r"$\pm$")
        return f"% Perplexities; put \\usepackage{{booktabs}} into the preamble.\n{text}"

    def _tabulate(self, texts: pd.DataFrame, form: str) -> str:
        if texts.empty:
            return ""
        # Without `disable_numparse` a commit such as 42992e1 would be read as a number.
        return str(texts.to_markdown(index=False, tablefmt=form, disable_numparse=True, colalign=self._alignment()))

    def _shown(self) -> list[Column]:
        """Return the columns outside `table.csv`; a source that all published figures share stands below the table."""
        shared = {"published_in"} if self.values.get("published_in", pd.Series()).nunique() < 2 else set()
        return [column for column in self.columns if not column.csv_only and column.name not in shared]

    def _alignment(self) -> list[str]:
        def numeric(name: str) -> bool:
            return all(isinstance(value, int | float | None) for value in self.values[name])

        return ["right" if numeric(column.name) else "left" for column in self._shown()]

    def _texts(self, escape: Callable[[str], str]) -> pd.DataFrame:
        """Return headings and cells as text. A standard deviation stands beside its mean."""
        rows = [[self._cell(row, column) for column in self._shown()] for row in self.values.to_dict("records")]
        for number in self.best:
            rows[number][0] += MARK
        texts = [[escape(text) for text in row] for row in rows]
        return pd.DataFrame(texts, columns=[escape(column.heading or column.name) for column in self._shown()])

    def _cell(self, row: dict[Any, Any], column: Column) -> str:
        value, std = row[column.name], row.get(f"{column.name}_std")
        if value is None:
            return column.missing
        return column.text(value) + (f" ± {column.text(std)}" if std is not None else "")


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, also in a table."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", text)


def build_table(groups: Sequence[RunGroup], extras: ExtraColumns | None = None) -> Table:
    """Return one row per group with the weights of the best validation perplexity."""
    asked = extra_columns(extras or ExtraColumns(), [run for group in groups for run in group.runs])
    return _table(groups, sorted([*COLUMNS, *asked], key=lambda column: column.name.startswith("published")))


def build_last_table(groups: Sequence[RunGroup]) -> Table:
    """Return one row per group with the weights of the last epoch."""
    return _table(groups, perplexity_columns("last"))


def build_interval_table(groups: Sequence[RunGroup]) -> Table:
    """Return one row per group of several seeds with the 95 % interval of the mean of each perplexity."""
    shown = [column for column in perplexity_columns("best") if not column.csv_only]
    columns = [replace(column, combine=t_interval_text, text=str) for column in shown]
    return _table([group for group in groups if len(group.runs) > 1], columns, mark=False)


def _table(groups: Sequence[RunGroup], columns: Sequence[Column], mark: bool = True) -> Table:
    """Return a row per group, without the columns that are empty."""
    settings = [Column(key, always=True) for key in dict.fromkeys(key for group in groups for key in group.values)]
    seeds = [Column("seeds")] if any(len(group.runs) > 1 for group in groups) else []
    rows = [
        {**group.values, "seeds": len(group.runs), **{column.name: column.of(group.runs) for column in columns}}
        for group in groups
    ]
    table = Table.from_rows([*settings, *seeds, *columns], rows, best_rows(groups, rows) if mark else ())
    used = [column for column in table.columns if column.always or table.values[column.name].notna().any()]
    return replace(table, columns=used, values=table.values[[column.name for column in used]])


def best_rows(groups: Sequence[RunGroup], rows: Sequence[dict[str, Any]]) -> list[int]:
    """Return the numbers of the rows with the lowest validation perplexity, one per corpus with several rows."""
    corpora = [group.corpus for group in groups]
    frame = pd.DataFrame({"corpus": corpora, "ppl": [row["valid_ppl"] for row in rows]}).astype({"ppl": float})
    compared = frame[frame["corpus"].duplicated(keep=False)].dropna()
    return [int(number) for number in compared.groupby("corpus")["ppl"].idxmin()]
