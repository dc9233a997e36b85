"""Request ids, the Host check, the bound on bodies and the redaction of access logs, over plain ASGI."""

import asyncio
import logging
from asyncio import Event
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from mcp_server.middleware import BodyBound, BodyLimits, Compression, HostCheck, RequestIdentity, redact_query_key
from mcp_server.request_identity import request_id
from tests.loopback import serving

LIMITS = BodyLimits(json_bytes=1_000, mcp_bytes=500, upload_bytes=5_000, idle_seconds=0.05)


async def count_body(request: Request) -> Response:
    return JSONResponse({"size": len(await request.body()), "request_id": request_id.get()})


def app(allowed_hosts: Sequence[str] | None = None) -> Starlette:
    paths = ["/api/v1/run/x", "/api/v1/mcp/streamable", "/api/v1/files/upload/x"]
    return Starlette(
        routes=[Route(path, count_body, methods=["GET", "POST"]) for path in paths],
        middleware=[
            Middleware(RequestIdentity),
            Middleware(HostCheck, allowed_hosts=allowed_hosts),
            Middleware(BodyBound, limits=LIMITS),
        ],
    )


def client(allowed_hosts: Sequence[str] | None = None) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app(allowed_hosts)), base_url="http://localhost")


async def chunks(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


async def test_every_answer_carries_a_request_id_and_forbids_guessing_its_type() -> None:
    async with client() as http:
        answer = await http.get("/api/v1/run/x")
        missing = await http.get("/nowhere")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert len(answer.headers["x-request-id"]) == 16
    assert answer.headers["x-content-type-options"] == missing.headers["x-content-type-options"] == "nosniff"


async def test_a_request_that_a_stop_cuts_off_is_told_to_come_again() -> None:
    is_begun = Event()

    async def wait(request: Request) -> Response:
        is_begun.set()
        await Event().wait()
        raise AssertionError("it waits for ever")

    waiting = Starlette(routes=[Route("/", wait)], middleware=[Middleware(RequestIdentity)])
    async with httpx2.AsyncClient() as http:
        async with serving(waiting, lifespan="off", timeout_graceful_shutdown=0) as port:
            asking = asyncio.create_task(http.get(f"http://127.0.0.1:{port}/"))
            await is_begun.wait()
        answer = await asking
    assert (answer.status_code, answer.headers["retry-after"], "x-request-id" in answer.headers) == (503, "1", True)
    assert "stopping" in answer.json()["detail"]


async def test_a_harmless_request_id_of_the_caller_is_kept_and_any_other_is_replaced() -> None:
    async with client() as http:
        kept = await http.get("/api/v1/run/x", headers={"X-Request-ID": "trace-1234.abc"})
        replaced = await http.get("/api/v1/run/x", headers={"X-Request-ID": "a b\tc{}"})
    assert kept.headers["x-request-id"] == "trace-1234.abc"
    assert replaced.headers["x-request-id"] != "a b\tc{}"


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "LOCALHOST:1", "127.0.0.1:9", "[::1]:7860", "tools.example.org:443"])
async def test_the_servers_own_names_are_answered(host: str) -> None:
    async with client(["localhost", "127.0.0.1", "[::1]", "tools.example.org:443"]) as http:
        assert (await http.get("/api/v1/run/x", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.", "127.0.0.1:8000.evil.example", "localhost.evil.example", "tools.example.org", "a@localhost", ""]
)
async def test_any_other_name_is_misdirected(host: str) -> None:
    async with client(["localhost", "127.0.0.1", "[::1]", "tools.example.org:443"]) as http:
        assert (await http.get("/api/v1/run/x", headers={"Host": host})).status_code == 421


async def test_two_host_headers_are_refused() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"host", b"localhost"), (b"host", b"evil.example")]
    await app(["localhost"])(
        {"type": "http", "method": "GET", "path": "/api/v1/run/x", "query_string": b"", "headers": headers}, receive, send
    )
    assert sent[0]["status"] == 400


def test_a_websocket_for_another_name_is_closed() -> None:
    with (
        TestClient(app(["localhost"]), base_url="http://evil.example") as http,
        pytest.raises(Exception) as refusal,
        http.websocket_connect("/x"),
    ):
        pass
    assert getattr(refusal.value, "code", None) == 1008


