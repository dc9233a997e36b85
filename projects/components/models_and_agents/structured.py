"""Asking a model for records of a given schema: natively where the provider can, else with the schema in the prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from projects.components.conversion import plain_text
from projects.components.processing.transformations import json_repair
from projects.engine.component import ComponentError, Input, InputKind
from projects.engine.values import Row
from projects.errors import ProviderBusy, ProviderFailed, ProviderTimedOut
from projects.models.chat import ChatMessage, ChatModel, ChatOptions, Usage

RECORDS = "objects"  # the key under which a model gives its list of records

SCHEMA_INPUT = Input(
    "output_schema",
    InputKind.ROWS,
    "Output Schema",
    "A row for each field: name, description, type (str, int, float, bool, dict), and whether it holds a list.",
    default=[],
    field_type="table",
)

_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "string": {"type": "string"},
    "text": {"type": "string"},
    "int": {"type": "integer"},
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "boolean": {"type": "boolean"},
    "dict": {"type": "object"},
    "object": {"type": "object"},
    "list": {"type": "array", "items": {"type": "string"}},
}
_TRUE_WORDS = frozenset(("true", "1", "yes", "on"))
_FALSE_WORDS = frozenset(("false", "0", "no", "off"))

# A provider that answers so does not take the schema; it may well take the same question without it.
_SCHEMA_REFUSED = frozenset((400, 404, 415, 422, 501))


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One row of an output schema."""

    name: str
    type: str
    description: str = ""
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class StructuredAnswer:
    """`records` have every field of the schema, None where the model gave nothing."""

    records: list[Row]
    usage: Usage
    model: str


def schema_fields(rows: Iterable[Mapping[str, Any]]) -> list[SchemaField]:
    """The fields of a schema table. Raises ComponentError for a row that says nothing usable, naming it."""
    fields: list[SchemaField] = []
    for number, row in enumerate(rows, start=1):
        name = plain_text(row.get("name")).strip()
        if not name:
            raise ComponentError(f"Row {number} of the output schema has no name.")
        if any(field.name == name for field in fields):
            raise ComponentError(f"The output schema names the field {name!r} twice.")
        type = plain_text(row.get("type") or "str").strip().lower()
        if type not in _TYPES:
            raise ComponentError(f"The field {name!r} has the type {type!r}; it can be str, int, float, bool or dict.")
        fields.append(SchemaField(name, type, plain_text(row.get("description")).strip(), _is_true(row.get("multiple"))))
    if not fields:
        raise ComponentError("The output schema is empty: add a row for each field that the answer should have.")
    return fields


def json_schema(fields: Sequence[SchemaField], *, title: str = "") -> dict[str, Any]:
    """A JSON schema for an object that holds a list of such records."""
    record: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _property(field) for field in fields},
        "required": [field.name for field in fields],
        "additionalProperties": False,
    }
    return {
        "title": "".join(character if character.isalnum() else "_" for character in title)[:60] or "Records",
        "type": "object",
        "properties": {RECORDS: {"type": "array", "items": record, "description": "Every record found, in order."}},
        "required": [RECORDS],
        "additionalProperties": False,
    }


async def ask_for_records(
    model: ChatModel, messages: Sequence[ChatMessage], fields: Sequence[SchemaField], *, title: str = "", options: ChatOptions | None = None
) -> StructuredAnswer:
    """Records as the schema has them. Raises ComponentError when the model gives no JSON even when told how."""
    options = options or ChatOptions()
    schema = json_schema(fields, title=title)
    usage = Usage()
    try:
        reply = await model.reply(messages, options=replace(options, response_schema=schema))
    except (ProviderBusy, ProviderTimedOut):
        raise
    except ProviderFailed as error:
        if error.provider_status not in _SCHEMA_REFUSED:
            raise
    else:
        usage += reply.usage or Usage()
        if (found := records_in(reply.text, fields)) is not None:
            return StructuredAnswer(found, usage, reply.model or model.name)
    reply = await model.reply(_with_schema(messages, schema), options=options)
    usage += reply.usage or Usage()
    if (found := records_in(reply.text, fields)) is not None:
        return StructuredAnswer(found, usage, reply.model or model.name)
    shown = reply.text.strip()[:200] or "nothing"
    raise ComponentError(f"The model {reply.model or model.name} did not answer with JSON of the schema. It answered: {shown}")


