"""Requests are passed on to sibling workers on loopback, whatever a request says about where it wants to go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcp_server import relay as relay_module
from mcp_server.relay import Neighbours, Relay

SECRET = "the-workers-secret"


@asynccontextmanager
async def neighbour() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A worker that has everything it is asked for; its port, and the heads of the requests that it got."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        body = b'{"has": true}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\nset-cookie: whose=this; Path=/\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heads


async def not_here(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("the request was to be passed on")


@pytest.mark.parametrize(
    "target",
    [b"/api/v1/mcp/streamable", b"//elsewhere.test/api/v1/mcp/streamable", b"/\\elsewhere.test/api/v1/mcp", b"/@elsewhere.test/api/v1/mcp"],
)
async def test_a_request_reaches_the_sibling_and_nobody_else(target: bytes) -> None:
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    messages = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async with neighbour() as (port, heads):
        relay = Relay(not_here, Neighbours([port], SECRET), {"session": lambda id: False})
        headers = [(b"host", b"elsewhere.test"), (b"mcp-session-id", b"abc"), (b"x-forwarded-host", b"elsewhere.test")]
        scope = {"type": "http", "method": "POST", "path": target.decode(), "raw_path": target, "query_string": b"", "headers": headers}
        try:
            await relay(scope, receive, send)
        finally:
            await relay.close()
    assert answers[0]["status"] == 200
    assert len(heads) == 2  # whether it has the session, and the request itself
    assert all(SECRET.encode() in head for head in heads)
    assert heads[1].startswith(b"POST " + target + b" HTTP/1.1\r\n")


async def test_a_request_arrives_without_anything_that_its_client_did_not_send() -> None:
    answered: list[Any] = []
    messages: list[Any] = []

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        answered.append(message)

    async with neighbour() as (port, heads):
        relay = Relay(not_here, Neighbours([port], SECRET), {"session": lambda id: False})
        scope = {"type": "http", "method": "DELETE", "path": "/api/v1/mcp/streamable", "query_string": b"", "client": ("10.9.8.7", 1)}
        try:
            for _ in range(2):
                messages.append({"type": "http.request", "body": b"{}", "more_body": False})
                await relay({**scope, "headers": [(b"host", b"a.test"), (b"mcp-session-id", b"abc")]}, receive, send)
        finally:
            await relay.close()
    assert answered[0]["status"] == 200
    # The answers before it set a cookie, which is somebody else's.
    names = {line.partition(b":")[0].lower() for line in heads[-1].splitlines()[1:] if line}
    assert names == {b"host", b"mcp-session-id", b"content-length", b"x-headwater-relay", b"x-headwater-relay-origin"}


async def test_a_sibling_that_sends_elsewhere_is_not_followed() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked = b"/-/has" in head
        text = b'{"has": true}' if asked else b""
        status = b"200 OK" if asked else b"307 Temporary Redirect\r\nlocation: http://elsewhere.test/"
        writer.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (status, len(text), text))
        await writer.drain()
        writer.close()

    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        relay = Relay(not_here, Neighbours([server.sockets[0].getsockname()[1]], SECRET), {"session": lambda id: False})
        path = "/api/v1/mcp/streamable"
        headers = [(b"mcp-session-id", b"abc")]
        try:
            await relay({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}, receive, send)
        finally:
            await relay.close()
    assert answers[0]["status"] == 307  # for the client to decide on


async def test_a_body_that_stops_arriving_is_given_up_and_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "BODY_SECONDS", 0.01)
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    messages = [{"type": "http.request", "body": b'{"begun":', "more_body": True}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async with neighbour() as (port, heads):
        relay = Relay(not_here, Neighbours([port], SECRET), {"session": lambda id: False})
        path, headers = "/api/v1/mcp/streamable", [(b"mcp-session-id", b"abc")]
        try:
            async with asyncio.timeout(20):
                await relay({"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}, receive, send)
        finally:
            await relay.close()
    assert answers[0]["status"] == 408
    assert len(heads) == 1  # whether it has the session
