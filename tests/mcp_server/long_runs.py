"""Calls that take long or ask a person, on a server that loses its patience soon."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.application import open_application
from tests.flow_documents import chat_input, chat_output, document, edge, node
from tests.mcp_server.conftest import BOTH_TYPES, Served, serve

TASKS = "io.modelcontextprotocol/tasks"
KNOWS_TASKS: dict[str, Any] = {"extensions": {TASKS: {}}}
ASKS: dict[str, Any] = {"elicitation": {"form": {}}}
LONG = 60.0  # seconds of a run that is never waited for


@asynccontextmanager
async def impatient(data_dir: Path, **settings: Any) -> AsyncIterator[Served]:
    """A server whose calls are answered within a tenth of a second, unless `settings` say otherwise."""
    async with (
        open_application(data_dir, **{"task_after_seconds": 0.1, "answer_after_seconds": 0.1, **settings}) as application,
        serve(application) as served,
    ):
        yield served


def asking(names: str = "name", *, wait: float = 0.0) -> dict[str, Any]:
    """Chat input, a wait, questions to a person, chat output."""
    waits = node("HeadwaterTestWait", "Wait-1", {"text": "", "seconds": wait}, display_name="Wait")
    asks = node("HeadwaterTestAsk", "Ask-1", {"text": "", "names": names}, display_name="Ask")
    edges = [edge("ChatInput-in", "Wait-1", "text"), edge("Wait-1", "Ask-1", "text"), edge("Ask-1", "ChatOutput-out", "input_value")]
    return document([chat_input(text="hello"), waits, asks, chat_output()], edges)


def late_failing(wait: float) -> dict[str, Any]:
    """Chat input, a wait, a component that raises, chat output."""
    waits = node("HeadwaterTestWait", "Wait-1", {"text": "", "seconds": wait}, display_name="Wait")
    fails = node("HeadwaterTestFail", "Fail-1", {"text": "", "reason": "the pump is dry"}, display_name="Fail")
    edges = [edge("ChatInput-in", "Wait-1", "text"), edge("Wait-1", "Fail-1", "text"), edge("Fail-1", "ChatOutput-out", "input_value")]
    return document([chat_input(text="x"), waits, fails, chat_output()], edges)


async def request(
    served: Served,
    method: str,
    params: dict[str, Any],
    *,
    capabilities: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    address: str = "",
) -> dict[str, Any]:
    """One request of the current revision, and its JSON-RPC answer."""
    body, sent = _written(served, method, params, capabilities, headers)
    answer = await served.http.post(address or served.project_address(), content=body, headers=sent)
    return dict(message_of(answer.text))


async def first_message(served: Served, method: str, params: dict[str, Any], *, capabilities: dict[str, Any]) -> dict[str, Any]:
    """The first message of an answer that goes on until it is left."""
    body, sent = _written(served, method, params, capabilities, None)
    async with served.http.stream("POST", served.project_address(), content=body, headers=sent) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: {"):
                return dict(json.loads(line.removeprefix("data: ")))
    raise AssertionError("The answer ended without a message.")


def _written(
    served: Served, method: str, params: dict[str, Any], capabilities: dict[str, Any] | None, headers: dict[str, str] | None
) -> tuple[str, dict[str, str]]:
    """Body and headers of a request."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
        **params.pop("_meta", {}),
    }
    name = params.get("name") or params.get("taskId")
    sent = {
        **BOTH_TYPES,
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        "x-api-key": served.application.key,
        **({"mcp-name": name} if name else {}),
        **(headers or {}),
    }
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}), sent


def message_of(text: str) -> dict[str, Any]:
    """The last message of a JSON answer or of an event stream."""
    if text.startswith("{"):
        return dict(json.loads(text))
    return dict(json.loads([line for line in text.splitlines() if line.startswith("data: ")][-1].removeprefix("data: ")))


async def result(served: Served, method: str, params: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = await request(served, method, params, **options)
    assert "result" in answer, answer
    return dict(answer["result"])


async def call(served: Served, name: str, arguments: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """`options`: capabilities, headers, and further params such as requestState."""
    passed = {key: options.pop(key) for key in ("capabilities", "headers") if key in options}
    return await result(served, "tools/call", {"name": name, "arguments": arguments or {}, **options}, **passed)


async def task(served: Served, task_id: str, *, until: str = "", capabilities: dict[str, Any] | None = None) -> dict[str, Any]:
    """tasks/get, again and again until the task has a state."""
    async with asyncio.timeout(10):
        while True:
            found = await result(served, "tasks/get", {"taskId": task_id}, capabilities=capabilities or KNOWS_TASKS)
            if not until or found["status"] == until:
                return found
            await asyncio.sleep(0.02)


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}
