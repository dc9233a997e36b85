"""What a flow answers, typed: one shape a tool makes the output schema and the structured content that fits it.

The ends of a flow are its output vertices; a flow without any answers with the vertices that nothing follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import Any

from projects.engine import schedule
from projects.engine.component import Component
from projects.engine.events import VertexResult
from projects.engine.graph import Graph, Vertex, VertexOutput
from projects.engine.values import Data, Message, Table
from projects.tools.names import clean_name, shown_text, unique_name

NAME_LENGTH = 64
TAKEN = frozenset({"run_id", "state", "questions", "files"})  # what a call says of its run, beside the answers or instead of them

_TEXTS = frozenset({"Message", "Text", "str", "Prompt"})
_RECORDS = frozenset({"Data", "JSON", "dict"})
_TABLES = frozenset({"DataFrame", "Table"})
# What only makes sense inside a flow.
_HANDLES = frozenset({"Tool", "Toolset", "LanguageModel", "Embeddings", "BaseRetriever", "VectorStore", "Retriever", "Memory"})


class Kind(StrEnum):
    """What one answer is by its declaration; ANY where several are possible."""

    TEXT = "text"
    RECORD = "record"
    TABLE = "table"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class End:
    """One answer of a flow: an output of a vertex. `carries` is what an output vertex may be fed with, beside its text."""

    name: str
    vertex_id: str
    output: str
    kind: Kind
    title: str = ""
    carries: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class ResultShape:
    """`schema` holds for every answer of the flow; a root object, as older revisions of the protocol want it.

    Nothing in it is required: a call whose run still goes on answers how it stands instead (`TAKEN`).
    """

    ends: tuple[End, ...]
    schema: dict[str, Any] = field(hash=False)

    @classmethod
    def of_graph(cls, graph: Graph) -> ResultShape:
        ends = tuple(_ends(graph))
        return cls(ends, _schema(ends))

    def structured(self, outputs: Iterable[VertexResult]) -> dict[str, Any]:
        """The answers as plain JSON. One that the run did not come to is left out, and the only one of a flow is then empty."""
        results = {result.vertex_id: result for result in outputs}
        if len(self.ends) == 1:
            end = self.ends[0]
            return _shaped(end.kind, *_answer(end, results.get(end.vertex_id)))
        return {
            end.name: _shaped(end.kind, *_answer(end, result))
            for end in self.ends
            if (result := results.get(end.vertex_id)) is not None and result.outputs
        }


def plain(value: Any) -> Any:
    """The value as what JSON can say: as `values.jsonable`, and numbers that JSON has no word for are null."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case None | bool() | int():
            return value
        case float():
            return value if isfinite(value) else None
        case Message():
            return plain(value.text)
        case Data():
            return plain(value.data)
        case Table():
            return [plain(row) for row in value.rows]
        case datetime():
            return value.isoformat()
        case Mapping():
            return {plain(str(key)): plain(item) for key, item in value.items()}
        case Sequence() | set() | frozenset() if not isinstance(value, bytes):
            return [plain(item) for item in value]
        case _:
            return plain(str(value))


def _ends(graph: Graph) -> Iterable[End]:
    found: list[tuple[Vertex, VertexOutput]] = []
    for id in schedule.end_vertices(graph):
        vertex = graph.vertices[id]
        connected = {edge.output for edge in graph.outgoing[id]}  # then only these are computed
        found += [(vertex, item) for item in vertex.outputs if _can_be_told(item) and (not connected or item.name in connected)]
    vertices = [vertex.id for vertex, _ in found]
    taken = set(TAKEN)
    for vertex, output in found:
        shown = vertex.display_name or vertex.type
        if vertices.count(vertex.id) > 1:
            shown = f"{shown} {output.display_name or output.name}"
        name = unique_name(clean_name(shown, length=NAME_LENGTH), taken, length=NAME_LENGTH)
        taken.add(name)
        kind = _kind(output.types, vertex.component, output)
        carries = _carried(graph, vertex) if vertex.is_output else frozenset[Kind]()
        yield End(name, vertex.id, output.name, kind, shown_text(shown, length=200), carries)


