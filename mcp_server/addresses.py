"""What the process serves beside the REST face, for the list of all addresses: read from the routes themselves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

_MCP = "MCP server"
_PAGES = "Pages"
_OF_A_PROJECT = "what the project asks for: an API key or a login, an OAuth token, or none"
_ANY = "an API key or a login"
_LEGACY = "For clients of older revisions; others use /streamable."
# By the last part of the path, and then by method.
_TRANSPORTS = {
    "/streamable": {
        "GET": "The stream of a session, for what the server says by itself",
        "POST": "One message of the protocol: Streamable HTTP",
        "DELETE": "End a session",
        "HEAD": "Whether the address is there",
    },
    "/sse": {"GET": "A connection of the older HTTP+SSE transport", "HEAD": "Whether the address is there"},
    "": {"POST": "A message on a connection of the older transport"},
}
_PAGES_DO = {
    "/": ("What this server is", "none"),
    "/connect": ("Your projects, to connect a client to one", f"{_ANY}; a form to log in without"),
    "/connect/{project_id}": ("How to connect each client to a project", f"{_ANY}; a form to log in without"),
}


@dataclass(frozen=True, slots=True)
class Address:
    method: str
    path: str
    does: str
    credentials: str
    group: str
    remark: str = ""


def mcp_addresses(routes: Iterable[BaseRoute]) -> Iterator[Address]:
    """A line for each method. The spelling with a slash at its end is the same address."""
    for route in routes:
        if not isinstance(route, Route) or route.path.endswith("/"):
            continue
        ending = next(ending for ending in _TRANSPORTS if route.path.endswith(ending))
        credentials = _OF_A_PROJECT if "{project_id}" in route.path else _ANY
        for method, does in _TRANSPORTS[ending].items():
            who = "none" if method == "HEAD" else credentials
            yield Address(method, route.path, does, who, _MCP, "" if ending == "/streamable" else _LEGACY)


def metadata_addresses(routes: Iterable[BaseRoute]) -> Iterator[Address]:
    for route in routes:
        if isinstance(route, Route):
            yield Address("GET", route.path, "Where clients of a project with OAuth get their tokens", "none", _MCP)


def page_addresses(routes: Iterable[BaseRoute]) -> Iterator[Address]:
    for route in routes:
        if isinstance(route, Route):
            does, credentials = _PAGES_DO[route.path]
            yield Address("GET", route.path, does, credentials, _PAGES)
