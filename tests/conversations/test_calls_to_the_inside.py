"""A flow cannot make the server call its own network, by no public door; what the operator allowed works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from projects.components.registry import load_registry
from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.web_server import WebServer, redirect, web_server


@pytest.fixture
async def canary() -> AsyncIterator[WebServer]:
    async with web_server() as server:
        server.pages["*"] = "the canary's secret"
        yield server


def caller_of(type: str, field: str, *, output: str, **fields: Any) -> dict[str, Any]:
    """Chat in, the caller's text as the address of one call, chat out."""
    node = flows.node(type, f"{type}-a", {field: "", **fields}, outputs=(output,))
    return flows.document(
        [flows.chat_input(), node, flows.chat_output()],
        [flows.edge("ChatInput-in", f"{type}-a", field), flows.edge(f"{type}-a", "ChatOutput-out", "input_value", output=output)],
    )


CALLERS = {
    "APIRequest": caller_of("APIRequest", "url_input", output="data"),
    "URLComponent": caller_of("URLComponent", "urls", output="page_results"),
    "RSSReaderSimple": caller_of("RSSReaderSimple", "rss_url", output="articles"),
}


async def run(application: Application, data: dict[str, Any], text: str, **further: Any) -> Any:
    created = await application.http.post("/api/v1/flows/", json={"name": "calls out", "data": data})
    assert created.status_code == 201, created.text
    return await application.http.post(f"/api/v1/run/{created.json()['id']}", json={"input_value": text, **further})


SPELLINGS = ["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "localhost", "a@127.0.0.1"]


@pytest.mark.parametrize("type", list(CALLERS))
async def test_no_component_reaches_loopback(application: Application, canary: WebServer, type: str) -> None:
    for host in SPELLINGS:
        answer = await run(application, CALLERS[type], f"http://{host}:{canary.port}/")
        assert answer.status_code == (500 if host.startswith("0177") else 422), answer.text  # that one is no address for the library
        assert f"{type}-a" in answer.text
        assert "canary's secret" not in answer.text
    assert canary.connections == 0


async def test_a_tool_call_reaches_it_no_more(application: Application, canary: WebServer) -> None:
    created = await application.http.post("/api/v1/flows/", json={"name": "fetch", "mcp_enabled": True, "data": CALLERS["APIRequest"]})
    assert created.status_code == 201
    async with application.mcp_client() as client:
        result = await client.call_tool("fetch", {"input_value": f"{canary.address}/"})
    assert result.is_error
    assert "allowed_addresses" in str(result.content)
    assert canary.connections == 0


async def test_a_tweak_of_the_address_is_guarded_too(application: Application, canary: WebServer) -> None:
    data = flows.document(
        [flows.node("APIRequest", "APIRequest-a", {"url_input": "https://1.1.1.1"}, outputs=("data",)), flows.chat_output()],
        [flows.edge("APIRequest-a", "ChatOutput-out", "input_value", output="data")],
    )
    answer = await run(application, data, "", tweaks={"APIRequest-a": {"url_input": f"{canary.address}/"}})
    assert answer.status_code == 422
    assert canary.connections == 0


async def test_a_models_base_address_from_a_flow_is_guarded_too(application: Application, canary: WebServer) -> None:
    fields = {"input_value": "hi", "openai_api_base": f"{canary.address}/v1", "api_key": "sk-x", "model_name": "gpt-4o-mini"}
    data = flows.document(
        [flows.node("OpenAIModel", "OpenAIModel-a", fields, outputs=("text_output",)), flows.chat_output()],
        [flows.edge("OpenAIModel-a", "ChatOutput-out", "input_value", output="text_output")],
    )
    answer = await run(application, data, "")
    assert answer.status_code >= 400
    assert "allowed_addresses" in answer.text
    assert canary.connections == 0


async def test_what_the_operator_allowed_is_called_and_its_redirects_are_checked(tmp_path: Path, canary: WebServer) -> None:
    async with web_server() as allowed, open_application(tmp_path / "data", allowed_addresses=[f"127.0.0.1:{allowed.port}"]) as application:
        allowed.pages["/"] = "hello from inside"
        allowed.pages["/out"] = redirect(f"{canary.address}/")
        answer = await run(application, CALLERS["APIRequest"], f"{allowed.address}/")
        assert answer.status_code == 200
        assert "hello from inside" in answer.text
        answer = await run(application, CALLERS["APIRequest"], f"{allowed.address}/out")
        assert answer.status_code == 422
    assert canary.connections == 0


BASE_ADDRESSES = [
    (component.type, declared.name)
    for component in load_registry(plugins=False)
    for declared in component.declared_inputs
    if "base_url" in declared.name
    or declared.name.endswith(("_api_base", "api_base", "_endpoint", "_api_url"))
    or (component.type, declared.name) in {("SQLComponent", "database_url"), ("SQLComponent", "query"), ("MCPTools", "mcp_server")}
]


async def test_base_addresses_and_sql_take_no_tweak(application: Application) -> None:
    assert len(BASE_ADDRESSES) > 20
    for type, field in BASE_ADDRESSES:
        data = flows.document([flows.node(type, f"{type}-a", {field: "https://stored.example", "api_key": "k"}), flows.chat_output()], [])
        for tweaks in ({f"{type}-a": {field: "https://evil.example"}}, {field: "https://evil.example"}):
            answer = await run(application, data, "", tweaks=tweaks)
            assert answer.status_code == 422, (type, field)
            assert answer.json()["detail"]["fields"] == [field]


async def test_the_author_may_open_a_field_and_the_key_is_open(application: Application, canary: WebServer) -> None:
    fields: dict[str, Any] = {
        "input_value": "hi",
        "model_name": "tiny",
        "base_url": {"value": "https://stored.example", "api_editable": True},
        "api_key": {"value": "", "password": True},
    }
    data = flows.document(
        [flows.node("OllamaModel", "OllamaModel-a", fields, outputs=("text_output",)), flows.chat_output()],
        [flows.edge("OllamaModel-a", "ChatOutput-out", "input_value", output="text_output")],
    )
    tweaks = {"OllamaModel-a": {"base_url": canary.address, "api_key": "of the caller"}}
    answer = await run(application, data, "", tweaks=tweaks)
    assert "allowed_addresses" in answer.text  # taken, and then refused by the guard
    assert canary.connections == 0
