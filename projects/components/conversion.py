"""From one kind of value to another: text, records (plain dicts) and tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from projects.components import markdown_table
from projects.engine.component import ComponentError
from projects.engine.values import Data, Message, Row, Table, jsonable

_BLANK_LINES = re.compile(r"\n{3,}")
_BLANK_LINE = re.compile(r"^[^\S\n]+$", re.MULTILINE)


def json_text(value: Any, *, indent: int | None = None) -> str:
    return to_json(jsonable(value), indent=indent, inf_nan_mode="constants").decode()


def read_json(text: str) -> Any:
    """The value of a JSON text, also one with line breaks inside its strings, as clients send them; raises ValueError."""
    try:
        return from_json(text)
    except ValueError:
        pass
    try:
        value = json.loads(text, strict=False)
    except RecursionError as error:
        raise ValueError("The JSON text is nested too deeply.") from error
    to_json(value)  # refuses half characters, which no answer could carry
    return value


def collapse_blank_lines(text: str) -> str:
    """Lines of blanks become empty, and more than one empty line in a row becomes one."""
    return _BLANK_LINES.sub("\n\n", _BLANK_LINE.sub("", text))


def shown_text(value: Any) -> str:
    """The value as a person reads it in a chat: records as a fenced JSON block, tables as markdown, lists line by line."""
    match value:
        case None:
            return ""
        case str():
            return collapse_blank_lines(value)
        case Message():
            return value.text
        case Data() | Mapping():
            return f"```json\n{json_text(value, indent=2)}\n```"
        case Table():
            return markdown_table.render(value)
        case list() | tuple():
            return "\n".join(shown_text(item) for item in value)
        case bool() | int() | float():
            return str(value)
        case _:
            raise ComponentError(f"Expected text, a message, a record or a table, got {type(value).__name__}.")


def plain_text(value: Any) -> str:
    """The value as it goes into a template: a record gives its text, else its JSON on one line."""
    match value:
        case None:
            return ""
        case str():
            return value
        case Message():
            return value.text
        case Data() if value.text_key in value.data:
            return value.text
        case Data() | Mapping():
            return json_text(value)
        case Table():
            return markdown_table.render(value)
        case list() | tuple():
            return "\n".join(plain_text(item) for item in value)
        case _:
            return str(value)


def message_record(message: Message) -> Row:
    """A message as a record, with the words that templates and exports use for its parts."""
    return {
        "text": message.text,
        "sender": message.sender,
        "sender_name": message.sender_name,
        "session_id": message.session_id,
        "context_id": message.context_id,
        "files": list(message.files),
        "timestamp": message.timestamp.isoformat(),
        "flow_id": message.flow_id,
        "error": message.error,
        "edit": message.edit,
        "category": message.category,
        **message.data,
    }


def record_of(value: Any) -> Row:
    """One record. Text becomes `{"text": …}`; a list or table of exactly one record gives that one."""
    match value:
        case None:
            return {}
        case Data():
            return dict(value.data)
        case Message():
            return message_record(value)
        case Mapping():
            return {str(key): item for key, item in value.items()}
        case str():
            return {"text": value}
        case Table() | list() | tuple():
            records = records_of(value)
            if len(records) > 1:
                raise ComponentError(f"One record is expected here, {len(records)} arrived.")
            return records[0] if records else {}
        case _:
            raise ComponentError(f"A record is expected here, {type(value).__name__} arrived.")


def records_of(value: Any) -> list[Row]:
    """All records of the value, lists flattened one level deep."""
    match value:
        case None:
            return []
        case Table():
            return [dict(row) for row in value.rows]
        case list() | tuple():
            return [record for item in value for record in (records_of(item) if isinstance(item, Table) else [record_of(item)])]
        case _:
            return [record_of(value)]


def table_of(value: Any) -> Table:
    """Table as it is; a record whose only key holds a list of records gives these rows; other records give a row each."""
    if isinstance(value, Table):
        return value
    records = records_of(value)
    if len(records) == 1 and len(records[0]) == 1:
        (only,) = records[0].values()
        if isinstance(only, list) and only and all(isinstance(item, Mapping | Data) for item in only):
            return Table(rows=[record_of(item) for item in only])
    return Table(rows=records)


def data_of(value: Any) -> Data:
    """One record as Data; several go under `results`."""
    match value:
        case Data():
            return value
        case Table():
            return Data(data={"results": [dict(row) for row in value.rows]})
        case list() | tuple() if len(value) != 1:
            return Data(data={"results": records_of(value)})
        case _:
            return Data(data=record_of(value))


def message_of(value: Any) -> Message:
    return value if isinstance(value, Message) else Message(text=plain_text(value))


def texts_of(value: Any) -> list[str]:
    """A list field of texts, whether it holds one value or many."""
    if value is None or value == "":
        return []
    items: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    return [plain_text(item) for item in items]
