"""What a vertex gave, as JSON text that can be read back later: for runs that go on in another process, or are looked at afterwards.

Nothing is revived by the name of a class: a fixed list of plain kinds is known, and whatever else a value holds cannot be kept.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Source, Table, jsonable

KIND = "$kind"
_NON_FINITE = ("nan", "inf", "-inf")


class CannotKeep(Exception):
    """The value holds something that has no place in a snapshot: a model, a tool, a function."""


class Unreadable(Exception):
    """The text is no snapshot that this version can read."""


_MESSAGE_FIELDS = tuple(field.name for field in fields(Message) if field.name not in ("source", "timestamp"))
_RESULT_TEXTS = ("vertex_id", "component_type", "display_name", "error")


def result_to_text(result: VertexResult) -> str:
    """Raises CannotKeep when an output cannot be kept. Inputs, logs and the artifact are only shown later, so they are simplified."""
    kept = {name: getattr(result, name) for name in _RESULT_TEXTS}
    kept |= {
        "outputs": to_plain(result.outputs),
        "inputs": to_plain(_shown(result.inputs)),
        "logs": to_plain(_shown(result.logs)),
        "artifact": to_plain(_shown(result.artifact)),
        "started_at": result.started_at.isoformat(),
        "duration_seconds": result.duration_seconds,
        "stopped_outputs": sorted(result.stopped_outputs),
        "token_usage": result.token_usage,
        "used_frozen_result": result.used_frozen_result,
    }
    return json.dumps(kept)


def result_from_text(text: str) -> VertexResult:
    """Raises Unreadable."""
    try:
        kept = json.loads(text)
        return VertexResult(
            **{name: kept[name] for name in _RESULT_TEXTS},
            outputs=from_plain(kept["outputs"]),
            inputs=from_plain(kept["inputs"]),
            logs=from_plain(kept["logs"]),
            artifact=from_plain(kept["artifact"]),
            started_at=datetime.fromisoformat(kept["started_at"]),
            duration_seconds=kept["duration_seconds"],
            stopped_outputs=frozenset(kept["stopped_outputs"]),
            token_usage=kept["token_usage"],
            used_frozen_result=kept["used_frozen_result"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("A kept result cannot be read.") from error


def value_to_text(value: Any) -> str:
    """Raises CannotKeep."""
    return json.dumps(to_plain(value))


def value_from_text(text: str) -> Any:
    """Raises Unreadable."""
    try:
        return from_plain(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable("A kept value cannot be read.") from error


def keepable_parts(values: dict[str, Any]) -> dict[str, Any]:
    """Of a mapping what can be kept, as JSON types."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        try:
            kept[name] = to_plain(value)
        except CannotKeep:
            continue
    return kept


def to_plain(value: Any) -> Any:
    """The value as JSON types from which `from_plain` makes it again. Raises CannotKeep.

    By exact class: something made from a dict is more than a dict, and would come back as less than it was.
    """
    try:
        return _to_plain(value)
    except RecursionError:
        raise CannotKeep("nested too deeply") from None


def _to_plain(value: Any) -> Any:
    kind = type(value)
    if kind in (str, bool, int) or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else {KIND: "float", "value": repr(value)}
    if kind is list:
        return [_to_plain(item) for item in value]
    if kind is dict:
        if all(type(key) is str for key in value) and KIND not in value:
            return {key: _to_plain(item) for key, item in value.items()}
        return {KIND: "dict", "items": [[_to_plain(key), _to_plain(item)] for key, item in value.items()]}
    if kind is tuple:
        return {KIND: "tuple", "items": [_to_plain(item) for item in value]}
    if kind is bytes:
        return {KIND: "bytes", "value": base64.b64encode(value).decode("ascii")}
    if kind is datetime:
        return {KIND: "datetime", "value": value.isoformat()}
    if kind is Message:
        return {
            KIND: "message",
            **{name: _to_plain(getattr(value, name)) for name in _MESSAGE_FIELDS},
            "timestamp": value.timestamp.isoformat(),
            "source": [value.source.id, value.source.display_name, value.source.source],
        }
    if kind is Data:
        return {KIND: "data", "data": _to_plain(value.data), "text_key": value.text_key, "default_value": value.default_value}
    if kind is Table:
        return {KIND: "table", "rows": _to_plain(value.rows), "columns": _to_plain(value.columns)}
    raise CannotKeep(kind.__qualname__)


def from_plain(value: Any) -> Any:
    """What `to_plain` was given. Raises ValueError, KeyError or TypeError for anything else."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get(KIND):
        case None:
            return {key: from_plain(item) for key, item in value.items()}
        case "float":
            if value["value"] not in _NON_FINITE:
                raise ValueError("not a number that needs a name")
            return float(value["value"])
        case "dict":
            return {from_plain(key): from_plain(item) for key, item in value["items"]}
        case "tuple":
            return tuple(from_plain(item) for item in value["items"])
        case "bytes":
            try:
                return base64.b64decode(value["value"], validate=True)
            except binascii.Error as error:
                raise ValueError("not base64") from error
        case "datetime":
            return datetime.fromisoformat(value["value"])
        case "message":
            known = {name: from_plain(value[name]) for name in _MESSAGE_FIELDS}
            moment = datetime.fromisoformat(value["timestamp"])
            return Message(**known, timestamp=moment.astimezone(UTC), source=Source(*value["source"]))
        case "data":
            return Data(from_plain(value["data"]), text_key=value["text_key"], default_value=value["default_value"])
        case "table":
            return Table(from_plain(value["rows"]), from_plain(value["columns"]))
        case other:
            raise ValueError(f"unknown kind {other!r}")


def _shown(value: Any) -> Any:
    """As it is when it can be kept, else as JSON shows it."""
    try:
        to_plain(value)
    except CannotKeep:
        return jsonable(value)
    return value
