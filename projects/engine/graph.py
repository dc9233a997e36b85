"""A compiled flow: immutable vertices and edges, ready to run any number of times.

`projects/flows/document.py` makes it from an export; `schedule.py` decides over it; `runner.py` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from projects.engine.component import Component, InputKind

ComponentClass: TypeAlias = type[Component]


@dataclass(frozen=True, slots=True)
class Field:
    """One template field of a node: what is stored, and what its author allowed."""

    name: str
    type: str  # Langflow's word: str, int, bool, prompt, file …
    kind: InputKind
    value: Any = None  # for files: the storage path(s)
    display_name: str = ""
    info: str | None = None
    show: bool = True
    advanced: bool = False
    required: bool = False
    is_list: bool = False
    password: bool = False
    multiline: bool = False
    load_from_db: bool = False  # then `value` is the name of a variable
    may_name_variable: bool = False  # the document says whether it does, so its author could have chosen one
    options: tuple[str, ...] = ()
    api_editable: bool = False
    override_skip: bool = False
    protected: bool = False
    declared: bool = True  # False: in the document, unknown to the component (a prompt variable, or a field not honoured)


@dataclass(frozen=True, slots=True)
class VertexOutput:
    """One output of a node, as the file lists it."""

    name: str
    display_name: str = ""
    types: tuple[str, ...] = ()
    method: str = ""


@dataclass(frozen=True, slots=True)
class Vertex:
    """A node that may run. `component` is None when nothing native stands behind it: `problem` then says why."""

    id: str
    type: str  # canonical component type, or the document's when unknown
    document_type: str  # what the document says
    display_name: str
    description: str
    component: ComponentClass | None
    fields: Mapping[str, Field]
    outputs: tuple[VertexOutput, ...]
    problem: str | None = None
    hint: str = ""
    tool_mode: bool = False
    frozen: bool = False
    is_input: bool = False
    is_output: bool = False
    parent_id: str | None = None  # the group it was expanded from

    def with_fields(self, changes: Mapping[str, Field]) -> Vertex:
        return replace(self, fields={**self.fields, **changes})


@dataclass(frozen=True, slots=True)
class Edge:
    """From one vertex's output into another's field. A loop edge feeds back into an output of the target instead."""

    source: str
    output: str
    target: str
    field: str
    is_loop: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A group node that was expanded: its fields stand for fields of vertices inside."""

    id: str
    display_name: str
    fields: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # field of the group → (vertex id, field)


@dataclass(frozen=True)
class Graph:
    """Vertices in file order (what was inside a group last), edges in file order."""

    vertices: Mapping[str, Vertex] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)

    @cached_property
    def incoming(self) -> Mapping[str, tuple[Edge, ...]]:
        return {id: tuple(edge for edge in self._by_target.get(id, ())) for id in self.vertices}

    @cached_property
    def outgoing(self) -> Mapping[str, tuple[Edge, ...]]:
        return {id: tuple(edge for edge in self._by_source.get(id, ())) for id in self.vertices}

    @cached_property
    def _by_target(self) -> Mapping[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return found

    @cached_property
    def _by_source(self) -> Mapping[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge)
        return found

    def with_vertices(self, changes: Mapping[str, Vertex]) -> Graph:
        """The same graph with some vertices replaced (tweaks); edges and order stay."""
        if not changes:
            return self
        vertices = {id: changes.get(id, vertex) for id, vertex in self.vertices.items()}
        return Graph(vertices=vertices, edges=self.edges, groups=self.groups)
