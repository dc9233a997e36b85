"""Both ends of an edge, from any age of document: objects, their `œ` strings, and the `Type|field|id` strings before 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

# One type had several names through the releases; the newest stands for all.
_TYPE_NAMES: Mapping[str, str] = {
    "Text": "Message",
    "str": "Message",
    "Record": "JSON",
    "Data": "JSON",
    "DataFrame": "Table",
}
_ANY_TYPE = frozenset(("Any", "any", "object", "Object"))


@dataclass(slots=True)
class EdgeEnds:
    """`output` and `field` are None when the document does not say; `proxy` is the field inside a group that the edge means."""

    id: str | None
    source: str
    target: str
    output: str | None = None
    output_types: tuple[str, ...] = ()
    field: str | None = None
    field_types: tuple[str, ...] = ()
    is_loop: bool = False
    proxy: tuple[str, str] | None = None


def read_edge(raw: Mapping[str, Any]) -> EdgeEnds:
    """The ends of one edge; empty ids when it names none."""
    data = raw.get("data")
    data = data if isinstance(data, Mapping) else {}
    source = _handle(data.get("sourceHandle")) or _handle(raw.get("sourceHandle"))
    target = _handle(data.get("targetHandle")) or _handle(raw.get("targetHandle"))
    id = raw.get("id")
    ends = EdgeEnds(
        id=id if isinstance(id, str) else None,
        source=_text(raw.get("source")) or _text(source.get("id")),
        target=_text(raw.get("target")) or _text(target.get("id")),
        output=_text(source.get("name")) or None,
        output_types=_names(source.get("output_types")) or _names(source.get("baseClasses")),
    )
    if not source and isinstance(old := raw.get("sourceHandle"), str) and "|" in old:
        # "ChatInput|ChatInput-x1|Text|str": type, id, then every type the node can be.
        ends.output_types = tuple(old.split("|")[2:])
    if not target and isinstance(old := raw.get("targetHandle"), str) and old.count("|") >= 2:
        types, ends.field = old.split("|")[:2]
        ends.field_types = tuple(types.split(";"))
        return ends
    if "fieldName" not in target and "name" in target:
        ends.is_loop = True
        ends.field = _text(target.get("name")) or None
        return ends
    ends.field = _text(target.get("fieldName")) or None
    # Handle inputs have the type "other": then only the listed types say anything.
    type = _text(target.get("type"))
    ends.field_types = _names(target.get("inputTypes")) + ((type,) if type and type != "other" else ())
    proxy = target.get("proxy")
    if isinstance(proxy, Mapping) and isinstance(proxy.get("id"), str) and isinstance(proxy.get("field"), str):
        ends.proxy = (proxy["id"], proxy["field"])
    return ends


def types_match(output_types: tuple[str, ...], field_types: tuple[str, ...]) -> bool:
    """Whether an output of these types may feed such a field. Unknown types (none listed) match."""
    if not output_types or not field_types:
        return True
    given = {_TYPE_NAMES.get(name, name) for name in output_types}
    taken = {_TYPE_NAMES.get(name, name) for name in field_types}
    return bool(given & taken) or not _ANY_TYPE.isdisjoint(given | taken)


def _handle(value: Any) -> Mapping[str, Any]:
    """A handle as an object; empty when it is none."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            read = from_json(value.replace("œ", '"'))
        except ValueError:
            return {}
        if isinstance(read, dict):
            return read
    return {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _names(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
