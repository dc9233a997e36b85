"""Operations on tables. None of them changes the table it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from projects.components.comparison import NUMBER_OPERATORS, TEXT_OPERATORS, number_of
from projects.components.conversion import json_text, plain_text
from projects.engine.component import ComponentError
from projects.engine.values import Row, Table


def add_column(table: Table, name: str, value: Any) -> Table:
    _needed(name, "new_column_name")
    return Table(rows=[{**row, name: value} for row in table.rows], columns=list(dict.fromkeys([*table.columns, name])))


def drop_column(table: Table, name: str) -> Table:
    _check(table, name)
    return _with_columns(table, [column for column in table.columns if column != name])


def rename_column(table: Table, name: str, new_name: str) -> Table:
    _check(table, name)
    _needed(new_name, "new_column_name")
    rows = [{new_name if key == name else key: value for key, value in row.items()} for row in table.rows]
    return Table(rows=rows, columns=[new_name if column == name else column for column in table.columns])


def select_columns(table: Table, names: Sequence[str]) -> Table:
    for name in names:
        _check(table, name)
    return _with_columns(table, list(names))


def filter_rows(table: Table, name: str, *, operator: str, value: str) -> Table:
    """Numbers are compared as numbers when both sides are; an empty cell matches nothing but `not …`."""
    _check(table, name)
    if operator not in TEXT_OPERATORS and operator not in NUMBER_OPERATORS:
        raise ComponentError(f"Unknown operator {operator!r}. Choose one of: {', '.join([*TEXT_OPERATORS, *NUMBER_OPERATORS])}.")
    return Table(rows=[dict(row) for row in table.rows if _matches(row.get(name), operator, value)], columns=list(table.columns))


def _matches(cell: Any, operator: str, value: str) -> bool:
    if cell is None:
        return operator.startswith("not ")
    number, wanted = number_of(cell), number_of(value)
    if compare_numbers := NUMBER_OPERATORS.get(operator):
        if number is not None and wanted is not None:
            return compare_numbers(number, wanted)
        text = plain_text(cell)
        return {"less than": text < value, "greater than": text > value}.get(operator, False)
    if operator in ("equals", "not equals") and not isinstance(cell, str) and number is not None and wanted is not None:
        return (number == wanted) is (operator == "equals")
    return TEXT_OPERATORS[operator](plain_text(cell), value)


def head(table: Table, count: int) -> Table:
    return Table(rows=table.rows[: max(0, count)], columns=list(table.columns))


def tail(table: Table, count: int) -> Table:
    return Table(rows=table.rows[-count:] if count > 0 else [], columns=list(table.columns))


def sort(table: Table, name: str, *, ascending: bool) -> Table:
    """Numbers before texts, rows without a value last in both directions; equal rows keep their order."""
    _check(table, name)
    present = [row for row in table.rows if row.get(name) is not None]
    present.sort(key=lambda row: _order(row[name]), reverse=not ascending)
    return Table(rows=present + [row for row in table.rows if row.get(name) is None], columns=list(table.columns))


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, bool | int | float):
        return (0, float(value), "")
    return (1, 0.0, plain_text(value))


def replace_value(table: Table, name: str, *, value: str, replacement: Any) -> Table:
    _check(table, name)

    def replaced(cell: Any) -> Any:
        if cell is None or plain_text(cell) != value:
            return cell
        return replacement if isinstance(cell, str) else _like(cell, replacement)

    return Table(rows=[{**row, name: replaced(row[name])} if name in row else dict(row) for row in table.rows], columns=list(table.columns))


def _like(cell: Any, replacement: Any) -> Any:
    """A number stays a number when the replacement can be one."""
    number = number_of(replacement)
    if isinstance(cell, bool) or number is None:
        return replacement
    return int(number) if number.is_integer() and isinstance(cell, int) else number


def drop_duplicates(table: Table, name: str = "") -> Table:
    """The first row of each value of the column, or of each equal row when no column is named."""
    if name:
        _check(table, name)
    seen: set[str] = set()
    rows: list[Row] = []
    for row in table.rows:
        key = json_text(row.get(name) if name else [row.get(column) for column in table.columns])
        if key not in seen:
            seen.add(key)
            rows.append(row)
    return Table(rows=rows, columns=list(table.columns))


def concatenate(tables: Sequence[Table]) -> Table:
    columns = list(dict.fromkeys(column for table in tables for column in table.columns))
    return Table(rows=[dict(row) for table in tables for row in table.rows], columns=columns)


ROW_LIMIT = 1_000_000


def merge(left: Table, right: Table, *, on: str, how: str) -> Table:
    """Join on one column; other columns that both have get the endings `_x` and `_y`."""
    if how not in ("inner", "outer", "left", "right"):
        raise ComponentError(f"Unknown merge type {how!r}. Choose inner, outer, left or right.")
    _check(left, on)
    _check(right, on)
    both = (set(left.columns) & set(right.columns)) - {on}
    left_named, right_named = _renamer(both, "_x"), _renamer(both, "_y")
    columns = [*map(left_named, left.columns), *(right_named(column) for column in right.columns if column != on)]
    first, second, first_named, second_named = left, right, left_named, right_named
    if how == "right":
        first, second, first_named, second_named = right, left, right_named, left_named
    partners: dict[str, list[int]] = {}
    for index, row in enumerate(second.rows):
        partners.setdefault(json_text(row.get(on)), []).append(index)
    rows: list[Row] = []
    used: set[int] = set()
    for row in first.rows:
        matching = partners.get(json_text(row.get(on)), [])
        used.update(matching)
        own = {first_named(name): value for name, value in row.items()}
        rows += [own | {second_named(name): value for name, value in second.rows[index].items() if name != on} for index in matching]
        if not matching and how != "inner":
            rows.append(own)
        if len(rows) > ROW_LIMIT:
            raise ComponentError(f"The merged table would have more than {ROW_LIMIT:,} rows.")
    if how == "outer":
        rows += [{second_named(name): value for name, value in row.items()} for index, row in enumerate(second.rows) if index not in used]
    return Table(rows=rows, columns=columns)


def _renamer(names: set[str], ending: str) -> Callable[[str], str]:
    return lambda name: name + ending if name in names else name


def _with_columns(table: Table, columns: list[str]) -> Table:
    kept = frozenset(columns)
    return Table(rows=[{column: row[column] for column in columns if column in row} for row in table.rows] if kept else [], columns=columns)


def _check(table: Table, name: str) -> None:
    if name not in table.columns:
        raise ComponentError(f"The table has no column {name!r}. Its columns are: {', '.join(map(str, table.columns)) or 'none'}.")


def _needed(name: str, field: str) -> None:
    if not name:
        raise ComponentError(f"{field} is empty: give the column a name.")


Fields = Mapping[str, Any]


def _text(fields: Fields, name: str) -> str:
    return plain_text(fields.get(name)).strip()


def _count(fields: Fields) -> int:
    value = fields.get("num_rows")
    return 5 if value is None or value == "" else int(value)


def _names(fields: Fields) -> list[str]:
    value = fields.get("columns_to_select")
    return [plain_text(name).strip() for name in value] if isinstance(value, list) else [_text(fields, "columns_to_select")]


def _filter(table: Table, fields: Fields) -> Table:
    operator = str(fields.get("filter_operator") or "equals")
    return filter_rows(table, _text(fields, "column_name"), operator=operator, value=plain_text(fields.get("filter_value")))


def _replace(table: Table, fields: Fields) -> Table:
    value, replacement = plain_text(fields.get("replace_value")), fields.get("replacement_value")
    return replace_value(table, _text(fields, "column_name"), value=value, replacement=plain_text(replacement))


OPERATIONS: Mapping[str, Callable[[Table, Fields], Table]] = {
    "Add Column": lambda table, fields: add_column(table, _text(fields, "new_column_name"), plain_text(fields.get("new_column_value"))),
    "Drop Column": lambda table, fields: drop_column(table, _text(fields, "column_name")),
    "Rename Column": lambda table, fields: rename_column(table, _text(fields, "column_name"), _text(fields, "new_column_name")),
    "Select Columns": lambda table, fields: select_columns(table, _names(fields)),
    "Filter": _filter,
    "Head": lambda table, fields: head(table, _count(fields)),
    "Tail": lambda table, fields: tail(table, _count(fields)),
    "Sort": lambda table, fields: sort(table, _text(fields, "column_name"), ascending=bool(fields.get("ascending", True))),
    "Replace Value": _replace,
    "Drop Duplicates": lambda table, fields: drop_duplicates(table, _text(fields, "column_name")),
}
