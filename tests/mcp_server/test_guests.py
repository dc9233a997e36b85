"""Projects that want no credential: what a guest may use, what stays the owner's, and how often a guest may come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_server.authentication import BAD_KEYS_PER_MINUTE
from projects.flows.flow import FlowDraft
from tests.application import Application, open_application
from tests.flow_documents import chat_input, chat_output, document, echo, edge, node, running
from tests.mcp_server.conftest import BOTH_TYPES, TLS, Served, greeting_by_variable, of_unknown_type, over_sse, serve

ANONYMOUS = {"a": "b"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A project of its own, without the starter flows, that wants no credential."""
    async with open_application(tmp_path / "data") as application:
        project = await application.services.projects.create(application.caller, name="Open", auth_settings={"auth_type": "none"})
        opened = Application(**{**vars(application), "project_id": project.id})
        async with serve(opened) as running_server:
            yield running_server


def with_field(name: str, field: dict[str, Any]) -> dict[str, Any]:
    """A chat input that also has the field, and a chat output."""
    fields: dict[str, Any] = {name: field}
    return document([chat_input(text="x", **fields), chat_output()], [edge("ChatInput-in", "ChatOutput-out", "input_value")])


@asynccontextmanager
async def guest(served: Served, era: str) -> AsyncIterator[Client]:
    if era == "sse":
        async with Client(over_sse(served.project_address("sse")), mode="legacy") as client:
            yield client
    else:
        async with (
            httpx2.AsyncClient(timeout=30, verify=TLS) as http,
            Client(streamable_http_client(served.project_address(), http_client=http), mode=era) as client,
        ):
            yield client


async def status_of(served: Served, method: str, address: str, headers: list[tuple[str, str]]) -> int:
    """The status of a request written by hand, for what no client library sends."""
    path = address.removeprefix(served.address)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.address.rpartition(":")[2]))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "content-length: 0", "connection: close"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


