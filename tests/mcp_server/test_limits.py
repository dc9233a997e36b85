"""How often and how many at once, and the bounds on what is read before a call."""

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from headwater_test_components import Wait
from uvicorn.protocols.http.flow_control import FlowControl

from mcp_server.bounded_http import BoundedHttp
from projects.errors import TooManyRequests
from projects.rate_limits import Buckets, CallCounter, CallLimits
from tests.application import Application, open_application
from tests.flow_documents import chat_output, document, echo, edge, node
from tests.loopback import serving
from tests.mcp_server.conftest import Served, waiting
from tests.mcp_server.test_tools import text_of


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_takes_a_burst_and_then_fills_evenly() -> None:
    clock = Clock()
    buckets = Buckets(60, clock=clock)
    for _ in range(60):
        assert buckets.seconds_until_free("a") == 0
        buckets.take("a")
    assert 0.99 < buckets.seconds_until_free("a") <= 1
    assert buckets.seconds_until_free("b") == 0
    clock.now += 2.5
    for expected in (True, True, False):
        assert (buckets.seconds_until_free("a") == 0) is expected
        if expected:
            buckets.take("a")
    clock.now += 10_000
    buckets.take("a")
    assert buckets.seconds_until_free("a") == 0


def test_calls_are_counted_for_each_credential_and_each_of_its_tools() -> None:
    clock = Clock()
    calls = CallCounter(CallLimits(per_minute_per_key=4, per_minute_per_tool=2, at_once_per_key=0), clock=clock)
    calls.admit("ada", "one")
    calls.admit("ada", "one")
    with pytest.raises(TooManyRequests, match="one tool 2 times") as refusal:
        calls.admit("ada", "one")
    assert refusal.value.retry_after_seconds == 30
    calls.admit("ada", "two")
    calls.admit("ada", "two")
    with pytest.raises(TooManyRequests, match="4 calls a minute") as refusal:
        calls.admit("ada", "three")
    assert refusal.value.retry_after_seconds == 15
    calls.admit("bob", "one")
    clock.now += 15
    calls.admit("ada", "three")


def test_calls_at_once_are_counted_until_they_end() -> None:
    calls = CallCounter(CallLimits(0, 0, 2))
    for _ in range(2):
        calls.admit("ada", "f")
        calls.begin("ada")
    with pytest.raises(TooManyRequests, match="2 calls"):
        calls.admit("ada", "f")
    calls.admit("bob", "f")
    calls.end("ada")
    calls.admit("ada", "f")


async def add_flow(application: Application, name: str, flow: dict[str, Any]) -> str:
    body = {"name": name, "data": flow, "folder_id": application.project_id, "mcp_enabled": True, "endpoint_name": name}
    return str((await application.http.post("/api/v1/flows/", json=body)).json()["id"])


async def test_one_counter_stands_behind_tools_rest_and_webhooks(tmp_path: Path) -> None:
    async with open_application(tmp_path / "data", calls_per_minute_per_key=3) as application:
        await add_flow(application, "echo", echo())
        hook = document(
            [node("Webhook", "Webhook-h", {"data": ""}, outputs=("output_data",)), chat_output()],
            [edge("Webhook-h", "ChatOutput-out", "input_value", output="output_data")],
        )
        await add_flow(application, "hook", hook)
        async with application.mcp_client() as client:
            assert (await client.call_tool("echo", {"input_value": "1"})).is_error is False
            assert (await application.http.post("/api/v1/run/echo", json={"input_value": "2"})).status_code == 200
            assert (await application.http.post("/api/v1/webhook/hook", json={"x": 3})).status_code == 202
            refused = await client.call_tool("echo", {"input_value": "4"})
            assert refused.is_error is True
            assert "3 calls a minute" in text_of(refused)
            told = re.search(r"Try again in (\d+)", text_of(refused))
            assert told is not None and 0 < int(told[1]) <= 20  # and less, the longer the calls took
            assert (await client.list_tools()).tools
        for path in ("/api/v1/run/echo", "/api/v1/webhook/hook"):
            answer = await application.http.post(path, json={"input_value": "5"})
            assert answer.status_code == 429, path
            assert 0 < int(answer.headers["retry-after"]) <= 20
        assert (await application.stranger.get("/api/v1/projects/")).status_code == 200


