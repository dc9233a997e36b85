"""Cells of delimited text: what a cell's text means, and rows of a CSV file."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from projects.engine.values import Row

_SNIFFED_CHARACTERS = 4_000  # Python's sniffer takes time that grows with their square, and lets nobody else run meanwhile

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"[+-]?(0|[1-9]\d*)?\.\d+([eE][+-]?\d+)?|[+-]?[1-9]\d*[eE][+-]?\d+")


def typed_cell(cell: str) -> Any:
    """Numbers and booleans as such; an empty cell is no value. Leading zeros make an identifier, which stays text."""
    text = cell.strip()
    if not text:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else cell


def csv_rows(text: str, *, max_rows: int, max_cells: int) -> tuple[list[str], list[Row]]:
    """Column names from the first line, and the rows. Raises ValueError for too many rows or cells and what cannot be read.

    Cells beyond the last column go into columns of their own; a missing name is `column_3`, a repeated one gets a number.
    """
    try:
        dialect: Any = csv.Sniffer().sniff("\n".join(text[:_SNIFFED_CHARACTERS].splitlines()[:20]), delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    reader = csv.reader(io.StringIO(text, newline=""), dialect)
    try:
        header = next(reader, [])
        body = [cells for cells in _bounded(reader, max_rows, max_cells) if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise ValueError(f"not readable as CSV: {error}") from None
    width = max(len(header), max(map(len, body), default=0))
    if width * (len(body) + 1) > max_cells:  # every row gets every column
        raise ValueError(f"more than {max_cells:,} cells")
    names = column_names([*header, *([""] * (width - len(header)))])
    return names, [dict(zip(names, [*map(typed_cell, cells), *([None] * (len(names) - len(cells)))], strict=True)) for cells in body]


def column_names(header: list[str]) -> list[str]:
    """Each name once and none empty."""
    names: dict[str, None] = {}
    numbers: dict[str, int] = {}  # how far a repeated name has come
    for position, cell in enumerate(header, start=1):
        name = wanted = cell.strip() or f"column_{position}"
        while name in names:
            number = numbers[wanted] = numbers.get(wanted, 1) + 1
            name = f"{wanted}_{number}"
        names[name] = None
    return list(names)


def csv_text(columns: list[str], rows: list[Row], *, written: Any) -> str:
    """The rows as CSV; `written` turns a cell's value into text."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([written(row.get(name)) for name in columns] for row in rows)
    return target.getvalue()


def _bounded(reader: Any, max_rows: int, max_cells: int) -> Any:
    count = 0
    for number, cells in enumerate(reader):
        if number >= max_rows:
            raise ValueError(f"more than {max_rows:,} rows")
        count += len(cells)
        if count > max_cells:
            raise ValueError(f"more than {max_cells:,} cells")
        yield cells
