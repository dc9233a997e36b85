"""Streamable HTTP, legacy SSE and stdio around the one SDK server.

Above: Starlette's routes. Below: the SDK, which reads messages. In between a door a transport: method, origin, credential, project.
A session belongs to the caller and the project that opened it; with anything else its id is unknown.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.admission import Admission
from mcp_server.authentication import AccessPolicy, authenticate, refuse_foreign_origin
from mcp_server.changes import ListChanges
from mcp_server.errors import http_response
from mcp_server.long_calls import CallLimits
from mcp_server.middleware import MEBIBYTE
from mcp_server.places import RETRY_AFTER_SECONDS, Places
from mcp_server.server import build_server
from mcp_server.visit import SCOPE_KEY, Visit
from projects.access.caller import Caller
from projects.errors import FieldProblem, HeadwaterError, InvalidInput
from projects.services import ProjectServices

logger = logging.getLogger(__name__)

GLOBAL_PATH = "/api/v1/mcp"
PROJECT_PATH = "/api/v1/mcp/project/{project_id}"

_CANONICAL_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class McpLimits:
    body_bytes: int = 4 * MEBIBYTE
    session_idle_seconds: float = 600.0
    max_sessions: int = 2_000
    max_sessions_per_caller: int = 200
    max_streams: int = 500  # legacy SSE connections and listening streams
    max_streams_per_caller: int = 50
    write_timeout_seconds: float = 30.0  # a reader that takes nothing for so long is let go


class McpTransports:
    """Every MCP address of the process. `run()` must be entered in the top application's lifespan, once."""

    def __init__(
        self,
        policy: AccessPolicy,
        admission: Admission,
        limits: McpLimits | None = None,
        *,
        version: str = "0",
        prefix: str = "",
        calls: CallLimits | None = None,
    ) -> None:
        """`prefix` is the path, "/tools" for example, under which clients know this server behind their proxy."""
        self._policy = policy
        self._admission = admission
        self._prefix = prefix
        self._limits = limits or McpLimits()
        self._streams = Places(self._limits.max_streams, self._limits.max_streams_per_caller)
        self._changes = ListChanges(self._streams)
        self._server = build_server(version, changes=self._changes, limits=calls)
        # No `security_settings`: Host is checked for every route by the middleware, Origin by the doors, both more strictly.
        # `json_response` stays off: with it a client that leaves no longer cancels its call, and progress is dropped.
        self._manager = _SessionManager(
            self._server,
            per_owner=self._limits.max_sessions_per_caller,
            session_idle_timeout=self._limits.session_idle_seconds,
            max_sessions=self._limits.max_sessions,
            max_request_body_size=self._limits.body_bytes,
        )
        self._sse = SseServerTransport("/", max_request_body_size=self._limits.body_bytes)

    def routes(self) -> list[BaseRoute]:
        """The hot one first. Both spellings are served directly: some clients follow no redirect, not even to a slash."""
        streamable = self._door(StreamableHTTPASGIApp(self._manager), "GET", "POST", "DELETE", "HEAD")
        stream = self._door(self._serve_stream, "GET", "HEAD")
        messages = self._door(self._sse.handle_post_message, "POST")
        prefixes = (PROJECT_PATH, GLOBAL_PATH)
        return [
            *(Route(f"{prefix}/streamable{slash}", streamable) for slash in ("", "/") for prefix in prefixes),
            *(Route(f"{prefix}/sse", stream) for prefix in prefixes),
            # The project's own address is also its settings' address in the REST API: only POST is ours.
            *(Route(f"{prefix}{slash}", messages, methods=["POST"]) for slash in ("/", "") for prefix in prefixes),
        ]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Sessions live as long as this block. It may be left in another task than it was entered in, which the SDK's own may not."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        closing = asyncio.Event()
        holding = asyncio.create_task(self._hold(opened, closing))
        await opened
        try:
            yield
        finally:
            self.close_streams()
            closing.set()
            await holding

    async def _hold(self, opened: asyncio.Future[None], closing: asyncio.Event) -> None:
        try:
            async with self._manager.run():
                opened.set_result(None)
                await closing.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    @property
    def open_streams(self) -> Places:
        """How many legacy SSE connections and listening streams there are."""
        return self._streams

    def has_session(self, id: str) -> bool:
        """Whether a session of an older revision lives in this process."""
        return id in self._manager._server_instances  # the SDK has no public way to ask, here and below

    def has_stream(self, id: str) -> bool:
        """The same for the session of a legacy SSE connection."""
        return any(known.hex == id.replace("-", "") for known in self._sse._read_stream_writers)

    def close_streams(self) -> None:
        """End the listening streams in order; a server that stops calls this first, or it would wait for them."""
        self._changes.close()

    def _door(self, app: ASGIApp, *methods: str) -> "_Door":
        return _Door(app, frozenset(methods), self._policy, self._admission, self._limits.write_timeout_seconds)

    async def _serve_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One legacy SSE connection, to its end."""
        visit: Visit = scope[SCOPE_KEY]
        # The SDK tells the client `root_path` + "/" as the address for its messages: a path alone, so that behind a TLS proxy the
        # client keeps the scheme and the host that it came by.
        address = GLOBAL_PATH if visit.project_id is None else PROJECT_PATH.format(project_id=visit.project_id)
        scope = {**scope, "root_path": (scope.get("root_path", "").rstrip("/") or self._prefix) + address}
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


class _Door:
    """What is settled before the SDK reads a message: the method, the page's origin, the caller, and that the project is theirs."""

    def __init__(
        self, app: ASGIApp, methods: frozenset[str], policy: AccessPolicy, admission: Admission, write_timeout_seconds: float
    ) -> None:
        self._app = app
        self._methods = methods
        self._policy = policy
        self._admission = admission
        self._write_timeout_seconds = write_timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method not in self._methods:
            response = JSONResponse({"detail": "Method Not Allowed"}, 405, {"Allow": ", ".join(sorted(self._methods))})
            await response(scope, receive, send)
            return
        if method == "HEAD":  # how some clients and Langflow's own pages ask whether the address exists at all
            await Response()(scope, receive, send)
            return
        try:
            visit = await _visit(scope, self._policy, self._admission)
        except HeadwaterError as error:
            await http_response(error)(scope, receive, send)
            return
        scope[SCOPE_KEY] = visit
        scope.setdefault("state", {})["caller"] = visit.caller
        scope["user"] = _owner(visit.caller.principal, visit.project_id)
        # Of uvicorn's two parsers one keeps the white space around header values, which the protocol says is not part of them.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        await _PatientSend(send, self._write_timeout_seconds).run(self._app, scope, receive)


