"""A table as GitHub-style markdown, laid out the way Langflow's clients know it (tabulate's "pipe" form)."""

from __future__ import annotations

import math
import re
from typing import Any

from projects.engine.component import ComponentError
from projects.engine.values import Table, jsonable

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_HEADER_PADDING = 2  # a header is never narrower than its text plus two
MAX_CHARACTERS = 50_000_000  # every cell is as wide as its column's widest, so that one long cell counts once for each row


def render(table: Table) -> str:
    """Header, alignment row and one line a row. Rows without any value are left out; a table without columns is empty text.

    Raises ComponentError for a table whose text would be beyond all bounds.
    """
    columns = table.columns
    if not columns:
        return ""
    rows = [row for row in table.rows if any(row.get(column) is not None for column in columns)]
    rendered: list[tuple[list[str], bool]] = []
    left = MAX_CHARACTERS
    for column in columns:
        cells, numeric = _column(column, [row.get(column) for row in rows], left)
        left -= len(cells) * len(cells[0])
        rendered.append((cells, numeric))
    headers = [cells[0] for cells, _ in rendered]
    rule = [
        ("-" * (len(header) + 1) + ":") if numeric else (":" + "-" * (len(header) + 1))
        for header, (_, numeric) in zip(headers, rendered, strict=True)
    ]
    lines = ["| " + " | ".join(headers) + " |", "|" + "|".join(rule) + "|"]
    lines += ["| " + " | ".join(cells[index] for cells, _ in rendered) + " |" for index in range(1, len(rows) + 1)]
    return "\n".join(lines)


def _column(name: str, values: list[Any], most: int) -> tuple[list[str], bool]:
    """The padded header and cells of one column, and whether it holds numbers. Raises ComponentError for more than `most` characters."""
    present = [value for value in values if value is not None and value != ""]
    numeric = bool(present) and all(_is_number(value) for value in present)
    cells = [_cell(value) for value in values]
    if numeric:
        cells = _align_at_the_point(cells)
    header = _cell(name)
    width = max([len(header) + _HEADER_PADDING, *map(len, cells)])
    if width * (len(cells) + 1) > most:
        raise ComponentError(
            f"As text this table would have more than {MAX_CHARACTERS:,} characters: {len(cells):,} rows, "
            f"and a cell of {width:,} characters in {name[:100]!r}. Shorten the long cells, or take fewer rows."
        )
    pad = str.rjust if numeric else str.ljust
    return [pad(text, width) for text in (header, *cells)], numeric


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip()) is not None)


def _align_at_the_point(cells: list[str]) -> list[str]:
    """Pad on the right so that decimal points stand in one line."""
    tails = [len(cell) - cell.index(".") if "." in cell else 0 for cell in cells]
    longest = max(tails, default=0)
    return [cell + " " * (longest - tail) for cell, tail in zip(cells, tails, strict=True)]


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value)
        case float() if math.isfinite(value) and value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case float() | int():
            return str(value)
        case _:
            text = str(jsonable(value))
            return text.replace("|", "\\|").replace("\r\n", "\n").replace("\n", "<br/>")
