"""What stands before every MCP address: method, origin, credential, project, and patience with slow readers.

Above: Starlette's routes. Below: whatever answers. Needs nothing of the MCP SDK, so that the doors stand before it is loaded.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.admission import Admission
from mcp_server.authentication import AccessPolicy, authenticate, refuse_foreign_origin
from mcp_server.middleware import MEBIBYTE
from mcp_server.places import RETRY_AFTER_SECONDS
from mcp_server.refusals import http_response
from mcp_server.visit import SCOPE_KEY, Visit
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


def routes(streamable: ASGIApp, stream: ASGIApp, messages: ASGIApp) -> list[BaseRoute]:
    """The hot one first. Both spellings are served directly: some clients follow no redirect, not even to a slash."""
    prefixes = (PROJECT_PATH, GLOBAL_PATH)
    return [
        *(Route(f"{prefix}/streamable{slash}", streamable) for slash in ("", "/") for prefix in prefixes),
        *(Route(f"{prefix}/sse", stream) for prefix in prefixes),
        # The project's own address is also its settings' address in the REST API: only POST is ours.
        *(Route(f"{prefix}{slash}", messages, methods=["POST"]) for slash in ("/", "") for prefix in prefixes),
    ]


class Door:
    """What is settled before a message is read: the method, the page's origin, the caller, and that the project is theirs."""

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
        # Of uvicorn's two parsers one keeps the white space around header values, which the protocol says is not part of them.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        await PatientSend(send, self._write_timeout_seconds).run(self._app, scope, receive)


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


class PatientSend:
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
