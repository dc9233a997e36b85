"""Streamable HTTP, legacy SSE and stdio around the one SDK server.

Above: `mcp_face.py`, whose doors have settled who calls. Below: the SDK, which reads messages.
A session belongs to the caller and the project that opened it; with anything else its id is unknown.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from mcp_server.call_limits import CallLimits
from mcp_server.changes import ListChanges
from mcp_server.doors import GLOBAL_PATH, PROJECT_PATH, McpLimits
from mcp_server.places import Places
from mcp_server.plain_calls import PlainCalls
from mcp_server.refusals import http_response
from mcp_server.server import build_server
from mcp_server.visit import SCOPE_KEY, Visit
from projects.access.caller import Caller
from projects.errors import HeadwaterError
from projects.services import ProjectServices


class McpTransports:
    """What is behind the doors of every MCP address. `run()` must be entered and left once, in one task."""

    def __init__(
        self, limits: McpLimits, streams: Places, *, version: str = "0", prefix: str = "", calls: CallLimits | None = None
    ) -> None:
        """`prefix` is the path, "/tools" for example, under which clients know this server behind their proxy."""
        self._prefix = prefix
        self._streams = streams
        self._changes = ListChanges(streams)
        self._server = build_server(version, changes=self._changes, limits=calls)
        # No `security_settings`: Host is checked for every route by the middleware, Origin by the doors, both more strictly.
        # `json_response` stays off but for plain calls: with it a client that leaves no longer cancels its call, and progress is dropped.
        self._manager = _SessionManager(
            self._server,
            per_owner=limits.max_sessions_per_caller,
            session_idle_timeout=limits.session_idle_seconds,
            max_sessions=limits.max_sessions,
            max_request_body_size=limits.body_bytes,
        )
        self._plain = StreamableHTTPSessionManager(self._server, json_response=True, max_request_body_size=limits.body_bytes)
        self._streamable = PlainCalls(usual=self._manager.asgi_app, plain=self._plain.asgi_app)
        self._sse = SseServerTransport("/", max_request_body_size=limits.body_bytes)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Sessions live as long as this block."""
        async with self._manager.run(), self._plain.run():
            yield

    def has_session(self, id: str) -> bool:
        """Whether a session of an older revision lives in this process."""
        return id in self._manager._server_instances  # the SDK has no public way to ask, here and below

    def has_stream(self, id: str) -> bool:
        """The same for the session of a legacy SSE connection."""
        return any(known.hex == id.replace("-", "") for known in self._sse._read_stream_writers)

    def close_streams(self) -> None:
        """End the listening streams in order; a server that stops calls this first, or it would wait for them."""
        self._changes.close()

    async def serve_streamable(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = _owner_of(scope)
        if scope["method"] == "GET":
            # Events have no ids here, so that no stream can go on after one; asked for it, the SDK would answer nothing at all.
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"last-event-id"]
        await self._streamable(scope, receive, send)

    async def serve_message(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A message on a legacy SSE connection."""
        scope["user"] = _owner_of(scope)
        await self._sse.handle_post_message(scope, receive, send)

    async def serve_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One legacy SSE connection, to its end."""
        visit: Visit = scope[SCOPE_KEY]
        # The SDK tells the client `root_path` + "/" as the address for its messages: a path alone, so that behind a TLS proxy the
        # client keeps the scheme and the host that it came by.
        address = GLOBAL_PATH if visit.project_id is None else PROJECT_PATH.format(project_id=visit.project_id)
        scope = {**scope, "user": _owner_of(scope), "root_path": (scope.get("root_path", "").rstrip("/") or self._prefix) + address}
        try:
            self._streams.require_one(visit.caller)
        except HeadwaterError as error:
            await http_response(error)(scope, receive, send)
            return
        with self._streams.taken_by(visit.caller):
            async with self._sse.connect_sse(scope, receive, send) as (incoming, outgoing):
                await self._server.run(incoming, outgoing, self._server.create_initialization_options())


async def serve_stdio(
    services: ProjectServices, caller: Caller, project_id: str, *, version: str = "0", calls: CallLimits | None = None
) -> None:
    """Serve one project on this process's stdin and stdout until the client closes them."""
    project = await services.projects.get(caller, project_id)
    visit = Visit(services, caller, project.id, project.name, project.description or "")

    @asynccontextmanager
    async def one_visit(server: Server[Any]) -> AsyncIterator[Visit]:
        yield visit

    server = build_server(version, lifespan=one_visit, limits=calls)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _owner_of(scope: Scope) -> AuthenticatedUser:
    visit: Visit = scope[SCOPE_KEY]
    return _owner(visit.caller.principal, visit.project_id)


@lru_cache(maxsize=4_096)
def _owner(principal: str, project_id: str | None) -> AuthenticatedUser:
    """The SDK compares this with the user that opened a session; a mismatch answers as if the session did not exist."""
    return AuthenticatedUser(AccessToken.model_construct(token="", client_id=project_id or "global", subject=principal, scopes=[]))


class _SessionManager(StreamableHTTPSessionManager):
    """The SDK's manager, which counts sessions in all, counting them for each caller too."""

    def __init__(self, app: Server[Any], *, per_owner: int, **options: Any) -> None:
        super().__init__(app, **options)
        self._per_owner = per_owner

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        principal = requestor["subject"] if requestor is not None else None
        owned = sum(owner["subject"] == principal for owner in self._session_owners.values())
        return super()._admit_session(requestor) if owned < self._per_owner else None