async def _visit(scope: Scope, policy: AccessPolicy, admission: Admission) -> Visit:
    refuse_foreign_origin(scope, policy)
    services: ProjectServices = scope["app"].state.services
    given: str | None = scope["path_params"].get("project_id")
    if given is None:
        return Visit(services, await authenticate(HTTPConnection(scope), services, policy))
    project_id = given if _CANONICAL_ID.fullmatch(given) else _parsed_id(given)
    caller, project = await admission.admit(scope, services, project_id)
    return Visit(services, caller, project.id, project.name, project.description or "")


def _parsed_id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError:
        problem = FieldProblem(("path", "project_id"), "A project id is a UUID, like 0190a1b2-….", "uuid_parsing")
        raise InvalidInput("The project id is not a UUID.", problems=[problem]) from None


def _owner(principal: str, project_id: str | None) -> AuthenticatedUser:
    """The SDK compares this with the user that opened a session; a mismatch answers as if the session did not exist."""
    return AuthenticatedUser(AccessToken.model_construct(token="", client_id=project_id or "global", subject=principal, scopes=[]))


class _PatientSend:
    """Waits for a slow reader of a stream, but not for ever: a reader that stopped is treated as gone."""

    def __init__(self, send: Send, timeout_seconds: float) -> None:
        self._send = send
        self._timeout_seconds = timeout_seconds
        self._is_given_up = False

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        try:
            await app(scope, receive, self._send_in_time)
        except Exception:
            # The timeout leaves the SDK's task groups wrapped in groups of errors; one that is not ours is passed on as it is.
            if not self._is_given_up:
                raise
            logger.info("A client of %s stopped reading its stream and was let go", scope["path"])

    async def _send_in_time(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 503:
            # The SDK's answer to one session too many says nothing of when there may be room.
            message = {**message, "headers": [*message["headers"], (b"retry-after", str(RETRY_AFTER_SECONDS).encode())]}
        if not message.get("more_body"):
            await self._send(message)
            return
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._send(message)
        except TimeoutError:
            self._is_given_up = True
            raise


class _SessionManager(StreamableHTTPSessionManager):
    """The SDK's manager, which counts sessions in all, counting them for each caller too."""

    def __init__(self, app: Server[Any], *, per_owner: int, **options: Any) -> None:
        super().__init__(app, **options)
        self._per_owner = per_owner

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        principal = requestor["subject"] if requestor is not None else None
        owned = sum(owner["subject"] == principal for owner in self._session_owners.values())
        return super()._admit_session(requestor) if owned < self._per_owner else None
