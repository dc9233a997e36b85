"""How values are read: what a document stores becomes a parameter, and what an edge carries becomes what the input declared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from projects.engine.component import InputKind
from projects.engine.values import Data, Message, Table

Convert = Callable[[Any], Any]


class CoercionError(ValueError):
    """A value that an input cannot take; the text names what would be right."""


# --- what a document stores -------------------------------------------------------------------------------------------


def read_stored(field_type: str, value: Any, *, is_list: bool = False) -> Any:
    """A template value as a parameter, by the field's type word. What cannot be read is kept as it is, to be refused when it is used."""
    reader = _STORED.get(field_type)
    if reader is None or value is None:
        return value
    if is_list and isinstance(value, list) and field_type not in _WHOLE_LISTS:
        return [reader(item) for item in value]
    return reader(value)


def _stored_text(value: Any) -> Any:
    if isinstance(value, str):
        # Authors type a line break as two characters into one-line fields.
        return value.replace("\\n", "\n") if "\\n" in value else value
    if isinstance(value, Mapping):
        inner = value.get("data")
        text = value.get("text", inner.get("text") if isinstance(inner, Mapping) else None)
        return text if isinstance(text, str) else value
    return value


def _stored_integer(value: Any) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return value


def _stored_number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value


def _stored_mapping(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return _merged(value)
    return value


def _stored_rows(value: Any) -> Any:
    return [] if value == "" else value


_STORED: Mapping[str, Convert] = {
    "str": _stored_text,
    "int": _stored_integer,
    "float": _stored_number,
    "slider": _stored_number,
    "bool": bool,
    "dict": _stored_mapping,
    "NestedDict": _stored_mapping,
    "table": _stored_rows,
    "tools": _stored_rows,
}
_WHOLE_LISTS = frozenset(("dict", "NestedDict", "table", "tools"))


# --- what an input takes ----------------------------------------------------------------------------------------------


def coerce(kind: InputKind, value: Any, *, is_list: bool = False) -> Any:
    """The value as an input of this kind wants it. A list field gets a list. Raises CoercionError."""
    convert = CONVERTERS.get(kind)
    if is_list and kind not in _LIST_IS_ONE_VALUE:
        return as_list(convert, value)
    return value if convert is None else convert(value)


def as_list(convert: Convert | None, value: Any) -> list[Any]:
    """One value or many, as a list of converted values. Nothing (None, empty text) is an empty list."""
    if value is None or value == "":
        return []
    items = value if isinstance(value, list | tuple) else [value]
    return list(items) if convert is None else [convert(item) for item in items]


def _text(value: Any) -> Any:
    match value:
        case str() | Iterator() | AsyncIterator():
            return value
        case Message():
            return value.text
        case Data():
            if value.text_key not in value.data:
                keys = ", ".join(map(str, value.data)) or "none"
                raise CoercionError(f"The record has no key {value.text_key!r} to take text from; its keys are: {keys}.")
            found = value.data[value.text_key]
            return found if isinstance(found, str) else str(found)
        case int() | float() if not isinstance(value, bool):
            return str(value)
        case _:
            raise CoercionError(f"Invalid value type {type(value).__name__}: text, a message or a record is expected.")


def _message(value: Any) -> Any:
    match value:
        case Message() | Iterator() | AsyncIterator():
            return value
        case str():
            return Message(text=value)
        case Data():
            return Message(text=value.text, data=dict(value.data))
        case Mapping():
            text = value.get("text", "")
            known = {
                name: value[name] for name in ("sender", "sender_name", "session_id", "context_id") if isinstance(value.get(name), str)
            }
            files = [path for path in value.get("files") or () if isinstance(path, str)]
            return Message(text=text if isinstance(text, str) else str(text), files=files, **known)
        case _:
            raise CoercionError(f"Invalid value type {type(value).__name__}: a message or text is expected.")


def _string(value: Any) -> Any:
    # Langflow only warns here and hands the object on; its text is what every component wants.
    return value.text if isinstance(value, Message) else value


def _integer(value: Any) -> Any:
    if isinstance(value, Message):
        value = value.text
    if value is None or value == "" or type(value) is int:
        return value
    if isinstance(value, bool):
        return int(value)
    try:
        number = float(value) if isinstance(value, str) and not value.strip().lstrip("+-").isdigit() else value
        whole = int(number)
    except (TypeError, ValueError, OverflowError):
        raise CoercionError(f"A whole number is expected, got {_shown(value)}.") from None
    if isinstance(number, float) and number != whole:
        raise CoercionError(f"A whole number is expected, got {_shown(value)}.")
    return whole


def _number(value: Any) -> Any:
    if isinstance(value, Message):
        value = value.text
    if value is None or value == "" or type(value) in (int, float):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise CoercionError(f"A number is expected, got {_shown(value)}.") from None


def _boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if value is None or isinstance(value, str | int | float):
        return bool(value)
    raise CoercionError(f"True or false is expected, got {_shown(value)}.")


def _rows(value: Any) -> Any:
    match value:
        case None | "":
            return []
        case Table():
            return [dict(row) for row in value.rows]
        case Data():
            return [dict(value.data)]
        case Mapping():
            return [dict(value)]
        case list() | tuple():
            return [row for item in value for row in _rows(item)]
        case _:
            raise CoercionError(f"Rows (a list of objects) are expected, got {_shown(value)}.")


def _mapping(value: Any) -> Any:
    match value:
        case None | "":
            return {}
        case Data():
            return dict(value.data)
        case Mapping():
            return dict(value)
        case list() | tuple() if all(isinstance(item, Mapping) for item in value):
            return _merged(value)
        case str():
            try:
                read = from_json(value)
            except ValueError:
                raise CoercionError(f"An object is expected, and this is not JSON: {_shown(value)}.") from None
            if not isinstance(read, str):
                return _mapping(read)
            raise CoercionError(f"An object is expected, got {_shown(value)}.")
        case _:
            raise CoercionError(f"An object is expected, got {_shown(value)}.")


def _merged(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of an editor's key/value table, or several objects, as one object; later keys win."""
    merged: dict[str, Any] = {}
    for row in rows:
        if "key" in row and set(row) <= {"key", "value"}:
            merged[str(row["key"])] = row.get("value")
        else:
            merged.update(row)
    return merged


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


CONVERTERS: Mapping[InputKind, Convert] = {
    InputKind.TEXT: _text,
    InputKind.MESSAGE: _message,
    InputKind.STRING: _string,
    InputKind.PROMPT: _string,
    InputKind.CODE: _string,
    InputKind.INTEGER: _integer,
    InputKind.NUMBER: _number,
    InputKind.BOOLEAN: _boolean,
    InputKind.ROWS: _rows,
    InputKind.MAPPING: _mapping,
}

# A list is already what one such value looks like.
_LIST_IS_ONE_VALUE = frozenset((InputKind.ROWS, InputKind.MAPPING))


# --- which kind a template field is -----------------------------------------------------------------------------------

_KINDS_BY_CLASS: Mapping[str, InputKind] = {
    "MessageTextInput": InputKind.TEXT,
    "MultilineInput": InputKind.TEXT,
    "MultilineSecretInput": InputKind.TEXT,
    "MessageInput": InputKind.MESSAGE,
    "StrInput": InputKind.STRING,
    "SecretStrInput": InputKind.STRING,
    "DropdownInput": InputKind.STRING,
    "TabInput": InputKind.STRING,
    "QueryInput": InputKind.STRING,
    "LinkInput": InputKind.STRING,
    "PromptInput": InputKind.PROMPT,
    "MustachePromptInput": InputKind.PROMPT,
    "CodeInput": InputKind.CODE,
    "IntInput": InputKind.INTEGER,
    "FloatInput": InputKind.NUMBER,
    "SliderInput": InputKind.NUMBER,
    "BoolInput": InputKind.BOOLEAN,
    "DataInput": InputKind.DATA,
    "JSONInput": InputKind.DATA,
    "DataFrameInput": InputKind.TABLE,
    "TableInput": InputKind.ROWS,
    "DictInput": InputKind.MAPPING,
    "NestedDictInput": InputKind.MAPPING,
    "HandleInput": InputKind.HANDLE,
    "FileInput": InputKind.FILE,
}
_KINDS_BY_TYPE: Mapping[str, InputKind] = {
    "str": InputKind.TEXT,
    "prompt": InputKind.PROMPT,
    "mustache": InputKind.PROMPT,
    "int": InputKind.INTEGER,
    "float": InputKind.NUMBER,
    "slider": InputKind.NUMBER,
    "bool": InputKind.BOOLEAN,
    "dict": InputKind.MAPPING,
    "NestedDict": InputKind.MAPPING,
    "table": InputKind.ROWS,
    "tools": InputKind.ROWS,
    "file": InputKind.FILE,
    "code": InputKind.CODE,
    "other": InputKind.HANDLE,
}


def kind_of(input_class: str | None, field_type: str) -> InputKind:
    """The kind of a field by its input class, and in old documents, which do not name one, by its type."""
    if input_class is not None and (kind := _KINDS_BY_CLASS.get(input_class)) is not None:
        return kind
    return _KINDS_BY_TYPE.get(field_type, InputKind.ANY)
