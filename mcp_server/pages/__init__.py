"""What people see in a browser: a start page that says what this server is, and the pages that connect a client."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mcp_server.pages import connect
from mcp_server.pages.policy import page_headers
from projects.access.caller import Caller
from projects.services import ProjectServices


def routes(authenticate: Callable[[Request], Awaitable[Caller]], services: ProjectServices, *, public_url: str | None) -> list[BaseRoute]:
    """The start page needs no login and holds nothing of anybody."""
    page = files("mcp_server.pages").joinpath("start.html").read_bytes()
    headers = page_headers(page) | {"cache-control": "public, max-age=300"}

    async def start(request: Request) -> Response:
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    return [Route("/", start), *connect.routes(authenticate, services, public_url=public_url)]