def test_an_allowed_host_that_cannot_be_read_stops_the_start() -> None:
    with pytest.raises(ValueError, match="not a host name"):
        HostCheck(app(), ["http://localhost"])


@pytest.mark.parametrize(("path", "limit"), [("/api/v1/run/x", 1_000), ("/api/v1/mcp/streamable", 500)])
async def test_a_body_over_its_limit_is_refused_with_and_without_a_declared_length(path: str, limit: int) -> None:
    async with client() as http:
        fits = await http.post(path, content=b"x" * limit)
        declared = await http.post(path, content=b"x" * (limit + 1))
        streamed = await http.post(path, content=chunks(limit // 100 + 1, 100))
        lying = await http.post(path, content=b"", headers={"Content-Length": "9" * 5_000})
    assert fits.json()["size"] == limit
    assert declared.status_code == streamed.status_code == lying.status_code == 413
    assert "too large" in streamed.json()["detail"]


async def test_only_multipart_on_an_upload_address_may_be_larger() -> None:
    async with client() as http:
        upload = await http.post(
            "/api/v1/files/upload/x", content=b"x" * 4_000, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        json = await http.post("/api/v1/files/upload/x", content=b"x" * 4_000, headers={"Content-Type": "application/json"})
        elsewhere = await http.post("/api/v1/run/x", content=b"x" * 4_000, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (upload.status_code, json.status_code, elsewhere.status_code) == (200, 413, 413)


async def swallow(request: Request) -> Response:
    """As a route's own boundary does: whatever happens becomes an answer."""
    try:
        return Response(await request.body())
    except Exception:
        return Response(status_code=500)


async def answers_to_half_a_body(handler: Callable[[Request], Awaitable[Response]], *then: Message) -> list[Message]:
    sent: list[Message] = []
    arriving = [{"type": "http.request", "body": b"x", "more_body": True}, *then]

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        if arriving:
            return arriving.pop(0)
        await Event().wait()
        raise AssertionError("never")

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    routes, layers = [Route("/", handler, methods=["POST"])], [Middleware(BodyBound, limits=LIMITS)]
    await Starlette(routes=routes, middleware=layers)(scope, receive, send)
    return sent


@pytest.mark.parametrize("handler", [count_body, swallow])
async def test_a_body_that_stops_arriving_is_given_up(handler: Callable[[Request], Awaitable[Response]]) -> None:
    sent = await answers_to_half_a_body(handler)
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == [408]


async def test_a_client_that_leaves_before_its_body_is_whole_is_no_error_of_ours() -> None:
    assert await answers_to_half_a_body(count_body, {"type": "http.disconnect"}) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/run/x?x-api-key=sk-1&stream=true", "/run/x?x-api-key=***&stream=true"),
        ("/run/x?a=1&X-API-KEY=sk-1", "/run/x?a=1&X-API-KEY=***"),
        ("/run/x?x%2Dapi%2Dkey=sk-1", "/run/x?x%2Dapi%2Dkey=***"),
        ("/run/x?a=b", "/run/x?a=b"),
        ("/run/x", "/run/x"),
    ],
)
def test_an_access_log_never_holds_a_key_from_the_query(path: str, expected: str) -> None:
    message, arguments = '%s - "%s %s HTTP/%s" %d', ("127.0.0.1:1", "POST", path, "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, message, arguments, None)
    assert redact_query_key(record)
    assert record.getMessage() == f'127.0.0.1:1 - "POST {expected} HTTP/1.1" 200'


async def test_answers_are_compressed_for_clients_that_take_it_and_a_plain_answer_to_a_post_is_left_alone() -> None:
    async def much(request: Request) -> Response:
        return Response("x" * 2_000, media_type="text/plain")

    layers = [Middleware(Compression, minimum_size=1_000, excluded=())]
    routes = [Route("/", much, methods=["GET", "POST"])]
    transport = httpx2.ASGITransport(Starlette(routes=routes, middleware=layers))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        for method in ("GET", "POST"):
            compressed = await http.request(method, "/", headers={"accept-encoding": "br, gzip"})
            assert (compressed.headers["content-encoding"], compressed.headers["vary"]) == ("gzip", "Accept-Encoding")
            plain = await http.request(method, "/", headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers and plain.text == compressed.text == "x" * 2_000
            assert plain.headers.get("vary") == ("Accept-Encoding" if method == "GET" else None)
