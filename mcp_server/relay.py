"""With several workers on one socket: what lives in one of them is answered by that one, whichever a request comes to.

Above: the public socket that all workers share. Below: the application. MCP sessions of older revisions, their SSE connections and builds
live in one process; a request about one that is not here is passed on, answer and all, to the worker that has it. Every worker can be
asked on a port of its own on loopback, where it believes those that know the secret of their common parent.
"""

import asyncio
import hmac
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

SECRET_HEADER = b"x-headwater-relay"
CLIENT_HEADER = b"x-headwater-relay-client"
ASK_PATH = "/-/has"
ASK_SECONDS = 5.0
KNOWN_PLACES = 10_000
MAX_BODY_BYTES = 16 * 1024 * 1024
_BUILD = re.compile(r"^/api/v1/build(?:_public_tmp)?/([0-9a-fA-F-]{32,36})/(?:events|cancel)/?$")
_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer", b"proxy-connection"))

Thing = tuple[str, str]
"""What a request is about: session, sse or build, and its id."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The workers beside this one: their ports on loopback, and what shows that a request comes from one of them."""

    ports: Sequence[int]
    secret: str


class Relay:
    """`has` says for each kind of thing whether one of that id lives here."""

    def __init__(self, app: ASGIApp, neighbours: Neighbours, has: Mapping[str, Callable[[str], bool]]) -> None:
        self._app = app
        self._secret = neighbours.secret.encode()
        self._ports = tuple(neighbours.ports)
        self._has = has
        self._places: OrderedDict[Thing, int] = OrderedDict()
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if (given := headers.get(SECRET_HEADER)) is not None:
            await self._serve_neighbour(scope, receive, send, headers, given)
            return
        thing = _thing_of(scope, headers)
        port = None if thing is None or self._is_here(thing) else await self._place_of(thing)
        if port is None:
            await self._app(scope, receive, send)
        else:
            await self._pass_on(port, scope, receive, send)

    def _is_here(self, thing: Thing) -> bool:
        kind, id = thing
        return self._has[kind](id)

    async def _serve_neighbour(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes], given: bytes) -> None:
        own = [(name, value) for name, value in scope["headers"] if name.lower() not in (SECRET_HEADER, CLIENT_HEADER)]
        if not hmac.compare_digest(given, self._secret):
            await self._app({**scope, "headers": own}, receive, send)
            return
        if scope["path"] == ASK_PATH:
            asked = parse_qs(scope["query_string"].decode("latin-1"))
            kind, id = asked.get("kind", [""])[0], asked.get("id", [""])[0]
            await JSONResponse({"has": kind in self._has and self._is_here((kind, id))})(scope, receive, send)
            return
        client = json.loads(headers[CLIENT_HEADER]) if CLIENT_HEADER in headers else None
        await self._app({**scope, "headers": own, "client": tuple(client) if client else scope.get("client")}, receive, send)

    async def _place_of(self, thing: Thing) -> int | None:
        if (known := self._places.get(thing)) is not None and await self._ask(known, thing):
            return known
        answers = await asyncio.gather(*(self._ask(port, thing) for port in self._ports))
        for port, has in zip(self._ports, answers, strict=True):
            if has:
                self._places[thing] = port
                if len(self._places) > KNOWN_PLACES:
                    self._places.popitem(last=False)
                return port
        self._places.pop(thing, None)
        return None

    async def _ask(self, port: int, thing: Thing) -> bool:
        import httpx

        kind, id = thing
        try:
            answer = await self._http().get(
                f"http://127.0.0.1:{port}{ASK_PATH}", params={"kind": kind, "id": id}, headers=self._own_headers(), timeout=ASK_SECONDS
            )
        except httpx.HTTPError:
            return False  # it is starting or has ended
        return answer.status_code == 200 and bool(answer.json().get("has"))

    def _own_headers(self) -> dict[str, str]:
        return {SECRET_HEADER.decode(): self._secret.decode(), "host": "127.0.0.1"}

    def _http(self) -> "httpx.AsyncClient":
        if self._client is None:
            import httpx

            limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(None, connect=ASK_SECONDS), limits=limits, trust_env=False)
        return self._client

    async def _pass_on(self, port: int, scope: Scope, receive: Receive, send: Send) -> None:
        """The request as it came and the answer as it goes, for as long as the client stays."""
        body = await _whole_body(receive)
        if body is None:
            await JSONResponse({"detail": "The body is too large."}, 413)(scope, receive, send)
            return
        answering = asyncio.ensure_future(self._answer(port, scope, body, send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering

    async def _answer(self, port: int, scope: Scope, body: bytes, send: Send) -> None:
        import httpx

        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        url = httpx.URL(f"http://127.0.0.1:{port}").copy_with(raw_path=raw_path.partition(b"?")[0] + (b"?" + query if query else b""))
        left_out = _HOP_BY_HOP | {b"content-length"}
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in left_out]
        headers += [(SECRET_HEADER, self._secret), (CLIENT_HEADER, json.dumps(scope.get("client")).encode())]
        if body:
            headers.append((b"content-length", str(len(body)).encode()))
        has_begun = False
        try:
            request = self._http().build_request(scope["method"], url, headers=headers, content=body)
            answer = await self._http().send(request, stream=True)
            try:
                left_out = _HOP_BY_HOP | {b"date"}
                kept = [(name, value) for name, value in answer.headers.raw if name.lower() not in left_out]
                await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
                has_begun = True
                async for piece in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            logger.info("Another worker did not answer %s: %r", scope["path"], error)
            if not has_begun:
                refused = JSONResponse({"detail": "The worker that holds this is stopping; try again."}, 503, {"Retry-After": "1"})
                await refused(scope, _nothing_more, send)


def _thing_of(scope: Scope, headers: Mapping[bytes, bytes]) -> Thing | None:
    path: str = scope["path"]
    if "/api/v1/mcp" in path:
        if (session := headers.get(b"mcp-session-id")) is not None:
            return "session", session.decode("latin-1")
        if scope["method"] == "POST" and b"session_id=" in scope["query_string"]:
            found = parse_qs(scope["query_string"].decode("latin-1")).get("session_id", [])
            return ("sse", found[0]) if found else None
        return None
    start = path.find("/api/v1/build")
    built = _BUILD.match(path[start:]) if start >= 0 else None
    return ("build", built.group(1)) if built is not None else None


async def _whole_body(receive: Receive) -> bytes | None:
    """None for one over the bound."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(pieces)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(pieces)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}
