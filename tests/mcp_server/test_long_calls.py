"""Calls that outlast what clients wait for, clients that leave, and streams that are long silent."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sse_starlette.sse
from headwater_test_components import Wait
from mcp.client import Client
from mcp.server import _streamable_http_modern as modern

from mcp_server import plain_calls
from tests.flow_documents import echo
from tests.mcp_server.conftest import ERAS, Served, waiting
from tests.mcp_server.long_runs import LONG, asking, call, impatient, result

every_era = pytest.mark.parametrize("era", ERAS)
MISSING = "0190a1b2-0000-7000-8000-0000000000ff"


@every_era
async def test_a_call_that_takes_too_long_is_told_its_run_and_get_run_brings_the_result(tmp_path: Path, era: str) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("slow", waiting(0.5))
        async with served.client(era) as client:
            told = await client.call_tool("slow", {"input_value": "worth it"})
            assert not told.is_error
            assert (told.structured_content or {})["state"] == "running"
            run_id = (told.structured_content or {})["run_id"]
            assert run_id in told.content[0].text  # type: ignore[union-attr]
            assert await until_done(client, run_id) == "worth it"
        run = await served.application.services.runs.get(served.application.caller, run_id)
        assert run.state.value == "completed"


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that happens on the server's side of a socket and tells nobody."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def until_done(client: Client, run_id: str) -> str:
    async with asyncio.timeout(10):
        while True:
            result = await client.call_tool("get_run", {"run_id": run_id})
            if (result.structured_content or {}).get("state") != "running":
                return str(result.content[0].text)  # type: ignore[union-attr]


async def test_get_run_tells_of_failures_as_the_call_would_have(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        flow = await served.add_tool("slow", waiting(LONG))
        told = await call(served, "slow", {"input_value": "x"})
        run_id = told["structuredContent"]["run_id"]
        await served.application.services.invocations.cancel(served.application.caller, run_id)
        async with asyncio.timeout(10):
            await until(lambda: bool(Wait.ended[flow.id]))
            while (gone := await call(served, "get_run", {"run_id": run_id}))["isError"] is False:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert "cancelled" in gone["content"][0]["text"]


async def test_get_run_knows_runs_of_its_own_project_alone(tmp_path: Path) -> None:
    async with impatient(tmp_path) as served:
        await served.add_tool("slow", waiting(LONG))
        run_id = (await call(served, "slow", {"input_value": "x"}))["structuredContent"]["run_id"]
        second = await served.application.services.projects.create(served.application.caller, name="Second")
        address = served.project_address(project_id=second.id)
        for given in ({"run_id": MISSING}, {"run_id": "no id"}, {"run_id": 5}, {}, {"run_id": run_id, "more": 1}):
            assert (await call(served, "get_run", given))["isError"] is True, given
        answer = await served.post("tools/call", {"name": "get_run", "arguments": {"run_id": run_id}}, address=address)
        assert answer.json()["result"]["isError"] is True


async def test_get_run_is_listed_where_a_flow_depends_on_others_and_calls_are_cut_short(tmp_path: Path) -> None:
    async def names(served: Served, project_id: str) -> set[str]:
        answer = await served.post("tools/list", address=served.project_address(project_id=project_id))
        return {tool["name"] for tool in answer.json()["result"]["tools"]}

    for seconds, is_listed in ((50, True), (0, False)):
        async with impatient(tmp_path / str(seconds), answer_after_seconds=seconds) as served:
            services, caller = served.application.services, served.application.caller
            plain = await services.projects.create(caller, name="Plain")
            form = await services.projects.create(caller, name="Form")
            await served.add_tool("plain", echo(), project_id=plain.id)
            await served.add_tool("form", asking(), project_id=form.id)
            assert "get_run" not in await names(served, plain.id)
            assert ("get_run" in await names(served, form.id)) is is_listed


async def test_a_flow_cannot_take_the_name_of_get_run(served: Served) -> None:
    await served.add_tool("get_run")
    listed = (await result(served, "tools/list", {}))["tools"]
    assert "get_run_1" in {tool["name"] for tool in listed}


async def test_a_run_goes_on_when_an_older_client_leaves_its_stream_or_its_session(served: Served) -> None:
    flow = await served.add_tool("slow", waiting(LONG))
    services, caller = served.application.services, served.application.caller
    headers = await served.open_session()
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "slow", "arguments": {"input_value": "x"}}}
    posting = asyncio.create_task(served.http.post(served.project_address(), json=message, headers=headers))
    async with asyncio.timeout(10):
        await until(lambda: bool(Wait.started[flow.id]))
        posting.cancel()
        await asyncio.wait([posting])
        assert (await served.http.delete(served.project_address(), headers=headers)).status_code == 200
        (run,) = await services.runs.list_runs(caller, flow_id=flow.id)
        assert (run.state.value, Wait.ended[flow.id]) == ("running", 0)
        await services.invocations.cancel(caller, run.id)
        await until(lambda: bool(Wait.ended[flow.id]))


async def test_over_sse_leaving_does_not_cancel_and_the_notification_does(served: Served) -> None:
    flow = await served.add_tool("slow", waiting(LONG))
    services, caller = served.application.services, served.application.caller
    async with asyncio.timeout(20):
        async with served.client("sse") as client:
            calling = asyncio.create_task(client.call_tool("slow", {"input_value": "x"}))
            await until(lambda: Wait.started[flow.id] == 1)
            calling.cancel()  # the SDK's client tells the server with notifications/cancelled
            await until(lambda: Wait.ended[flow.id] == 1)
        reading = asyncio.create_task(leave_over_sse(served))
        await until(lambda: Wait.started[flow.id] == 2)
        reading.cancel()
        await asyncio.wait([reading])
        assert (await served.http.get(f"{served.address}/health_check")).status_code == 200
        running = await services.runs.list_runs(caller, flow_id=flow.id, state="running")
        assert (len(running), Wait.ended[flow.id]) == (1, 1)
        await services.invocations.cancel(caller, running[0].id)
        await until(lambda: Wait.ended[flow.id] == 2)


async def leave_over_sse(served: Served) -> None:
    """Open a stream, begin a call on it, and read until the task that does so is cancelled."""
    key = {"x-api-key": served.application.key}
    async with served.http.stream("GET", served.project_address("sse"), headers=key) as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        address = served.address + (await anext(lines)).removeprefix("data: ")
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
        for message in (
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "slow", "arguments": {"input_value": "x"}}},
        ):
            assert (await served.http.post(address, json=message, headers=key)).status_code == 202
        async for _ in lines:
            pass


@pytest.mark.parametrize("era", ["auto", "legacy", "sse"])
async def test_a_silent_stream_is_kept_alive_by_comments(served: Served, era: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modern, "_SSE_PING_INTERVAL", 0.05)
    monkeypatch.setattr(plain_calls, "PING_SECONDS", 0.05)
    monkeypatch.setattr(sse_starlette.sse.EventSourceResponse, "DEFAULT_PING_INTERVAL", 0.05)
    await served.add_tool("slow", waiting(LONG))
    arguments = {"name": "slow", "arguments": {"input_value": "x"}}
    key = {"x-api-key": served.application.key}
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments}
    method, address = "POST", served.project_address()
    if era == "auto":
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        message["params"] = {**arguments, "_meta": meta}
        key |= {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2026-07-28"}
        key |= {"mcp-method": "tools/call", "mcp-name": "slow"}
    elif era == "legacy":
        key = await served.open_session()
    else:
        method, address = "GET", served.project_address("sse")
    async with asyncio.timeout(10), served.http.stream(method, address, headers=key, json=message if method == "POST" else None) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line.startswith(": ping"):
                return
    raise AssertionError("the stream ended without a comment")