async def call(served: Served, name: str, arguments: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = await served.post("tools/call", {"name": name, "arguments": arguments}, headers=headers or ANONYMOUS)
    assert answer.status_code == 200, answer.text
    read: dict[str, Any] = answer.json()
    return read


async def listed(served: Served, **headers: str) -> set[str]:
    answer = await served.post("tools/list", headers=headers or ANONYMOUS)
    assert answer.status_code == 200, answer.text
    assert headers or "_meta" not in answer.json()["result"] or "langflow.org/excluded-flows" not in answer.json()["result"]["_meta"]
    return {tool["name"] for tool in answer.json()["result"]["tools"]}


async def test_a_guest_lists_and_calls_the_tools_over_every_transport(served: Served) -> None:
    await served.add_tool("echo")
    for era in ("auto", "legacy", "sse"):
        async with guest(served, era) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["echo"]
            result = await client.call_tool("echo", {"input_value": "hi"})
            assert result.content[0].text == "hi"  # type: ignore[union-attr]


async def test_nothing_else_of_the_owner_is_open_to_a_guest(served: Served) -> None:
    application = served.application
    other = await application.services.projects.create(application.caller, name="Closed")
    assert (await served.post("tools/list", address=served.project_address(project_id=other.id), headers=ANONYMOUS)).status_code == 401
    assert (await served.post("tools/list", address=f"{served.address}/api/v1/mcp/streamable", headers=ANONYMOUS)).status_code == 401
    for path in ("/api/v1/flows/", f"/api/v1/mcp/project/{application.project_id}", "/api/v1/monitor/messages", "/api/v2/files"):
        assert (await served.http.get(f"{served.address}{path}")).status_code == 403


async def test_flows_with_code_secrets_or_other_flows_are_kept_from_guests_and_the_owner_is_told(served: Served) -> None:
    services, owner = served.application.services, served.application.caller
    await services.variables.create(owner, name="SECRET", value="marker-credential", type="Credential")
    await services.variables.create(owner, name="GREETING", value="hello", type="Generic")
    await services.flows.create(owner, FlowDraft(name="target", document=json.dumps(echo())))
    coded = document(
        [chat_input(text="x"), node("HeadwaterTestUpper", "Upper-1", {"text": ""}, edited=True), chat_output()],
        [edge("ChatInput-in", "Upper-1", "text"), edge("Upper-1", "ChatOutput-out", "input_value")],
    )
    flows = {
        "plain": echo(),
        "greet": greeting_by_variable(),
        "coded": coded,
        "unknown": of_unknown_type(),
        "stored_secret": with_field("api_key", {"value": "sk-marker", "password": True}),
        "named_secret": with_field("api_key", {"value": "SECRET", "password": True, "load_from_db": True}),
        "environment": with_field("api_key", {"value": "OPENAI_API_KEY", "password": True, "load_from_db": True}),
        "headers": with_field("headers", {"value": [{"key": "Authorization", "value": "Bearer x"}], "type": "table"}),
        "other_flow": running("target"),
    }
    for name, flow in flows.items():
        await served.add_tool(name, flow)
    assert await listed(served) == {"plain", "greet"}
    assert await listed(served, **{"x-api-key": served.application.key}) >= {*flows}
    assert (await call(served, "greet", {}))["result"]["content"][0]["text"] == "hello"
    for name in set(flows) - {"plain", "greet"}:
        refused = await served.post("tools/call", {"name": name, "arguments": {"input_value": "x"}}, headers=ANONYMOUS)
        assert refused.json()["error"]["code"] == -32602, name
    read = (await served.application.http.get(f"/api/v1/mcp/project/{served.application.project_id}")).json()
    told = {entry["name"]: entry["reason"] for entry in read["not_for_guests"]}
    assert set(told) == set(flows) - {"plain", "greet"}
    assert "code" in told["coded"]
    assert "SECRET" in told["named_secret"]
    assert "other flows" in told["other_flow"]


async def test_a_variable_that_becomes_a_credential_closes_the_tool_with_the_next_request(served: Served) -> None:
    services, owner = served.application.services, served.application.caller
    variable = await services.variables.create(owner, name="GREETING", value="hello", type="Generic")
    await served.add_tool("greet", greeting_by_variable())
    assert await listed(served) == {"greet"}
    await services.variables.delete(owner, variable.id)
    await services.variables.create(owner, name="GREETING", value="hello", type="Credential")
    assert await listed(served) == set()


async def test_a_guest_sets_no_variables(served: Served) -> None:
    await served.application.services.variables.create(served.application.caller, name="GREETING", value="hello", type="Generic")
    await served.add_tool("greet", greeting_by_variable())
    answer = await call(served, "greet", {}, **{"x-langflow-global-var-greeting": "mine"})
    assert answer["result"]["isError"] is True
    assert "X-LANGFLOW-GLOBAL-VAR" in answer["result"]["content"][0]["text"]


def session_of(answer: dict[str, Any]) -> str:
    return str(answer["result"]["_meta"]["headwater/session-id"])


async def test_a_guests_session_never_meets_the_owners_or_another_guests(served: Served) -> None:
    services, owner = served.application.services, served.application.caller
    await served.add_tool("echo")
    await call(served, "echo", {"input_value": "the owner", "session_id": "x"}, **{"x-api-key": served.application.key})
    refused = await call(served, "echo", {"input_value": "a guest", "session_id": "x"})
    assert refused["result"]["isError"] is True
    first, second = (
        session_of(await call(served, "echo", {"input_value": "1"})),
        session_of(await call(served, "echo", {"input_value": "2"})),
    )
    assert first != second
    assert first.startswith(f"guest:{served.application.project_id}:")
    assert session_of(await call(served, "echo", {"input_value": "3", "session_id": first})) == first
    assert [each.message.text for each in await services.messages.list_messages(owner, session_id=first, sender="User")] == ["1", "3"]
    assert [each.message.text for each in await services.messages.list_messages(owner, session_id="x", sender="User")] == ["the owner"]

    seen = set()
    for text in ("a", "b"):
        async with guest(served, "legacy") as client:
            result = await client.call_tool("echo", {"input_value": text, "session_id": "x"})
            assert result.meta is not None
            again = await client.call_tool("echo", {"input_value": text, "session_id": result.meta["headwater/session-id"]})
            assert again.meta is not None
            assert again.meta["headwater/session-id"] == result.meta["headwater/session-id"]
            seen.add(result.meta["headwater/session-id"])
    assert len(seen) == 2


async def test_a_credential_that_is_presented_is_checked(served: Served) -> None:
    await served.add_tool("secret", with_field("api_key", {"value": "sk-marker", "password": True}))
    for bad in (
        {"x-api-key": "sk-wrong"},
        {"authorization": "Bearer sk-wrong"},
        {"authorization": "Bearer a.b.c"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer"},
        {"cookie": "access_token_lf=x"},
    ):
        assert (await served.post("tools/list", headers=bad)).status_code == 401, bad
    assert (await served.post("tools/list", address=f"{served.project_address()}?x-api-key=sk-wrong", headers=ANONYMOUS)).status_code == 401
    assert await listed(served, **{"x-api-key": served.application.key}) == {"secret"}
    # Known here, but not the owner: a guest like everybody else.
    assert await listed(served, **{"x-api-key": served.application.stranger.headers["x-api-key"]}) == set()


async def test_a_session_of_a_guest_ends_when_the_project_is_closed(served: Served) -> None:
    address = served.project_address()
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    opened = await served.http.post(address, json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}, headers=BOTH_TYPES)
    session = {**BOTH_TYPES, "mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}
    listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert (await served.http.post(address, json=listing, headers=session)).status_code == 200
    closing = {"settings": [], "auth_settings": {"auth_type": "apikey"}}
    assert (await served.application.http.patch(f"/api/v1/mcp/project/{served.application.project_id}", json=closing)).status_code == 200
    assert (await served.http.post(address, json=listing, headers=session)).status_code == 401
    with_key = {**session, "x-api-key": served.application.key}
    assert (await served.http.post(address, json=listing, headers=with_key)).status_code == 404


async def test_guests_are_limited_by_address_and_by_project_and_the_owner_is_not(tmp_path: Path) -> None:
    for setting in ("guest_requests_per_minute", "guest_requests_per_minute_per_project"):
        limits: dict[str, Any] = {setting: 3}
        async with open_application(tmp_path / setting, **limits) as application:
            path = f"/api/v1/mcp/project/{application.project_id}"
            await application.http.patch(path, json={"settings": [], "auth_settings": {"auth_type": "none"}})
            answers = [await application.nobody.post(f"{path}/streamable", json={}) for _ in range(4)]
            assert [answer.status_code == 429 for answer in answers] == [False, False, False, True]
            assert 0 < int(answers[3].headers["retry-after"]) <= 61
            assert (await application.http.post(f"{path}/streamable", json={})).status_code != 429


async def test_twenty_bad_keys_from_an_address_are_enough_on_both_faces(application: Application) -> None:
    path = f"/api/v1/mcp/project/{application.project_id}/streamable"
    assert (await application.http.get("/api/v1/users/whoami")).status_code == 200
    statuses = []
    for number in range(BAD_KEYS_PER_MINUTE):
        ask = (
            application.nobody.get("/api/v1/users/whoami", headers={"x-api-key": f"sk-{number}"})
            if number % 2
            else application.nobody.post(path, headers={"x-api-key": f"sk-{number}"})
        )
        statuses.append((await ask).status_code)
    assert statuses == [401, 403] * (BAD_KEYS_PER_MINUTE // 2)
    for answer in (
        await application.nobody.post(path, headers={"x-api-key": "sk-more"}),
        await application.nobody.get("/api/v1/users/whoami", headers={"authorization": "Bearer sk-more"}),
        await application.nobody.get("/api/v1/users/whoami", params={"x-api-key": "sk-more"}),
    ):
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
    # A key that was good before goes on working: behind a proxy everybody has one address.
    assert (await application.http.get("/api/v1/users/whoami")).status_code == 200
    assert (await application.nobody.post(path)).status_code == 401


@pytest.mark.parametrize("kind", ["apikey", "none"])
async def test_smuggled_headers_open_no_door(served: Served, kind: str) -> None:
    project, key = served.application.project_id, served.application.key
    settings = {"settings": [], "auth_settings": {"auth_type": kind}}
    await served.application.http.patch(f"/api/v1/mcp/project/{project}", json=settings)
    doors = [
        ("POST", served.project_address()),
        ("GET", served.project_address("sse")),
        ("GET", f"{served.address}/.well-known/oauth-protected-resource/api/v1/mcp/project/{project}/streamable"),
    ]
    port = served.address.rpartition(":")[2]
    for method, address in doors:
        for host in ("evil.example", f"127.0.0.1:{port}.evil.example", "localhost.", f"localhost.:{port}", "a@127.0.0.1", "[::1", ""):
            answer = await served.http.request(method, address, headers={**BOTH_TYPES, "host": host, "x-api-key": key})
            assert answer.status_code in (400, 421), (address, host)
        twice = [*BOTH_TYPES.items(), ("host", f"127.0.0.1:{port}"), ("host", "evil.example"), ("x-api-key", key)]
        assert await status_of(served, method, address, twice) == 400
        for origin in (
            "https://evil.example",
            "null",
            f"{served.address}.evil.example",
            "http://127.0.0.1.evil.example",
            "file://",
            f"{served.address}@evil.example",
        ):
            answer = await served.http.request(method, address, headers={**BOTH_TYPES, "origin": origin, "x-api-key": key})
            assert answer.status_code == 403, (address, origin)
    for name, values in (
        ("authorization", (f"Bearer {key}", "Bearer sk-other")),
        ("x-api-key", ("sk-other", key)),
        ("authorization", ("Basic x", f"Bearer {key}")),
    ):
        headers = [*BOTH_TYPES.items(), ("host", f"127.0.0.1:{port}"), *((name, value) for value in values)]
        for method, address in doors[:2]:
            assert await status_of(served, method, address, headers) == 401, (address, name)
