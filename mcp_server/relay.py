"""With several servers on one database: what lives in one of them is answered by that one, whichever a request comes to.

Above: the public socket that all workers share. Below: the application. MCP sessions of older revisions, their SSE connections and builds
live in one process; a request about one that is not here is passed on, answer and all, to the one that has it. Every worker can be asked
on a port of its own on loopback, where it believes those that know the secret of their common parent. Peers, which are servers on other
machines, are asked after the workers, on their public sockets, and prove themselves (`peers.py`). What a peer passed on goes to a
worker of this server at most, never to a third server.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server import passing
from mcp_server.middleware import HostCheck
from mcp_server.passing import Thing
from mcp_server.peers import Peer, Peers, SeenNonces

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

RELAY_HEADERS = b"x-headwater-relay"  # how they all begin
SECRET_HEADER = b"x-headwater-relay"
PROOF_HEADER = b"x-headwater-relay-proof"
ASK_PATH = "/-/has"
ASK_ANSWER = "answer"  # what stands for the method in the proof of an answer
ASK_SECONDS = 5.0
ASK_PEER_SECONDS = 2.0
KNOWN_PLACES = 10_000
UNKNOWN_SECONDS = 1.0  # for which a peer is not asked again about what no peer had
MAX_BODY_BYTES = 16 * 1024 * 1024
BODY_SECONDS = 30.0  # as for the bodies that are read here
_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer", b"proxy-connection"))
_PLACE_KEY = "headwater.relay_place"


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The workers beside this one: their ports on loopback, what shows that a request comes from one of them, and what they all know of
    the proofs that peers have shown."""

    ports: Sequence[int] = ()
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonces: SeenNonces = field(default_factory=SeenNonces, repr=False)


@dataclass(frozen=True, slots=True)
class Worker:
    """A sibling, by its own address on loopback."""

    address: str


class _PeerIsDown(Exception):
    """The server that has it does not answer."""


