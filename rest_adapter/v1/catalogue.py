"""The catalogue: every component that runs here, as an editor puts it into a flow."""

from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from projects.access.caller import Caller
from projects.catalogue import catalogue_of
from projects.components.registry import ComponentRegistry
from projects.services import ProjectServices
from rest_adapter.routing import Answer, OwnerRule, endpoint

DISPLAY_NAMES = "component_display_names"


@endpoint(
    "GET",
    "/api/v1/all",
    Answer(200, dict[str, dict[str, Any]], "Category → type → node; and under `component_display_names` type → the name to show."),
    owner=OwnerRule.CALLER,
    tag="Components",
)
async def list_components(caller: Caller, services: ProjectServices) -> Response:
    """Every component, with all its fields and outputs, ready to be put into a flow. What this server does not run is not in it."""
    return Response(_text(services.registry), media_type="application/json")


@lru_cache(maxsize=2)
def _text(registry: ComponentRegistry) -> bytes:
    nodes = catalogue_of(registry)
    names = {type: node["display_name"] for of_category in nodes.values() for type, node in of_category.items()}
    return to_json({**nodes, DISPLAY_NAMES: names})


ENDPOINTS = (list_components,)
