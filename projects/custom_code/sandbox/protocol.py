"""What the server and a worker say to each other: frames of a length (four bytes, big-endian) and one JSON object.

A request is {"id", "do", …}, its answer {"answer": id, "value"} or {"answer": id, "failed"}. The server asks for builds, the worker for
what the component wants of its host. Values cross as `engine/snapshot.py` writes them, so reading a frame makes nothing but values:
what a worker says is what its text makes it say.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from projects.custom_code.host import CodeFailed, Handle, VertexDescription, VertexOutcome
from projects.engine.snapshot import CannotKeep, from_plain, keepable_parts, to_plain
from projects.engine.values import Data, Message, Table, jsonable

MAX_FRAME_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 200  # of values in values: what writes records and answers can do no more than about 250
MAX_PARTS = 1_000_000  # values in one frame: each costs its reader a microsecond and about a hundred bytes
HOST_CALLS = frozenset(
    (
        "send_message",
        "stream_token",
        "read_messages",
        "get_variable",
        "list_variable_names",
        "list_flows",
        "run_flow",
        "read_file",
        "save_file",
        "run_stock",
        "ask_model",
        "embed",
        "call_tool",
    )
)
"""The methods of `host.Host`: nothing else of it can be called from a worker."""

_LENGTH = struct.Struct(">I")
_TEXTS = ("text", "sender", "sender_name", "session_id", "context_id", "category", "state")
_NAMES = ("flow_id", "run_id", "id", "icon")
_MAX_REASON = 20_000
_MAX_COUNT = 2**53  # of tokens; what JSON's readers take for whole numbers
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


class BadFrame(Exception):
    """What came is nothing that this protocol has."""


def frame(message: Mapping[str, Any]) -> bytes:
    """Raises CodeFailed for a message that is too large."""
    try:
        content = json.dumps(_sound(message), separators=(",", ":"), allow_nan=False).encode()
    except (BadFrame, RecursionError):
        raise CodeFailed("What goes in or out of the component is nested too deeply.") from None
    if len(content) > MAX_FRAME_BYTES:
        size, allowed = (f"{count // 1_000_000} MB" for count in (len(content), MAX_FRAME_BYTES))
        raise CodeFailed(f"What goes in or out of the component takes {size}; {allowed} are allowed at once.")
    if _has_too_many_parts(content):
        raise CodeFailed(f"What goes in or out of the component has more than {MAX_PARTS:,} values, which are allowed at once.")
    return _LENGTH.pack(len(content)) + content


def length_of(head: bytes) -> int:
    """Raises BadFrame."""
    length: int = _LENGTH.unpack(head)[0]
    if length > MAX_FRAME_BYTES:
        raise BadFrame(f"a frame of {length} bytes")
    return length


HEAD_BYTES = _LENGTH.size


def message_of(content: bytes) -> dict[str, Any]:
    """Raises BadFrame."""
    if _has_too_many_parts(content):
        raise BadFrame("too many values")
    try:
        read = _sound(json.loads(content.decode(), parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise BadFrame(type(error).__name__) from None
    if not isinstance(read, dict):
        raise BadFrame("no object")
    return read


def _sound(value: Any, depth: int = 0) -> Any:
    """JSON types without halves of surrogate pairs, which nothing that keeps or sends text can write. Raises BadFrame for a deep one."""
    if depth > MAX_DEPTH:
        raise BadFrame("nested too deeply")
    kind = type(value)
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if kind is list or kind is tuple:
        return [_sound(item, depth + 1) for item in value]
    if kind is dict:
        return {_sound(name): _sound(item, depth + 1) for name, item in value.items()}
    return value


def _has_too_many_parts(content: bytes) -> bool:
    if _marks(content) <= MAX_PARTS:
        return False
    return _marks(_STRING.sub(b"", content)) > MAX_PARTS  # what stands in texts is no part


def _marks(content: bytes) -> int:
    return content.count(b",") + content.count(b"[") + content.count(b"{")


def _no_number(name: str) -> None:
    raise ValueError(name)


def packed(value: Any) -> Any:
    """Raises CodeFailed for what cannot cross."""
    try:
        return to_plain(value)
    except CannotKeep as error:
        raise CodeFailed(f"A value of the kind {error} cannot go in or out of a sandbox.") from None


def unpacked(value: Any) -> Any:
    """Raises BadFrame."""
    try:
        made = from_plain(value)
        _check(made)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadFrame(type(error).__name__) from None
    return made


def _check(value: Any) -> None:
    """Raises TypeError where a value holds what its class does not allow."""
    match value:
        case Message():
            texts = [getattr(value, name) for name in _TEXTS]
            names = [*(getattr(value, each) for each in _NAMES), value.source.id, value.source.display_name, value.source.source]
            texts += [name for name in names if name is not None]
            if not all(isinstance(text, str) for text in texts) or not all(isinstance(path, str) for path in value.files):
                raise TypeError("a message")
            if not isinstance(value.data, dict) or not all(isinstance(block, dict) for block in value.content_blocks):
                raise TypeError("a message")
            usage = {} if value.usage is None else value.usage
            if not isinstance(usage, dict) or not all(type(count) is int and 0 <= count <= _MAX_COUNT for count in usage.values()):
                raise TypeError("a message")
            if type(value.error) is not bool or type(value.edit) is not bool or type(value.duration) not in (float, int, type(None)):
                raise TypeError("a message")
            _check(value.data)
        case Data():
            texts = [value.text_key, value.default_value]
            if not isinstance(value.data, dict) or not all(isinstance(text, str) for text in texts):
                raise TypeError("a record")
            _check(value.data)
        case Table():
            if not all(isinstance(row, dict) for row in value.rows) or not all(isinstance(name, str) for name in value.columns):
                raise TypeError("a table")
            _check(value.rows)
        case dict():
            for item in value.values():
                _check(item)
        case list() | tuple():
            for item in value:
                _check(item)


def described(description: VertexDescription) -> dict[str, Any]:
    plain = {item.name: jsonable(getattr(description, item.name)) for item in fields(description) if item.name != "state"}
    return {**plain, "state": keepable_parts(dict(description.state))}


def description_of(plain: Mapping[str, Any]) -> VertexDescription:
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    return VertexDescription(**{**known, "state": unpacked(plain["state"])})


def packed_outcome(outcome: VertexOutcome) -> dict[str, Any]:
    return {
        "outputs": {name: packed_output(value) for name, value in outcome.outputs.items()},
        "logs": jsonable(outcome.logs),
        "stopped": [str(name) for name in outcome.stopped],
        "state": keepable_parts(outcome.state),
        "status": jsonable(outcome.status),
    }


def packed_output(value: Any) -> dict[str, Any]:
    if isinstance(value, Handle):
        return {"handle": packed_handle(value)}
    return {"value": packed(value)}


def packed_handle(handle: Handle) -> dict[str, Any]:
    return {"kind": handle.kind, "output": handle.output, "type_name": handle.type_name, "details": jsonable(handle.details)}


def handle_of(plain: Any) -> Handle:
    """Raises BadFrame."""
    try:
        kind, output, type_name = plain["kind"], plain["output"], plain["type_name"]
        details = plain["details"]
    except (KeyError, TypeError):
        raise BadFrame("a handle") from None
    if not all(isinstance(text, str) for text in (kind, output, type_name)):
        raise BadFrame("a handle")
    if kind == "tools":
        if not isinstance(details, list) or not all(_is_tool(each) for each in details):
            raise BadFrame("a handle of tools")
    elif not isinstance(details, dict | None):
        raise BadFrame("a handle")
    return Handle(kind, output, type_name, details)


def _is_tool(spec: Any) -> bool:
    return isinstance(spec, dict) and all(
        isinstance(spec.get(name), kind) for name, kind in (("name", str), ("description", str), ("parameters", dict))
    )


def outcome_of(plain: Any) -> VertexOutcome:
    """Raises BadFrame."""
    try:
        outputs = {
            name: handle_of(made["handle"]) if "handle" in made else unpacked(made["value"]) for name, made in plain["outputs"].items()
        }
        logs, stopped, state, status = plain["logs"], plain["stopped"], plain["state"], plain["status"]
    except (KeyError, TypeError, AttributeError):
        raise BadFrame("an outcome") from None
    if not (isinstance(logs, list) and isinstance(stopped, list) and isinstance(state, dict)):
        raise BadFrame("an outcome")
    told = [
        {"name": str(entry.get("name", "")), "message": entry.get("message"), "type": str(entry.get("type", "text"))}
        for entry in logs
        if isinstance(entry, dict)
    ]
    return VertexOutcome(outputs=outputs, logs=told, stopped=[str(name) for name in stopped], state=unpacked(state), status=status)


def packed_failure(error: CodeFailed) -> dict[str, Any]:
    return {
        "reason": error.reason[:_MAX_REASON],
        "error": error.error[:200],
        "output": error.output,
        "logs": jsonable(list(error.logs)),
    }


def failure_of(plain: Any) -> CodeFailed:
    if not isinstance(plain, dict):
        raise BadFrame("a failure")
    output, logs = plain.get("output"), plain.get("logs")
    return CodeFailed(
        str(plain.get("reason"))[:_MAX_REASON],
        error=str(plain.get("error", ""))[:200],
        output=output if isinstance(output, str) else None,
        logs=[entry for entry in logs if isinstance(entry, dict)] if isinstance(logs, list) else [],
    )