class Relay:
    """`has` says for each kind of thing whether one of that id lives here."""

    def __init__(self, app: ASGIApp, neighbours: Neighbours, has: Mapping[str, Callable[[str], bool]], peers: Peers | None = None) -> None:
        self._app = app
        self._secret = neighbours.secret.encode()
        # The same for all workers of one server, and no other server's.
        self._server_id = hashlib.sha256(b"server id" + self._secret).hexdigest()[:16]
        self._workers = tuple(Worker(f"http://127.0.0.1:{port}") for port in neighbours.ports)
        self._proofs = None if peers is None else peers.proofs
        self._peers = () if peers is None else tuple(map(Peer, peers.addresses))
        self._checked = HostCheck(self._pass_on_to_peer, None if peers is None else peers.own_hosts)
        self._has = has
        self._places: OrderedDict[Thing, Worker | Peer] = OrderedDict()
        self._unknown: OrderedDict[Thing, float] = OrderedDict()  # what no peer has, until when that is believed
        self._client: httpx.AsyncClient | None = None
        self._streams: set[asyncio.Future[None]] = set()

    def close_streams(self) -> None:
        """End what is being read by way of this server; one that stops calls this first, or it would wait for them."""
        for stream in list(self._streams):
            stream.cancel()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if any(name.startswith(RELAY_HEADERS) for name in headers):
            own = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(RELAY_HEADERS)]
            scope = {**scope, "headers": own}
            if hmac.compare_digest(headers.get(SECRET_HEADER, b""), self._secret):
                await self._serve_relayed(scope, receive, send, headers, is_from_peer=False)
                return
            if self._is_proven(scope, headers):
                await self._serve_relayed(scope, receive, send, headers, is_from_peer=True)
                return
        thing = passing.thing_of(scope, headers)
        if thing is None or self._is_here(thing):
            await self._app(scope, receive, send)
        elif (worker := await self._worker_of(thing)) is not None:
            await self._pass_on(worker, scope, receive, send)
        else:
            try:
                peer = await self._peer_of(thing)
            except _PeerIsDown:
                await _unavailable(scope, receive, send)
                return
            if peer is None:
                await self._app(scope, receive, send)
            else:
                await self._checked({**scope, _PLACE_KEY: peer}, receive, send)

    def _is_here(self, thing: Thing) -> bool:
        kind, id = thing
        return kind in self._has and self._has[kind](id)

    def _is_proven(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        if self._proofs is None or PROOF_HEADER not in headers:
            return False
        return self._proofs.accept(
            headers[PROOF_HEADER], scope["method"], passing.target_of(scope), headers.get(passing.ORIGIN_HEADER, b"")
        )

    async def _serve_relayed(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes], *, is_from_peer: bool
    ) -> None:
        """A worker asks for this process alone, a peer for all workers of this server."""
        if scope["path"] == ASK_PATH:
            asked = parse_qs(scope["query_string"].decode("latin-1"))
            thing = asked.get("kind", [""])[0], asked.get("id", [""])[0]
            has = self._is_here(thing) or (is_from_peer and await self._worker_of(thing) is not None)
            answer = JSONResponse({"has": has, "server": self._server_id})
            if self._proofs is not None and is_from_peer:
                # Requests with their credentials are passed on to servers of ours alone, whoever has their address by now.
                proof = self._proofs.make(ASK_ANSWER, headers[PROOF_HEADER], bytes(answer.body))
                answer.headers[PROOF_HEADER.decode()] = proof.decode()
            await answer(scope, receive, send)
            return
        scope = passing.as_it_came(scope, headers, is_from_peer=is_from_peer)
        own = passing.thing_of(scope, headers) if is_from_peer else None
        worker = None if own is None or self._is_here(own) else await self._worker_of(own)
        if worker is None:
            await self._app(scope, receive, send)
        else:
            await self._pass_on(worker, scope, receive, send)

    async def _worker_of(self, thing: Thing) -> Worker | None:
        known = self._places.get(thing)
        if isinstance(known, Worker) and await self._ask(known, thing):
            return known
        answers = await asyncio.gather(*(self._ask(worker, thing) for worker in self._workers))
        found = next((worker for worker, has in zip(self._workers, answers, strict=True) if has), None)
        if found is not None or isinstance(known, Worker):
            self._remember(thing, found)
        return found

    async def _peer_of(self, thing: Thing) -> Peer | None:
        """Raises _PeerIsDown, once, when the one that had it last does not answer; afterwards it is unknown until somebody has it again."""
        if not self._peers or monotonic() < self._unknown.get(thing, 0.0):
            return None
        known = self._places.get(thing)
        if isinstance(known, Peer):
            has = None if known.is_resting() else await self._ask_peer(known, thing)
            if has:
                return known
            self._remember(thing, None)
            if has is None:
                raise _PeerIsDown
        asked = [peer for peer in self._peers if peer is not known and not peer.is_resting()]
        answers = await asyncio.gather(*(self._ask_peer(peer, thing) for peer in asked))
        found = next((peer for peer, has in zip(asked, answers, strict=True) if has), None)
        self._remember(thing, found)
        if found is None:
            self._unknown[thing] = monotonic() + UNKNOWN_SECONDS
            self._unknown.move_to_end(thing)
            if len(self._unknown) > KNOWN_PLACES:
                self._unknown.popitem(last=False)
        return found

    def _remember(self, thing: Thing, place: Worker | Peer | None) -> None:
        if place is None:
            self._places.pop(thing, None)
            return
        self._places[thing] = place
        if len(self._places) > KNOWN_PLACES:
            self._places.popitem(last=False)

    async def _ask(self, worker: Worker, thing: Thing) -> bool:
        told = await self._told(worker, thing, ASK_SECONDS)
        return told is not None and bool(told["has"])  # otherwise it is starting or has ended

    async def _ask_peer(self, peer: Peer, thing: Thing) -> bool | None:
        """None for no answer, or one that is not ours."""
        peer.begin_asking()
        told = await self._told(peer, thing, ASK_PEER_SECONDS)
        if told is None:
            logger.warning("The server at %s does not answer, or has another secret key; it is asked again soon", peer.address)
            peer.has_failed()
            return None
        peer.has_answered()
        peer.is_this_server = told.get("server") == self._server_id
        return bool(told["has"])

    async def _told(self, place: Worker | Peer, thing: Thing, seconds: float) -> dict[str, Any] | None:
        import httpx

        kind, id = thing
        request = self._http().build_request("GET", f"{place.address}{ASK_PATH}", params={"kind": kind, "id": id}, timeout=seconds)
        self._sign(request, place, b"{}")
        try:
            answer = await self._http().send(request)
            told = answer.json() if answer.status_code == 200 and self._is_ours(answer, place) else None
        except (httpx.HTTPError, ValueError):
            return None
        return told if isinstance(told, dict) and "has" in told else None

    def _is_ours(self, answer: "httpx.Response", place: Worker | Peer) -> bool:
        """A worker's port on loopback is the parent's; a peer proves that it knows the key, for this very question."""
        if isinstance(place, Worker) or self._proofs is None:
            return True
        asked, given = (each.headers.get(PROOF_HEADER.decode(), "").encode() for each in (answer.request, answer))
        return self._proofs.accept(given, ASK_ANSWER, asked, answer.content)

    def _sign(self, request: "httpx.Request", place: Worker | Peer, origin: bytes) -> None:
        request.headers[passing.ORIGIN_HEADER.decode()] = origin.decode()
        if isinstance(place, Worker):
            request.headers[SECRET_HEADER.decode()] = self._secret.decode()
        elif self._proofs is not None:
            proof = self._proofs.make(request.method, request.url.raw_path, origin)
            request.headers[PROOF_HEADER.decode()] = proof.decode()

    def _http(self) -> "httpx.AsyncClient":
        if self._client is None:
            from http.cookiejar import CookieJar, DefaultCookiePolicy  # as slow to import as httpx, and first needed with it

            import httpx

            limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
            # The system's own list of authorities, which also has an operator's own: peers may be behind TLS.
            is_tls = any(peer.address.startswith("https:") for peer in self._peers)
            verify = ssl.create_default_context() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            timeout = httpx.Timeout(None, connect=ASK_SECONDS)
            # Many people's requests share this client: it keeps no cookie of an answer, and adds nothing to what they sent.
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
            self._client = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False, verify=verify, cookies=no_cookies)
            self._client.headers.clear()
        return self._client

    async def _pass_on_to_peer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._pass_on(scope[_PLACE_KEY], scope, receive, send)

    async def _pass_on(self, place: Worker | Peer, scope: Scope, receive: Receive, send: Send) -> None:
        """The request as it came and the answer as it goes, for as long as the client stays."""
        try:
            body = await _whole_body(receive)
        except TimeoutError:
            await JSONResponse({"detail": "The body stopped arriving."}, 408, {"Connection": "close"})(scope, receive, send)
            return
        if body is None:
            await JSONResponse({"detail": "The body is too large."}, 413)(scope, receive, send)
            return
        begun = asyncio.Event()
        answering = asyncio.ensure_future(self._answer(place, scope, body, send, begun))
        if scope["method"] == "GET":
            self._streams.add(answering)
            answering.add_done_callback(self._streams.discard)
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_left = leaving.done()
            leaving.cancel()
            if not answering.done():
                answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
        if not has_left and answering.cancelled():
            if begun.is_set():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await _unavailable(scope, receive, send)

    async def _answer(self, place: Worker | Peer, scope: Scope, body: bytes, send: Send, begun: asyncio.Event) -> None:
        import httpx

        url = httpx.URL(place.address).copy_with(raw_path=passing.target_of(scope))
        # A peer is asked for under its own name, as proxies before it need it; the name that the client used goes beside it.
        left_out = _HOP_BY_HOP | {b"content-length"} | ({b"host"} if isinstance(place, Peer) else set())
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in left_out]
        if body:
            headers.append((b"content-length", str(len(body)).encode()))
        try:
            request = self._http().build_request(scope["method"], url, headers=headers, content=body)
            self._sign(request, place, passing.origin_of(scope))
            answer = await self._http().send(request, stream=True)
            try:
                left_out = _HOP_BY_HOP | {b"date"}
                kept = [(name, value) for name, value in answer.headers.raw if name.lower() not in left_out]
                await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
                begun.set()
                async for piece in answer.aiter_raw():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            logger.info("%s did not answer %s: %r", place.address, scope["path"], error)
            if not begun.is_set():
                if isinstance(place, Peer):
                    place.has_failed()
                await _unavailable(scope, _nothing_more, send)


async def _unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "The server that holds this is stopping or cannot be reached; try again."
    await JSONResponse({"detail": detail}, 503, {"Retry-After": "1"})(scope, receive, send)


async def _whole_body(receive: Receive) -> bytes | None:
    """None for one over the bound. Raises TimeoutError for one that stops arriving."""
    pieces: list[bytes] = []
    size = 0
    while True:
        async with asyncio.timeout(BODY_SECONDS):
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
