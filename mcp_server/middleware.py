"""Checks that come before any route, as plain ASGI: a request id and safe headers, the Host check, the bound on bodies.

Order, outermost first: `RequestIdentity`, `HostCheck`, `PublicPrefix`, `BodyBound`.
Each one passes the request on untouched in the common case.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_plus

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server.authority import Authority, parse_authority
from mcp_server.refusals import http_response
from mcp_server.request_identity import REQUEST_ID_KEY, TRACE_PARENT_KEY, request_id, trace_parent
from projects.errors import TooLarge, Unavailable

MEBIBYTE = 1024 * 1024

MAX_TRACE_PARENT = 100
HOST_IS_CHECKED_KEY = "headwater.host_is_checked"
"""In the scope of a request that another server of ours, which showed that it is one, passed on after this check."""

_FIRST_ANSWERS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SAFE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,128}")


class RequestIdentity:
    """Gives each request an id (its own `X-Request-ID` when that is harmless) and each answer the headers no page should miss."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and not id and _SAFE_REQUEST_ID.fullmatch(value):
                id = value
            elif name == b"traceparent" and len(value) <= MAX_TRACE_PARENT:
                scope[TRACE_PARENT_KEY] = value.decode("latin-1")
                trace_parent.set(scope[TRACE_PARENT_KEY])
        if not id:
            id = secrets.token_hex(8).encode()
        request_id.set(id.decode())
        scope[REQUEST_ID_KEY] = id.decode()

        is_answered = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_answered
            if message["type"] in _FIRST_ANSWERS:
                is_answered = True
                message.setdefault("headers", [])
                message["headers"] = [*message["headers"], (b"x-request-id", id), (b"x-content-type-options", b"nosniff")]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # A request is cancelled from outside only where the server stops and has waited long enough.
            if scope["type"] == "http" and not is_answered:
                stopping = Unavailable("The server is stopping and cut this request off: send it again.", retry_after_seconds=1)
                await http_response(stopping)(scope, receive, send_with_headers)
            raise


