"""The one ASGI application: the MCP face, the REST face, the start page, and what stands before all of them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.metadata import version
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES
from starlette.requests import HTTPConnection

from mcp_server import addresses, pages
from mcp_server.admission import Admission, GuestLimits
from mcp_server.authentication import AccessPolicy, BadKeys, authenticate, authenticate_socket
from mcp_server.call_limits import CallLimits
from mcp_server.issuers import Issuers
from mcp_server.mcp_face import McpFace
from mcp_server.metrics import Measured
from mcp_server.middleware import MEBIBYTE, BodyBound, BodyLimits, Compression, HostCheck, PublicPrefix, RequestIdentity
from mcp_server.oauth import ResourceServer
from mcp_server.observation import Observation
from mcp_server.settings import Settings
from mcp_server.this_machine import own_executable, this_machine
from projects.access.caller import Caller
from projects.outgoing.clients import GuardedHttp
from projects.outgoing.guard import Guard
from projects.runs.events import STOPPING_TOPIC
from projects.services import ProjectServices
from rest_adapter.app import ListedEndpoint, ServerInformation, create_rest_routes, exception_handlers

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
COMPRESSED_FROM_BYTES = 1_000
# Downloads keep their length and their ranges.
NEVER_COMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream", "application/x-zip-compressed", "image/*")
FORM_BYTES = 128 * 1024  # what a form is larger than the file in it
MAX_ISSUER_BYTES = 1_000_000  # of one answer of an authorization server


def create_app(services: ProjectServices, settings: Settings) -> Starlette:
    """The application over open services; entering its lifespan loads the protocol and opens the MCP sessions."""
    policy = AccessPolicy(
        anonymous_access=settings.anonymous_access,
        trusted_origins=frozenset([*settings.cors_origins, *_own_origin(settings)]),
        trust_loopback_origins=settings.is_local,
        bad_keys=BadKeys(settings.bad_keys_per_minute),
    )
    oauth = ResourceServer(_token_address(settings), _issuers(settings), policy)
    limits = GuestLimits(settings.guest_requests_per_minute, settings.guest_requests_per_minute_per_project)
    face = McpFace(
        policy, Admission(policy, oauth, limits), version=version("headwater"), prefix=settings.public_prefix, calls=call_limits(settings)
    )

    observation = Observation(services, settings, version=version("headwater"), count_streams=lambda: face.open_streams.count)

    async def authenticate_request(request: HTTPConnection) -> Caller:
        if request.scope["type"] == "websocket":
            return await authenticate_socket(request, services, policy)
        return await authenticate(request, services, policy)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with observation.going_on(), face.run():
            yield

    # The order is the order of matching: tool calls first, then REST, whose own first routes are the hot ones.
    mcp, metadata = face.routes(), oauth.routes()
    shown = pages.routes(authenticate_request, services, public_url=settings.public_url)
    others = [*addresses.mcp_addresses(mcp), *addresses.metadata_addresses(metadata), *addresses.page_addresses(shown)]
    rest = create_rest_routes(services, authenticate_request, _information(settings, observation, others))
    routes = [*mcp, *metadata, *rest, *shown]
    layers = _middleware(settings, observation)
    app = Starlette(routes=routes, middleware=layers, exception_handlers=exception_handlers(), lifespan=lifespan)
    app.state.services = services
    app.state.mcp_face = face

    def close_streams() -> None:
        face.close_streams()
        services.events.publish_here(STOPPING_TOPIC, None)

    app.state.close_streams = close_streams
    app.state.open_streams = face.open_streams
    return app


def call_limits(settings: Settings) -> CallLimits:
    return CallLimits(settings.task_after_seconds, settings.answer_after_seconds, settings.heartbeat_seconds, settings.question_seconds)


def _middleware(settings: Settings, observation: Observation) -> list[Middleware]:
    """Outermost first."""
    layers = [Middleware(RequestIdentity), Middleware(HostCheck, allowed_hosts=allowed_hosts(settings))]
    if observation.metrics is not None:
        layers.insert(0, Middleware(Measured, metrics=observation.metrics))
    if settings.public_prefix:
        layers.append(Middleware(PublicPrefix, prefix=settings.public_prefix))
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
    limits = BodyLimits(
        json_bytes=settings.max_json_megabytes * MEBIBYTE, upload_bytes=settings.max_upload_megabytes * MEBIBYTE + FORM_BYTES
    )
    layers.append(Middleware(BodyBound, limits=limits))
    layers.append(Middleware(Compression, minimum_size=COMPRESSED_FROM_BYTES, excluded=NEVER_COMPRESSED))
    return layers


def allowed_hosts(settings: Settings) -> list[str] | None:
    """A server that others reach is asked for under names it cannot know, unless the operator lists them."""
    if not settings.is_local and not settings.allowed_hosts:
        return None
    public = [urlsplit(settings.public_url).netloc] if settings.public_url is not None else []
    return [*LOOPBACK_NAMES, *settings.allowed_hosts, *public, *([settings.host] if settings.host not in ("0.0.0.0", "::") else [])]


def _issuers(settings: Settings) -> Issuers:
    """Their addresses come from projects' owners, so they are called as flows call: to the public internet and what the operator listed."""
    return Issuers(GuardedHttp(Guard(settings.allowed_addresses), max_bytes=MAX_ISSUER_BYTES))


def _token_address(settings: Settings) -> str | None:
    """What tokens are made out to. None is the name that a client used, where only this machine can reach the server."""
    return None if settings.public_url is None and settings.is_local else settings.base_url


def _own_origin(settings: Settings) -> list[str]:
    if settings.public_url is None:
        return []
    parts = urlsplit(settings.public_url)
    return [f"{parts.scheme}://{parts.netloc}"]


def _information(settings: Settings, observation: Observation, others: Iterable[addresses.Address]) -> ServerInformation:
    return ServerInformation(
        **observation.information,
        version=version("headwater"),
        public_url=(settings.public_url or "").rstrip("/"),
        auto_login=settings.auto_login,
        anonymous_access=settings.anonymous_access,
        cookie_secure=settings.cookie_secure or settings.is_public_url_https,
        trusted_origins=frozenset(settings.cors_origins),
        logins_per_minute=settings.logins_per_minute,
        max_upload_megabytes=settings.max_upload_megabytes,
        default_project_name=settings.first_project_name,
        mcp_servers_locked=settings.mcp_servers_locked,
        voice_mode_available=settings.max_voice_conversations > 0,
        run_deprecated_routes=settings.run_deprecated_routes,
        base_url=settings.base_url,
        machine=this_machine,
        executable=own_executable(),
        other_endpoints=[ListedEndpoint(**asdict(each)) for each in others],
    )
