"""The REST face as routes, ready to be put into the application. Above: `mcp_server/app.py`. Below: the use cases in `projects`."""

from collections.abc import Callable
from functools import cache

from pydantic_core import to_json
from starlette.routing import BaseRoute

from projects.services import ProjectServices
from rest_adapter import endpoint_list, openapi
from rest_adapter.errors import exception_handlers
from rest_adapter.information import ListedEndpoint, ServerInformation
from rest_adapter.routing import Authenticate, build_routes
from rest_adapter.v1 import ENDPOINTS, WEBSOCKET_ENDPOINTS
from rest_adapter.websocket_routing import build_websocket_routes

__all__ = ["ListedEndpoint", "ServerInformation", "create_rest_routes", "exception_handlers"]


def create_rest_routes(services: ProjectServices, authenticate: Authenticate, information: ServerInformation) -> list[BaseRoute]:
    """Every route, hot ones first. Give `exception_handlers()` to the application, so that unknown paths answer alike."""
    return [
        *build_routes(
            ENDPOINTS,
            services=services,
            authenticate=authenticate,
            information=information,
            openapi_text=_openapi_text(information),
            listed_endpoints=lambda: endpoint_list.list_endpoints(ENDPOINTS, WEBSOCKET_ENDPOINTS, information.other_endpoints),
        ),
        *build_websocket_routes(WEBSOCKET_ENDPOINTS, services=services, authenticate=authenticate, information=information),
    ]


def _openapi_text(information: ServerInformation) -> Callable[[], bytes]:
    @cache
    def text() -> bytes:  # made when it is first asked for: not every process is
        return to_json(openapi.document(ENDPOINTS, information))

    return text