def _can_be_told(output: VertexOutput) -> bool:
    return output.name != "component_as_tool" and not (output.types and _HANDLES.issuperset(output.types))


def _kind(types: Sequence[str], component: type[Component] | None, output: VertexOutput) -> Kind:
    """By what our component declares; the document's words count for outputs that only it lists."""
    declared = next((item.types for item in component.declared_outputs if item.method == output.method), ()) if component else ()
    words = frozenset(declared or types)
    for kind, known in ((Kind.TEXT, _TEXTS), (Kind.RECORD, _RECORDS), (Kind.TABLE, _TABLES)):
        if words and words <= known:
            return kind
    return Kind.ANY


def _carried(graph: Graph, vertex: Vertex) -> frozenset[Kind]:
    kinds: set[Kind] = set()
    for edge in graph.incoming[vertex.id]:
        source = graph.vertices[edge.source]
        output = next((item for item in source.outputs if item.name == edge.output), VertexOutput(edge.output))
        kind = _kind(output.types, source.component, output)
        kinds |= {Kind.RECORD, Kind.TABLE} if kind is Kind.ANY else {kind}
    return frozenset(kinds - {Kind.TEXT})


_RECORD = {"type": "object", "additionalProperties": True}


def _schema(ends: Sequence[End]) -> dict[str, Any]:
    if len(ends) == 1:
        return _end_schema(ends[0])
    properties = {end.name: _end_schema(end) for end in ends}
    return {"type": "object", "properties": properties, "additionalProperties": True}


def _end_schema(end: End) -> dict[str, Any]:
    match end.kind:
        case Kind.TEXT:
            properties: dict[str, Any] = {"text": {"type": "string", "description": f"The text of {end.title}."}}
            if Kind.RECORD in end.carries:
                properties["data"] = _RECORD | {"description": "The record that the text shows."}
            if Kind.TABLE in end.carries:
                properties["rows"] = {"type": "array", "items": _RECORD, "description": "The rows that the text shows."}
            return {"type": "object", "properties": properties, "additionalProperties": True}
        case Kind.TABLE:
            rows = {"type": "array", "items": _RECORD, "description": f"The rows of {end.title}."}
            return {"type": "object", "properties": {"rows": rows}, "additionalProperties": True}
        case Kind.RECORD | Kind.ANY:
            return _RECORD | {"description": f"The answer of {end.title}."}


def _answer(end: End, result: VertexResult | None) -> tuple[Any, Any]:
    """The value of an end, and what it was made of when that says more."""
    if result is None:
        return None, None
    value = result.outputs.get(end.output)
    if value is None and result.outputs:
        value = next((item for item in result.outputs.values() if item is not None), None)
    source = result.inputs.get("input_value") if end.carries else None
    if isinstance(source, list) and len(source) == 1:
        source = source[0]
    return value, source


def _shaped(kind: Kind, value: Any, source: Any) -> dict[str, Any]:
    match kind:
        case Kind.TEXT:
            shaped: dict[str, Any] = {"text": _text(value)}
            for told in (source, value):
                if isinstance(told, Data):
                    return shaped | {"data": plain(told.data)}
                if isinstance(told, Table):
                    return shaped | {"rows": _rows(told)}
            return shaped
        case Kind.TABLE:
            return {"rows": _rows(value)}
        case Kind.RECORD | Kind.ANY:
            return _record(value)


def _text(value: Any) -> str:
    match value:
        case Message():
            return str(plain(value.text))
        case None:
            return ""
        case Data():
            return str(plain(value.text))
        case _:
            made = plain(value)
            return made if isinstance(made, str) else str(made)


def _rows(value: Any) -> list[dict[str, Any]]:
    match value:
        case None:
            return []
        case Table():
            return [plain(row) for row in value.rows]
        case list() | tuple():
            return [row for item in value for row in _rows(item)]
        case _:
            return [_record(value)]


def _record(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case Data() | Mapping():
            made = plain(value)
            return made if isinstance(made, dict) else {"value": made}
        case Table():
            return {"rows": _rows(value)}
        case Message() | str():
            return {"text": _text(value)}
        case list() | tuple():
            return {"items": plain(value)}
        case _:
            return {"value": plain(value)}
