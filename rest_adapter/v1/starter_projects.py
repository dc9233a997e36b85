"""Flows to begin with, as bare graphs."""

from functools import cache
from typing import Any

from pydantic_core import from_json, to_json
from starlette.responses import Response

from projects import starter_flows
from projects.access.caller import Caller
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.models import Wire


class StarterGraph(Wire):
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    viewport: dict[str, Any] | None


class StarterProject(Wire):
    data: StarterGraph
    is_component: bool
    name: str
    name_key: str | None
    description: str | None
    endpoint_name: str | None


@endpoint("GET", "/api/v1/starter-projects/", Answer(200, list[StarterProject]), owner=OwnerRule.CALLER, tag="Flows")
async def list_starter_projects(caller: Caller) -> Response:
    """The examples, ready to be copied."""
    return Response(_text(), media_type="application/json")


@cache
def _text() -> bytes:
    shown = []
    for draft in starter_flows.examples():
        graph = from_json(draft.document or "{}")
        shown.append(
            {
                "data": {"nodes": graph.get("nodes", []), "edges": graph.get("edges", []), "viewport": graph.get("viewport")},
                "is_component": draft.is_component,
                "name": draft.name,
                "name_key": None,
                "description": draft.description,
                "endpoint_name": draft.endpoint_name,
            }
        )
    return to_json(shown)


ENDPOINTS = (list_starter_projects,)
