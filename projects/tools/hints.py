"""What a call may do beyond answering, by what the flow's components declare: the annotations of the MCP tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from projects.engine import schedule, tool_mode
from projects.engine.component import Component
from projects.engine.graph import Graph, Vertex


@dataclass(frozen=True, slots=True)
class Hints:
    """`is_idempotent`: a second call answers the same and changes nothing more; no model, time or chance is in it."""

    is_read_only: bool = True
    is_destructive: bool = False
    is_idempotent: bool = True
    is_open_world: bool = False


def hints_of(graph: Graph, open_fields: frozenset[tuple[str, str]]) -> Hints:
    """`open_fields`: (vertex id, field) that a caller may fill in, so that what is stored there says nothing."""
    read_only, destructive, idempotent, open_world = True, False, True, False
    for vertex, component in _running(graph):
        writes = component.writes_world and not _only_reads(graph, vertex, component, open_fields)
        touches = component.reads_world or component.writes_world
        read_only = read_only and not writes
        destructive = destructive or (writes and not component.only_adds)
        idempotent = idempotent and not (touches or component.varies or component.asks_person)
        open_world = open_world or (touches and not component.stays_home)
    return Hints(read_only, destructive, idempotent, open_world)


def _running(graph: Graph) -> Iterator[tuple[Vertex, type[Component]]]:
    planned = schedule.run_set(graph, schedule.default_start(graph), None)
    for vertex in graph.vertices.values():
        # What listens runs when it is told something, wherever it stands.
        if vertex.component is not None and (vertex.id in planned or vertex.component.listens_to):
            yield vertex, vertex.component


def _only_reads(graph: Graph, vertex: Vertex, component: type[Component], open_fields: frozenset[tuple[str, str]]) -> bool:
    """Whether the node's settled choices keep a component that could write from doing so."""
    if not component.only_reads_with:
        return False
    fed = {edge.field for edge in graph.incoming[vertex.id]}
    filled_in = tool_mode.argument_names(vertex, component) if vertex.tool_mode else frozenset[str]()
    defaults = {item.name: item.default for item in component.declared_inputs}
    for name, harmless in component.only_reads_with.items():
        field = vertex.fields.get(name)
        is_stored = field is not None and (field.show or field.override_skip) and field.value not in (None, "")
        if name in fed or name in filled_in or (vertex.id, name) in open_fields or (field is not None and field.load_from_db):
            return False
        if (field.value if is_stored and field is not None else defaults.get(name)) not in harmless:
            return False
    return True
