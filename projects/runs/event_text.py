"""Events as text, for listeners in other processes. Nothing is revived by the name of a class: a fixed list of events is known."""

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

from projects.engine import snapshot
from projects.engine.events import (
    InnerEvent,
    LogAdded,
    MessageAdded,
    RunEnded,
    RunStarted,
    TokenAdded,
    VertexFailed,
    VertexFinished,
    VertexResult,
    VertexStarted,
    Warned,
)
from projects.engine.values import jsonable
from projects.flows.flow import FlowChanged

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(RunStarted, RunEnded, VertexStarted, VertexFinished, VertexFailed),
        *(MessageAdded, TokenAdded, LogAdded, Warned, InnerEvent, FlowChanged),
    )
}
_RESULT, _EVENT = "$result", "$event"


class Unreadable(Exception):
    """The text is no event that this version knows."""


def to_text(event: Any) -> str:
    return json.dumps(_plain(event))


def from_text(text: str) -> Any:
    """Raises Unreadable."""
    try:
        return _event(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, snapshot.Unreadable) as error:
        raise Unreadable("An event cannot be read.") from error


def _plain(event: Any) -> Any:
    if is_dataclass(event) and type(event).__name__ in _KINDS:
        return {_EVENT: type(event).__name__, **{field.name: _value(getattr(event, field.name)) for field in fields(event)}}
    return snapshot.to_plain(event)


def _value(value: Any) -> Any:
    if isinstance(value, VertexResult):
        return {_RESULT: _result_text(value)}
    if is_dataclass(value) and type(value).__name__ in _KINDS:
        return _plain(value)
    try:
        return snapshot.to_plain(value if not isinstance(value, tuple) else list(value))
    except snapshot.CannotKeep:
        return snapshot.to_plain(jsonable(value))


def _result_text(result: VertexResult) -> str:
    try:
        return snapshot.result_to_text(result)
    except snapshot.CannotKeep:  # a model or a tool: whoever listens elsewhere is told that it is done
        return snapshot.result_to_text(replace(result, outputs={}))


def _event(plain: Any) -> Any:
    if not isinstance(plain, dict) or _EVENT not in plain:
        return snapshot.from_plain(plain)
    kind = _KINDS[plain[_EVENT]]
    values = {name: _read(value) for name, value in plain.items() if name != _EVENT}
    return kind(**values)


def _read(value: Any) -> Any:
    if isinstance(value, dict) and _RESULT in value:
        return snapshot.result_from_text(value[_RESULT])
    if isinstance(value, dict) and _EVENT in value:
        return _event(value)
    read = snapshot.from_plain(value)
    return tuple(read) if isinstance(read, list) else read
