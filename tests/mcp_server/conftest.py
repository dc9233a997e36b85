"""The application behind a real socket, and tools to call on it."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from mcp.client import Client, Transport
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from mcp_server.bounded_http import BoundedHttp
from projects.flows.flow import Flow, FlowDraft
from tests.application import Application
from tests.flow_documents import chat_input, chat_output, document, echo, edge, node
from tests.loopback import serving

TLS = ssl.create_default_context()  # shared: a client makes its own in 20 ms, and nothing here speaks TLS
ERAS = ("auto", "legacy", "sse")  # 2026-07-28 with its discovery, the initialize handshake, and HTTP+SSE
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
BOTH_TYPES = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


def over_sse(address: str, headers: dict[str, str] | None = None) -> Transport:
    """The SDK's SSE transport without the 20 ms."""

    def make_client(
        headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, verify=TLS)

    return sse_client(address, headers=headers, httpx_client_factory=make_client)


@dataclass
class Served:
    """The application as a client across a socket sees it."""

    application: Application
    address: str
    http: httpx2.AsyncClient = field(repr=False)

    def project_address(self, transport: str = "streamable", *, project_id: str | None = None) -> str:
        return f"{self.address}/api/v1/mcp/project/{project_id or self.application.project_id}/{transport}"

    @asynccontextmanager
    async def client(
        self, era: str = "auto", *, key: str | None = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncIterator[Client]:
        sent = {"x-api-key": key or self.application.key, **(headers or {})}
        if era == "sse":
            async with Client(over_sse(self.project_address("sse"), sent), mode="legacy", **options) as client:
                yield client
        else:
            async with (
                httpx2.AsyncClient(headers=sent, timeout=30, verify=TLS) as http,
                Client(streamable_http_client(self.project_address(), http_client=http), mode=era, **options) as client,
            ):
                yield client

    async def post(
        self, method: str, params: Mapping[str, Any] | None = None, *, address: str = "", headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """One bare request of the current revision, with the key unless `headers` say otherwise."""
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": META}}
        sent = {
            **BOTH_TYPES,
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            **(headers or {"x-api-key": self.application.key}),
        }
        if "name" in body["params"]:
            sent["mcp-name"] = body["params"]["name"]
        return await self.http.post(address or self.project_address(), content=json.dumps(body), headers=sent)

    async def open_session(self, *, address: str = "", key: str | None = None) -> dict[str, str]:
        """Initialize as 2025-06-18 does; the headers of every later message of the session."""
        headers = {**BOTH_TYPES, "x-api-key": self.application.key if key is None else key}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
        answer = await self.http.post(
            address or self.project_address(), json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        headers |= {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await self.http.post(address or self.project_address(), json=ready, headers=headers)).status_code == 202
        return headers

    async def add_tool(self, name: str, flow: dict[str, Any] | None = None, *, project_id: str | None = None) -> Flow:
        services, caller = self.application.services, self.application.caller
        draft = FlowDraft(
            name=name,
            document=json.dumps(flow or echo()),
            project_id=project_id or self.application.project_id,
            is_tool=True,
            tool_name=name,
        )
        return await services.flows.create(caller, draft)


def waiting(seconds: float) -> dict[str, Any]:
    """Chat input, a wait, chat output."""
    wait = node("HeadwaterTestWait", "Wait-1", {"text": "", "seconds": seconds}, display_name="Wait")
    edges = [edge("ChatInput-in", "Wait-1", "text"), edge("Wait-1", "ChatOutput-out", "input_value")]
    return document([chat_input(text="waited"), wait, chat_output()], edges)


def failing() -> dict[str, Any]:
    """Chat input, a component that raises, chat output."""
    fail = node("HeadwaterTestFail", "Fail-1", {"text": "", "reason": "the pump is dry"}, display_name="Fail")
    edges = [edge("ChatInput-in", "Fail-1", "text"), edge("Fail-1", "ChatOutput-out", "input_value")]
    return document([chat_input(text="x"), fail, chat_output()], edges)


def greeting_by_variable() -> dict[str, Any]:
    """A chat input whose text is the value of the variable GREETING."""
    return document(
        [chat_input(input_value={"value": "GREETING", "load_from_db": True}), chat_output()],
        [edge("ChatInput-in", "ChatOutput-out", "input_value")],
    )


def of_unknown_type() -> dict[str, Any]:
    unknown = node("NobodyMadeThis", "NobodyMadeThis-1", {"text": ""})
    edges = [edge("ChatInput-in", "NobodyMadeThis-1", "text"), edge("NobodyMadeThis-1", "ChatOutput-out", "input_value")]
    return document([chat_input(text="x"), unknown, chat_output()], edges)


@asynccontextmanager
async def serve(application: Application) -> AsyncIterator[Served]:
    """On a free port; the application's own lifespan is the fixture's."""
    app = application.app
    async with (
        serving(app, on_stopping=app.state.close_streams, lifespan="off", http=BoundedHttp) as port,
        httpx2.AsyncClient(timeout=30, verify=TLS) as http,
    ):
        yield Served(application, f"http://127.0.0.1:{port}", http)


@pytest.fixture
async def served(application: Application) -> AsyncIterator[Served]:
    async with serve(application) as running:
        yield running
