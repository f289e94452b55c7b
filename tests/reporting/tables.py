"""The table of a sweep's folder, and its rows as plain values."""

from pathlib import Path
from typing import Any

from lm.reporting.extra_columns import ExtraColumns
from lm.reporting.groups import group_runs
from lm.reporting.table import Table, build_table
from lm.run_search import find_runs


def table_of(folder: Path, extras: ExtraColumns | None = None) -> Table:
    return build_table(group_runs(find_runs(folder)), extras)


def rows_of(table: Table) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.values.to_dict("records")]
