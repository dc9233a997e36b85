"""The one ASGI application: the MCP face, the REST face, the start page, and what stands before all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request

from mcp_server import pages
from mcp_server.authentication import AccessPolicy, authenticate
from mcp_server.middleware import MEBIBYTE, BodyBound, BodyLimits, HostCheck, RequestIdentity
from mcp_server.settings import Settings
from mcp_server.transports import McpTransports
from projects.access.caller import Caller
from projects.services import ProjectServices
from rest_adapter.app import ServerInformation, create_rest_routes, exception_handlers

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
COMPRESSED_FROM_BYTES = 1_000


def create_app(services: ProjectServices, settings: Settings) -> Starlette:
    """The application over open services; entering its lifespan opens the MCP sessions."""
    policy = AccessPolicy(
        anonymous_access=settings.anonymous_access,
        trusted_origins=frozenset([*settings.cors_origins, *_own_origin(settings)]),
        trust_loopback_origins=settings.is_local,
    )
    transports = McpTransports(policy, version=version("headwater"))

    async def authenticate_request(request: Request) -> Caller:
        return await authenticate(request, services, policy)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with transports.run():
            yield

    # The order is the order of matching: tool calls first, then REST, whose own first routes are the hot ones.
    routes = [*transports.routes(), *create_rest_routes(services, authenticate_request, _information(settings)), *pages.routes()]
    app = Starlette(routes=routes, middleware=_middleware(settings), exception_handlers=exception_handlers(), lifespan=lifespan)
    app.state.services = services
    app.state.close_streams = transports.close_streams
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    """Outermost first."""
    layers = [Middleware(RequestIdentity), Middleware(HostCheck, allowed_hosts=_allowed_hosts(settings))]
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["mcp-session-id", "x-request-id"],
                allow_credentials=True,
            )
        )
    layers.append(Middleware(BodyBound, limits=BodyLimits(upload_bytes=settings.max_upload_megabytes * MEBIBYTE)))
    layers.append(Middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=6))
    return layers


def _allowed_hosts(settings: Settings) -> list[str] | None:
    """A server that others reach is asked for under names it cannot know, unless the operator lists them."""
    if not settings.is_local and not settings.allowed_hosts:
        return None
    public = [urlsplit(settings.public_url).netloc] if settings.public_url is not None else []
    return [*LOOPBACK_NAMES, *settings.allowed_hosts, *public, *([settings.host] if settings.host not in ("0.0.0.0", "::") else [])]


def _own_origin(settings: Settings) -> list[str]:
    if settings.public_url is None:
        return []
    parts = urlsplit(settings.public_url)
    return [f"{parts.scheme}://{parts.netloc}"]


def _information(settings: Settings) -> ServerInformation:
    return ServerInformation(
        version=version("headwater"),
        public_url=(settings.public_url or "").rstrip("/"),
        auto_login=settings.auto_login,
        cookie_secure=settings.cookie_secure or settings.is_public_url_https,
        logins_per_minute=settings.logins_per_minute,
        max_upload_megabytes=settings.max_upload_megabytes,
        default_project_name=settings.first_project_name,
    )
