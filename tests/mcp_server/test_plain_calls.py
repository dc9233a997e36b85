"""Which way a tool's call is answered, and that both ways keep what is promised."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from headwater_test_components import Wait
from pydantic_core import from_json, to_json
from starlette.types import Message, Receive, Scope, Send

from mcp_server import plain_calls
from mcp_server.plain_calls import PlainCalls
from tests.mcp_server.conftest import META, Served, waiting
from tests.mcp_server.test_tools import until

HEAD = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "echo",
    "accept": "application/json, text/event-stream",
}


class Answering:
    """Stands for one of the SDK's two: reads the body and says which of the two it is."""

    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name = told, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, is_going_on = b"", True
        while is_going_on:
            message = await receive()
            body += message["body"]
            is_going_on = message.get("more_body", False)
        self._told += [self._name, body.decode()]


async def way_of(head: Mapping[str, str], *pieces: bytes) -> list[str]:
    """The way taken, and the body that arrived there."""
    told: list[str] = []
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": piece is not pieces[-1]} for piece in pieces]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "headers": [(name.encode(), value.encode()) for name, value in head.items()],
    }
    await PlainCalls(Answering(told, "usual"), Answering(told, "plain"))(scope, receive, send)
    return told


def body(**meta: Any) -> bytes:
    return to_json({"method": "tools/call", "params": {"name": "echo", "arguments": {"input_value": "x"}, "_meta": {**META, **meta}}})


async def test_a_call_that_asks_for_no_progress_goes_the_short_way() -> None:
    assert await way_of(HEAD, body()) == ["plain", body().decode()]


@pytest.mark.parametrize(
    "changed",
    [
        {"mcp-protocol-version": "2025-11-25"},
        {"mcp-method": "tools/list"},
        {"accept": "application/json"},
        {"accept": "application/json, text/event-stream-of-mine"},
    ],
)
async def test_what_the_head_says_otherwise_goes_the_usual_way(changed: dict[str, str]) -> None:
    assert await way_of({**HEAD, **changed}, body()) == ["usual", body().decode()]


async def test_a_call_that_is_told_its_progress_goes_the_usual_way() -> None:
    wanted = body(progressToken="t")
    assert await way_of(HEAD, wanted) == ["usual", wanted.decode()]


async def test_a_body_in_pieces_arrives_whole_the_usual_way() -> None:
    assert await way_of(HEAD, b'{"method":', b' "tools/call"}') == ["usual", '{"method": "tools/call"}']


@pytest.mark.parametrize("meta", [{}, {"progressToken": "t"}])
async def test_a_client_that_leaves_ends_its_call_on_either_way(served: Served, meta: dict[str, str]) -> None:
    flow = await served.add_tool("left_alone", waiting(60))
    params = {"name": "left_alone", "arguments": {"input_value": "x"}, "_meta": {**META, **meta}}
    sent = {**HEAD, "mcp-name": "left_alone", "x-api-key": served.application.key, "content-type": "application/json"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    posting = asyncio.create_task(served.http.post(served.project_address(), json=message, headers=sent))
    async with asyncio.timeout(10):
        await until(lambda: bool(Wait.started[flow.id]))
        posting.cancel()
        await until(lambda: bool(Wait.ended[flow.id]))


async def test_a_client_that_leaves_ends_its_call_though_it_has_sent_its_next_request_already(served: Served) -> None:
    flow = await served.add_tool("left_alone", waiting(60))
    params = {"name": "left_alone", "arguments": {"input_value": "x"}, "_meta": META}
    message = to_json({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    sent = {**HEAD, "mcp-name": "left_alone", "x-api-key": served.application.key, "content-type": "application/json", "host": "127.0.0.1"}
    sent["content-length"] = str(len(message))
    path = served.project_address().removeprefix(served.address)
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    _, writer = await asyncio.open_connection("127.0.0.1", int(served.address.rpartition(":")[2]))
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + message + b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    async with asyncio.timeout(10):
        await until(lambda: bool(Wait.started[flow.id]))
        writer.close()
        await until(lambda: bool(Wait.ended[flow.id]))


async def test_an_answer_after_a_ping_is_an_event_of_the_stream(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_calls, "PING_SECONDS", 0.05)
    await served.add_tool("slow", waiting(0.4))
    answer = await served.post("tools/call", {"name": "slow", "arguments": {"input_value": "x"}})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *comments, event = answer.text.split("\r\n\r\n")[:-1]
    assert comments and set(comments) == {": ping"}
    kind, data = event.split("\r\n")
    assert kind == "event: message"
    assert from_json(data.removeprefix("data: "))["result"]["isError"] is False