class HostCheck:
    """Answers only to its own names, so that a page whose name was re-pointed at this machine reaches nothing (DNS rebinding).

    An entry without a port allows every port; None allows every name, for a server that is meant to be reached from outside.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str] | None) -> None:
        self._app = app
        self._allowed: set[Authority] | None = None
        if allowed_hosts is not None:
            self._allowed = set()
            for entry in allowed_hosts:
                parsed = parse_authority(entry)
                if parsed is None:
                    raise ValueError(f"allowed host {entry!r} is not a host name with an optional port")
                self._allowed.add(parsed)
        self._known: set[bytes] = set()  # raw header values already found good; bounded by the names above times their ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope.get(HOST_IS_CHECKED_KEY):
            await self._app(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if (len(hosts) <= 1 and self._allowed is None) or (len(hosts) == 1 and (hosts[0] in self._known or self._is_allowed(hosts[0]))):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif len(hosts) != 1:
            await JSONResponse({"detail": "Send exactly one Host header."}, status_code=400)(scope, receive, send)
        else:
            text = "This server does not answer to that host name: set allowed_hosts or public_url."
            await JSONResponse({"detail": text}, status_code=421)(scope, receive, send)

    def _is_allowed(self, raw: bytes) -> bool:
        parsed = parse_authority(raw.decode("latin-1").strip())
        if parsed is None or self._allowed is None:
            return False
        allowed = parsed in self._allowed or Authority(parsed.host, None) in self._allowed
        if allowed and len(self._known) < 1_000:
            self._known.add(raw)
        return allowed


class PublicPrefix:
    """Serves the addresses under the public address's path as if the path were not there: some proxies take it off, some leave it on."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"].startswith(f"{self._prefix}/"):
            raw: bytes = scope.get("raw_path") or b""
            scope = {**scope, "path": scope["path"][len(self._prefix) :], "raw_path": raw.removeprefix(self._prefix.encode())}
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How much of a body is read, by path. `upload_paths` are the prefixes that take multipart files."""

    json_bytes: int = 16 * MEBIBYTE
    mcp_bytes: int = 4 * MEBIBYTE
    upload_bytes: int = 1024 * MEBIBYTE
    upload_paths: tuple[str, ...] = (
        "/api/v1/files/upload",
        "/api/v2/files",
        "/api/v1/flows/upload",
        "/api/v1/projects/upload",
        "/api/v1/upload/",
    )
    idle_seconds: float = 30.0  # a body that stops arriving for so long is given up

    def of(self, scope: Scope) -> int:
        path = scope["path"]
        if path.startswith("/api/v1/mcp/"):
            return self.mcp_bytes
        if path.startswith(self.upload_paths) and _is_multipart(scope):
            return self.upload_bytes
        return self.json_bytes


class BodyBound:
    """Counts what arrives and answers 413 when it is too much, 408 when it stops coming; a declared length is refused before it is read."""

    def __init__(self, app: ASGIApp, limits: BodyLimits | None = None) -> None:
        self._app = app
        self._limits = limits or BodyLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        limit = self._limits.of(scope)
        for name, value in scope["headers"]:
            if name == b"content-length":
                if not value.strip().isdigit():
                    await JSONResponse({"detail": "Content-Length is not a number."}, status_code=400)(scope, receive, send)
                    return
                if len(value) > 20 or int(value) > limit:
                    await http_response(_too_large(limit))(scope, receive, send)
                    return
        await _BoundedExchange(receive, send, limit, self._limits.idle_seconds).run(self._app, scope)


class _BoundedExchange:
    """One request whose body is counted while the application reads it."""

    def __init__(self, receive: Receive, send: Send, limit: int, idle_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._size = 0
        self._is_complete = False
        self._is_answered = False
        self._is_stalled = False
        self._refusal: TooLarge | None = None

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self.receive, self.send)
        except ClientDisconnect:
            pass  # nobody is there to be answered, but where it is only the body that stopped
        except Exception:
            # Whatever the layers inside made of our refusal, it is ours to answer; any other error is theirs.
            if self._refusal is None or self._is_answered:
                raise
            await http_response(self._refusal)(scope, self._receive, self._send)
        if self._is_stalled and not self._is_answered:
            response = JSONResponse({"detail": "The body stopped arriving."}, status_code=408, headers={"Connection": "close"})
            await response(scope, self._receive, self._send)

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError:
            self._is_stalled = not self._is_answered
            message = {"type": "http.disconnect"}
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._limit:
                self._refusal = _too_large(self._limit)
                raise self._refusal
            self._is_complete = not message.get("more_body", False)
        else:
            self._is_complete = True
            if not self._is_answered:
                # What Starlette makes of it too. Raised here, before a layer takes it for a mistake of its own and logs that.
                raise ClientDisconnect
        return message

    async def send(self, message: Message) -> None:
        if self._is_stalled:
            return  # what is said to one who left; the answer is ours
        self._is_answered = True
        await self._send(message)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is too large: at most {limit:,} bytes are accepted here.")


def _is_multipart(scope: Scope) -> bool:
    return any(name == b"content-type" and value.strip().lower().startswith(b"multipart/form-data") for name, value in scope["headers"])


class Compression:
    """Compresses what is worth it for clients that take it; to an answer of a POST for anybody else it adds nothing."""

    def __init__(self, app: ASGIApp, *, minimum_size: int, excluded: tuple[str, ...]) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=minimum_size, compresslevel=6, exclude_content_types=excluded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What is answered to a POST no cache keeps, so nothing needs to be said there of what it varies with.
        is_plain = scope["type"] != "http" or (scope["method"] == "POST" and not _takes_gzip(scope))
        await (self._app if is_plain else self._compressing)(scope, receive, send)


def _takes_gzip(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


_SECRET_QUERY_NAMES = frozenset({"x-api-key", "api_key", "access_token", "refresh_token", "token"})


def redact_query_key(record: logging.LogRecord) -> bool:
    """A filter for `uvicorn.access`: the path stays, the value of a secret in its query does not."""
    arguments = record.args
    if isinstance(arguments, tuple) and any(isinstance(argument, str) and "?" in argument for argument in arguments):
        record.args = tuple(_without_secrets(argument) if isinstance(argument, str) else argument for argument in arguments)
    return True


def _without_secrets(path: str) -> str:
    """Every spelling that a server would decode to a secret's name is covered."""
    head, question_mark, query = path.partition("?")
    return head + question_mark + "&".join(map(_without_secret, query.split("&")))


def _without_secret(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}=***" if equals and unquote_plus(name).strip().lower() in _SECRET_QUERY_NAMES else pair