def json_in(text: str) -> Any:
    """The first JSON object or list in a model's answer, in a fence, between words, or slightly broken; None if there is none."""
    for candidate in _candidates(text):
        try:
            value = json.loads(candidate, strict=False)
        except (ValueError, RecursionError):
            try:
                value = json_repair.repaired(candidate)
            except json_repair.NotReadable:
                continue
        if isinstance(value, dict | list):
            return value
    return None


def _property(field: SchemaField) -> dict[str, Any]:
    described = {"description": field.description} if field.description else {}
    plain = _TYPES[field.type]
    return {"type": "array", "items": plain, **described} if field.is_list and plain["type"] != "array" else plain | described


def told_schema(schema: Mapping[str, Any]) -> str:
    """The schema as an instruction, for a model whose provider takes none or that has tools beside it."""
    return f"Answer with one JSON object and nothing else. It must match this JSON schema:\n{json.dumps(schema, ensure_ascii=False)}"


def _with_schema(messages: Sequence[ChatMessage], schema: Mapping[str, Any]) -> list[ChatMessage]:
    told = told_schema(schema)
    if messages and messages[0].role == "system":
        return [replace(messages[0], text=f"{messages[0].text}\n\n{told}".strip()), *messages[1:]]
    return [ChatMessage("system", told), *messages]


def records_in(text: str, fields: Sequence[SchemaField]) -> list[Row] | None:
    """None when the text holds nothing like a record of the schema."""
    value = json_in(text)
    if isinstance(value, dict) and isinstance(value.get(RECORDS), list):
        value = value[RECORDS]
    elif isinstance(value, dict) and len(value) == 1 and not any(field.name in value for field in fields):
        (only,) = value.values()  # models like to wrap the list under a name of their own
        value = only if isinstance(only, list) else [only]
    items = value if isinstance(value, list) else [value]
    names = {field.name for field in fields}
    records = [item for item in items if isinstance(item, dict) and not names.isdisjoint(item)]
    if not records and items:
        return None
    return [{field.name: _value_of(field, record.get(field.name)) for field in fields} for record in records]


def _value_of(field: SchemaField, value: Any) -> Any:
    if value is None:
        return [] if field.is_list else None
    if field.is_list:
        return [_cast(field.type, item) for item in (value if isinstance(value, list) else [value])]
    return _cast(field.type, value)


def _cast(type: str, value: Any) -> Any:
    """The value in the schema's type where it plainly is one; otherwise as the model gave it."""
    kind = _TYPES[type]["type"]
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
    if not isinstance(value, str):
        return int(value) if kind == "integer" and isinstance(value, float) and value.is_integer() else value
    text = value.strip()
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return value
    if kind == "boolean" and text.lower() in _TRUE_WORDS | _FALSE_WORDS:
        return text.lower() in _TRUE_WORDS
    if kind in ("object", "array"):
        found = json_in(text)
        return value if found is None else found
    return value


def _is_true(value: Any) -> bool:
    return value.strip().lower() in _TRUE_WORDS if isinstance(value, str) else value is True


def _candidates(text: str) -> Iterator[str]:
    """The whole text, then what is in fences, then from the first bracket to the last one of its kind."""
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        yield stripped
    pieces = text.split("```")
    for fenced in pieces[1::2]:
        body = fenced.partition("\n")[2] if not fenced.lstrip().startswith(("{", "[")) else fenced
        if body.strip()[:1] in ("{", "["):
            yield body.strip()
    starts = sorted((place, closing) for opening, closing in (("{", "}"), ("[", "]")) if (place := text.find(opening)) >= 0)
    for place, closing in starts:
        end = text.rfind(closing)
        if end > place:
            yield text[place : end + 1]