async def test_a_credential_has_only_so_many_calls_going_on(tmp_path: Path) -> None:
    async with open_application(tmp_path / "data", max_running_calls_per_key=1) as application:
        slow = await add_flow(application, "slow", waiting(600))
        await add_flow(application, "echo", echo())
        async with application.mcp_client() as client:
            going_on = asyncio.create_task(client.call_tool("slow", {}))
            async with asyncio.timeout(20):
                while not Wait.started[slow]:  # noqa: ASYNC110 - the component counts and tells nobody
                    await asyncio.sleep(0)
            refused = await client.call_tool("echo", {"input_value": "x"})
            assert (refused.is_error, "going on already" in text_of(refused)) == (True, True)
            assert (await application.http.post("/api/v1/run/echo", json={})).status_code == 429
            going_on.cancel()
            await asyncio.gather(going_on, return_exceptions=True)
            async with asyncio.timeout(20):
                while (await client.call_tool("echo", {"input_value": "x"})).is_error:
                    pass


async def test_arguments_nested_deeply_or_of_the_wrong_shape_are_told_to_the_model(served: Served) -> None:
    await served.add_tool("echo")
    deep: Any = "x"
    for _ in range(150):
        deep = [deep]
    for arguments in ({"input_value": deep}, {"input_value": {"a": 1}}, {"x" * 10_000: "y"}, {"input_value": "a\x00"}):
        result = (await served.post("tools/call", {"name": "echo", "arguments": arguments})).json()["result"]
        assert result["isError"] is True
        assert len(result["content"][0]["text"]) <= 4_001


async def test_arguments_by_the_hundred_thousand_are_refused_without_a_look_at_each(served: Served) -> None:
    await served.add_tool("echo")
    result = (await served.post("tools/call", {"name": "echo", "arguments": {str(number): "" for number in range(100_000)}})).json()[
        "result"
    ]
    assert (result["isError"], "100,000 arguments" in result["content"][0]["text"]) == (True, True)


class Impatient(BoundedHttp):
    head_seconds = 0.0


async def answer_to(port: int, *pieces: bytes) -> bytes:
    """Everything the server says to these bytes until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_headers_are_bounded_in_number_size_and_time(application: Application) -> None:
    start = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    async with serving(application.app, lifespan="off", http=BoundedHttp) as port:
        assert (await answer_to(port, start, b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")
        many = b"".join(b"x-%d: y\r\n" % number for number in range(150))
        assert (await answer_to(port, start, many, b"\r\n")).startswith(b"HTTP/1.1 431")
        assert (await answer_to(port, start, b"x: " + b"y" * 70_000 + b"\r\n\r\n")).startswith(b"HTTP/1.1 431")
        assert (await answer_to(port, start, b"x: " + b"y" * 70_000)).startswith(b"HTTP/1.1 431")
        assert (await answer_to(port, b"GET /" + b"y" * 70_000)).startswith(b"HTTP/1.1 431")
        twice = start + b"Connection: keep-alive\r\n\r\n" + start + b"Connection: close\r\n\r\n"
        assert (await answer_to(port, twice)).count(b"HTTP/1.1 200") == 2
    async with serving(application.app, lifespan="off", http=Impatient) as port:
        assert (await answer_to(port)).startswith(b"HTTP/1.1 408")


class Unread(BoundedHttp):
    unread_seconds = 0.0
    is_lost: asyncio.Event

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.is_lost.set()


async def test_a_client_that_reads_none_of_its_answers_is_let_go(application: Application) -> None:
    Unread.is_lost = asyncio.Event()
    async with serving(application.app, lifespan="off", http=Unread) as port:
        with socket.socket() as unread:
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            unread.connect(("127.0.0.1", port))
            # More than the system takes for a client: nobody has to log in for that.
            unread.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100)
            async with asyncio.timeout(60):
                await Unread.is_lost.wait()


async def test_a_client_that_takes_a_little_now_and_then_stays() -> None:
    left, is_aborted = [900, 600, 300, 300], asyncio.Event()

    class SlowlyRead(asyncio.Transport):
        def get_write_buffer_size(self) -> int:
            return left.pop(0)

        def abort(self) -> None:
            is_aborted.set()

    protocol = object.__new__(Unread)
    protocol.loop, protocol.transport = asyncio.get_running_loop(), SlowlyRead()
    protocol.flow = FlowControl(protocol.transport)
    protocol.pause_writing()
    async with asyncio.timeout(20):
        await is_aborted.wait()
    assert left == []  # only when it took nothing any more
