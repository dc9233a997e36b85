"""Operations on records (plain dicts). None of them changes the record it is given."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from projects.components.comparison import TEXT_OPERATORS
from projects.components.conversion import plain_text
from projects.components.processing.transformations import json_path
from projects.engine.component import ComponentError
from projects.engine.values import Data, Row, Table, jsonable


def select_keys(record: Row, keys: Sequence[str]) -> Row:
    missing = [key for key in keys if key not in record]
    if missing:
        raise ComponentError(f"The record has no {', '.join(missing)}. Its keys are: {', '.join(record) or 'none'}.")
    return {key: value for key, value in record.items() if key in keys}


def remove_keys(value: Any, keys: Sequence[str]) -> Any:
    """At every depth."""
    match value:
        case Mapping():
            return {key: remove_keys(item, keys) for key, item in value.items() if key not in keys}
        case list():
            return [remove_keys(item, keys) for item in value]
        case _:
            return value


def rename_keys(value: Any, names: Mapping[str, str]) -> Any:
    """At every depth."""
    match value:
        case Mapping():
            return {names.get(key, key): rename_keys(item, names) for key, item in value.items()}
        case list():
            return [rename_keys(item, names) for item in value]
        case _:
            return value


def read_literals(value: Any) -> Any:
    """Texts that are Python or JSON literals become what they say, at every depth."""
    match value:
        case Mapping():
            return {key: read_literals(item) for key, item in value.items()}
        case list():
            return [read_literals(item) for item in value]
        case str():
            return _literal(value)
        case _:
            return value


def _literal(text: str) -> Any:
    stripped = text.strip()
    words = {"true": True, "false": False, "none": None, "null": None}
    if stripped.lower() in words:
        return words[stripped.lower()]
    if len(stripped) > 100_000 or not (
        stripped.startswith(("{", "[", "(", "'", '"')) or stripped.lstrip("+-").replace(".", "", 1).isdigit()
    ):
        return text
    try:
        found = ast.literal_eval(stripped)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text
    return jsonable(found)


def combine(records: Sequence[Row]) -> Row:
    """One record with the keys of all; values under the same key become a list."""
    combined: Row = {}
    for record in records:
        for key, value in record.items():
            if key not in combined:
                combined[key] = list(value) if isinstance(value, list) else value
                continue
            present = combined[key] if isinstance(combined[key], list) else [combined[key]]
            combined[key] = [*present, *(value if isinstance(value, list) else [value])]
    return combined


def filter_lists(record: Row, keys: Sequence[str], *, wanted: Mapping[str, Any], operator: str) -> Row:
    """Of the lists under `keys`, the items whose values match all of `wanted`."""
    filtered = dict(record)
    for key in keys:
        if key not in filtered:
            raise ComponentError(f"The record has no {key!r} to filter. Its keys are: {', '.join(filtered) or 'none'}.")
        items = filtered[key]
        if not isinstance(items, list):
            raise ComponentError(f"{key!r} holds no list, so there is nothing to filter.")
        for name, value in wanted.items():
            items = filter_records(items, key=name, value=plain_text(value), operator=operator)
        filtered[key] = items
    return filtered


def filter_records(records: Sequence[Any], *, key: str, value: str, operator: str) -> list[Any]:
    """The records that have the key and match; all of them when key or value is empty."""
    if not key or not value:
        return list(records)
    compare = TEXT_OPERATORS.get(operator)
    if compare is None:
        raise ComponentError(f"Unknown operator {operator!r}. Choose one of: {', '.join(TEXT_OPERATORS)}.")
    return [record for record in records if isinstance(record, Mapping) and key in record and compare(plain_text(record[key]), value)]


def at_path(record: Any, path: str) -> Row:
    """What the path finds: a record as it is, anything else under `result`."""
    found = json_path.find(jsonable(record), path)
    if not found or (len(found) == 1 and found[0] is None):
        raise ComponentError(f"{path!r} finds nothing in the record.")
    result = found[0] if len(found) == 1 else found
    return result if isinstance(result, dict) else {"result": result}


def mapping_of(value: Any) -> Row:
    """A dict field: a dict, a record, or rows of dicts or of `{key, value}`, merged."""
    match value:
        case None | "":
            return {}
        case Data():
            return dict(value.data)
        case Mapping() if set(value) == {"key", "value"}:
            return {plain_text(value["key"]): value["value"]}
        case Mapping():
            return dict(value)
        case Table():
            return mapping_of(value.rows)
        case list():
            return {key: item for entry in value for key, item in mapping_of(entry).items()}
        case _:
            raise ComponentError(f"Key-value pairs are expected here, not {type(value).__name__}.")
