"""Tools over every transport and revision, through the SDK's own client."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from headwater_test_components import Wait
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from tests.flow_documents import document, text_input, text_output
from tests.mcp_server.conftest import ERAS, META, Served, failing, greeting_by_variable, of_unknown_type, waiting

every_era = pytest.mark.parametrize("era", ERAS)


async def call(client: Client, name: str, arguments: dict[str, Any] | None = None, **options: Any) -> CallToolResult:
    result = await client.call_tool(name, arguments or {}, **options)
    assert isinstance(result, CallToolResult)
    return result


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that happens on the server's side of a socket and tells nobody."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def text_of(result: CallToolResult) -> str:
    assert [block.type for block in result.content] == ["text"]
    return str(result.content[0].text)  # type: ignore[union-attr]


@every_era
async def test_every_listed_tool_can_be_called_and_runs_its_own_flow(served: Served, era: str) -> None:
    await served.add_tool("first_echo")
    await served.add_tool("second_echo")
    async with served.client(era) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        assert {"first_echo", "second_echo"} <= set(listed)
        assert [tool.name for tool in (await client.list_tools()).tools] == listed
        for name in ("first_echo", "second_echo"):
            result = await call(client, name, {"input_value": f"hello from {name} ✓"})
            assert text_of(result) == f"hello from {name} ✓"
            assert not result.is_error


@every_era
async def test_a_server_says_which_project_it_is(served: Served, era: str) -> None:
    async with served.client(era) as client:
        assert client.server_info is not None
        assert client.server_info.name == f"headwater-project-{served.application.project_id}"
        assert client.server_info.title == "Starter Project"
        assert "Starter Project" in (client.instructions or "")
        assert client.server_capabilities.prompts is None
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.list_changed


@every_era
async def test_an_unknown_tool_is_a_protocol_error_that_names_it(served: Served, era: str) -> None:
    async with served.client(era) as client:
        with pytest.raises(MCPError, match="no_such_tool") as refusal:
            await client.call_tool("no_such_tool", {})
    assert refusal.value.error.code == -32602


@every_era
async def test_an_unknown_argument_and_a_wrong_type_are_results_that_name_them(served: Served, era: str) -> None:
    await served.add_tool("plain_echo")
    async with served.client(era) as client:
        unknown = await call(client, "plain_echo", {"input_value": "x", "colour": "red"})
        wrong = await call(client, "plain_echo", {"input_value": 5})
    assert unknown.is_error
    assert "colour" in text_of(unknown)
    assert wrong.is_error
    assert "input_value" in text_of(wrong)


@every_era
async def test_a_failed_component_is_a_result_that_names_tool_component_and_reason(served: Served, era: str) -> None:
    await served.add_tool("broken_pump", failing())
    async with served.client(era) as client:
        result = await call(client, "broken_pump")
    assert result.is_error
    assert all(part in text_of(result) for part in ("broken_pump", "Fail-1", "the pump is dry"))


async def test_a_flow_that_cannot_run_says_which_node_stops_it(served: Served) -> None:
    await served.add_tool("halted", of_unknown_type())
    async with served.client() as client:
        result = await call(client, "halted")
    assert result.is_error
    assert "NobodyMadeThis-1" in text_of(result)


@every_era
async def test_progress_counts_vertices_and_names_them(served: Served, era: str) -> None:
    await served.add_tool("short_wait", waiting(0.01))
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with served.client(era) as client:
        await call(client, "short_wait", {"input_value": "x"}, progress_callback=note)
    assert [progress for progress, _, _ in told] == [0, 1, 2, 3]
    assert {total for _, total, _ in told} == {3}
    assert [message for _, _, message in told] == [None, "Chat Input", "Wait", "Chat Output"]


@every_era
async def test_headers_give_variables_for_one_call_only(served: Served, era: str) -> None:
    await served.add_tool("greet", greeting_by_variable())
    async with served.client(era, headers={"X-LANGFLOW-GLOBAL-VAR-greeting": "good morning"}) as client:
        assert text_of(await call(client, "greet")) == "good morning"
    async with served.client(era) as client:
        assert "good morning" not in text_of(await call(client, "greet"))


async def test_a_client_of_the_current_revision_that_leaves_cancels_its_call(served: Served) -> None:
    flow = await served.add_tool("long_wait", waiting(60))
    posting = asyncio.create_task(served.post("tools/call", {"name": "long_wait", "arguments": {"input_value": "x"}}))
    async with asyncio.timeout(10):
        await until(lambda: bool(Wait.started[flow.id]))
        posting.cancel()
        await until(lambda: bool(Wait.ended[flow.id]))


async def test_a_session_of_an_older_revision_cancels_by_notification_and_not_by_leaving(served: Served) -> None:
    flow = await served.add_tool("longer_wait", waiting(60))
    headers = await served.open_session()
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "longer_wait", "arguments": {"input_value": "x"}}}
    posting = asyncio.create_task(served.http.post(served.project_address(), json=message, headers=headers))
    async with asyncio.timeout(10):
        await until(lambda: bool(Wait.started[flow.id]))
        posting.cancel()
        await asyncio.wait([posting])
        assert (
            await served.http.post(served.project_address(), json={"jsonrpc": "2.0", "id": 8, "method": "ping"}, headers=headers)
        ).status_code == 200
        assert not Wait.ended[flow.id]
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
        assert (await served.http.post(served.project_address(), json=cancel, headers=headers)).status_code == 202
        await until(lambda: bool(Wait.ended[flow.id]))


async def test_the_global_server_has_the_flows_of_every_project(served: Served) -> None:
    other = await served.application.services.projects.create(served.application.caller, name="Second")
    await served.add_tool("here")
    await served.add_tool("there", project_id=other.id)
    address = f"{served.address}/api/v1/mcp/streamable"
    listed = {tool["name"] for tool in (await served.post("tools/list", address=address)).json()["result"]["tools"]}
    assert {"here", "there"} <= listed
    answer = await served.post("tools/call", {"name": "there", "arguments": {"input_value": "x"}}, address=address)
    assert answer.json()["result"]["content"] == [{"type": "text", "text": "x"}]
    elsewhere = await served.post("tools/call", {"name": "there", "arguments": {}})
    assert elsewhere.json()["error"]["code"] == -32602


async def test_lists_are_private_and_soon_stale(served: Served) -> None:
    result = (await served.post("tools/list")).json()["result"]
    assert result["cacheScope"] == "private"
    assert 0 < result["ttlMs"] <= 10_000


async def test_text_that_cannot_be_kept_is_refused_by_name(served: Served) -> None:
    await served.add_tool("keeper")
    for escaped in (r"\ud800", r"a\u0000b"):
        body = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "keeper", "arguments": {"input_value": "?"}, "_meta": META},
            }
        )
        headers = {
            "x-api-key": served.application.key,
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "keeper",
        }
        answer = await served.http.post(served.project_address(), content=body.replace("?", escaped), headers=headers)
        result = answer.json()["result"]
        assert result["isError"]
        assert "input_value" in result["content"][0]["text"]


@every_era
async def test_a_listener_is_told_of_every_change_of_the_tools(served: Served, era: str) -> None:
    http, heard = served.application.http, asyncio.Event()

    async def names(client: Client) -> set[str]:
        return {tool.name for tool in (await client.list_tools()).tools}

    async def on_message(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            heard.set()

    async def note(subscription: Any) -> None:
        async for _ in subscription:
            heard.set()

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(served.client(era, message_handler=on_message))
        if era == "auto":
            subscription = await stack.enter_async_context(client.listen(tools_list_changed=True))
            listening = asyncio.create_task(note(subscription))
            stack.callback(listening.cancel)
        await client.list_tools()
        number = 0
        async with asyncio.timeout(10):
            while not heard.is_set():  # the standalone stream of the older revisions opens some time after the handshake
                number += 1
                await served.add_tool(f"early_{number}")
                await asyncio.wait([asyncio.create_task(heard.wait())], timeout=0.1)

        async def told_of(change: Awaitable[Any]) -> Any:
            heard.clear()
            made = await change
            async with asyncio.timeout(10):
                await heard.wait()
            return made

        flow = await told_of(served.add_tool("brand_new"))
        assert "brand_new" in await names(client)
        path = f"/api/v1/flows/{flow.id}"
        await told_of(http.patch(path, json={"action_name": "other_name"}))
        assert {"other_name", "brand_new"} & await names(client) == {"other_name"}
        await told_of(http.patch(path, json={"action_description": "What it is for."}))
        await told_of(http.patch(path, json={"data": document([text_input(text="x"), text_output()], [])}))
        await told_of(http.patch(path, json={"mcp_enabled": False}))
        assert "other_name" not in await names(client)
        await told_of(http.patch(path, json={"mcp_enabled": True}))
        await told_of(http.delete(path))
        assert "other_name" not in await names(client)
