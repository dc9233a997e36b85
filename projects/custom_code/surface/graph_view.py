"""What a component may know of the flow it is in, under the names that texts use."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from projects.custom_code.host import VertexDescription


class GraphView:
    """What a component may know of the flow it is in."""

    def __init__(self, description: VertexDescription, context: dict[str, Any]) -> None:
        self.flow_id = description.flow_id
        self.flow_name = description.flow_name
        self.user_id = description.user_id
        self.session_id = description.session_id
        self.run_id = description.run_id
        self.context = context
        self.vertices = [_vertex_view(description), *(_source_view(item) for items in description.fed_by.values() for item in items)]

    def get_vertex(self, vertex_id: str) -> Any:
        """This vertex or one that feeds it; ValueError for any other."""
        for vertex in self.vertices:
            if vertex.id == vertex_id:
                return vertex
        raise ValueError(f"Vertex {vertex_id} not found")


def _vertex_view(description: VertexDescription) -> SimpleNamespace:
    incoming = [
        SimpleNamespace(source_id=item["id"], target_id=description.id, target_param=name)
        for name, items in description.fed_by.items()
        for item in items
    ]
    return SimpleNamespace(
        id=description.id,
        display_name=description.display_name,
        vertex_type=description.type,
        base_name=description.type,
        incoming_edges=incoming,
        outgoing_edges=[],
        graph=None,
    )


def _source_view(item: Mapping[str, str]) -> SimpleNamespace:
    return SimpleNamespace(id=item["id"], display_name=item["display_name"], vertex_type=item["type"], base_name=item["type"])
