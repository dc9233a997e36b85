"""An agent behind an MCP tool: its progress, tools side by side, one of them failing, and a client that cancels."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from headwater_test_components import Wait

from tests import flow_documents as flows
from tests.agent_documents import MODEL, as_tool, with_tools
from tests.application import Application, open_application
from tests.mcp_server.conftest import ERAS, Served, serve
from tests.model_server import Calls, Hangs, ModelServer, Says, model_server

every_era = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    monkeypatch.setenv("OPENAI_BASE_URL", models.address)
    async with open_application(tmp_path / "data") as opened:
        yield opened


def waits(id: str) -> dict[str, Any]:
    return as_tool("HeadwaterTestWait", id, {"text": "", "seconds": 0.0}, display_name="Wait")


FAILS = as_tool("HeadwaterTestFail", "Fail-1", {"text": "", "reason": "the pump is dry"}, display_name="Fail")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (what happens behind a socket tells nobody)
            await asyncio.sleep(0.005)


@every_era
async def test_an_agent_calls_two_tools_survives_one_failing_and_tells_how_far_it_is(served: Served, models: ModelServer, era: str) -> None:
    await served.add_tool("helper", with_tools(waits("Wait-1"), FAILS))
    models.script(
        MODEL,
        Calls(("wait", {"text": "waited"}), ("fail", {"text": "x"})),
        Says("One of the two worked.", delay_seconds=0.01),
    )
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with served.client(era) as client:
        result = await client.call_tool("helper", {"input_value": "Do both"}, progress_callback=note)
    assert not result.is_error
    assert [part.text for part in result.content] == ["One of the two worked."]  # type: ignore[union-attr]
    answers = [message["content"] for message in models.requests[1].messages if message["role"] == "tool"]
    assert answers == ["waited", "the pump is dry"]
    steps = [progress for progress, _, _ in told]
    assert steps == sorted(set(steps)), "progress only grows"
    shown = [message for _, _, message in told]
    assert {"Wait", "Fail", "Agent", "Chat Output"} <= set(shown)
    assert any(message is not None and message.startswith("One") for message in shown)


@every_era
async def test_a_client_that_cancels_leaves_no_tool_running(served: Served, models: ModelServer, era: str) -> None:
    flow = await served.add_tool("slow_helper", with_tools(waits("Wait-1"), waits("Wait-2")))
    models.script(MODEL, Calls(("wait", {"text": "a", "seconds": 60}), ("wait_2", {"text": "b", "seconds": 60})))
    async with served.client(era) as client:
        calling = asyncio.create_task(client.call_tool("slow_helper", {"input_value": "Wait"}))
        await until(lambda: Wait.started[flow.id] == 2)
        assert Wait.ended[flow.id] == 0, "both run at the same time"
        calling.cancel()
        await asyncio.wait([calling])
        await until(lambda: Wait.ended[flow.id] == 2)
        await until(lambda: served.application.services.invocations.running_count == 0)
    assert len(models.requests) == 1


@every_era
async def test_a_client_that_cancels_while_the_model_answers_ends_the_call_to_it(served: Served, models: ModelServer, era: str) -> None:
    await served.add_tool("stuck_helper", with_tools())
    models.script(MODEL, Hangs(after=1))

    async def note(progress: float, total: float | None, message: str | None) -> None:
        pass

    async with served.client(era) as client:
        calling = asyncio.create_task(client.call_tool("stuck_helper", {"input_value": "Hi"}, progress_callback=note))
        await until(lambda: models.open_requests == 1)
        calling.cancel()
        await asyncio.wait([calling])
        await until(lambda: models.open_requests == 0)
        await until(lambda: served.application.services.invocations.running_count == 0)


async def test_a_flow_that_calls_its_own_tool_ends_at_the_depth_bound(tmp_path: Path, models: ModelServer) -> None:
    async with (
        open_application(tmp_path / "own", allowed_addresses=["127.0.0.1"], max_flow_depth=3) as application,
        serve(application) as served,
    ):
        config = {"url": served.project_address(), "headers": {"x-api-key": application.key}}
        fields = {"mcp_server": {"value": {"name": "self", "config": config}, "type": "mcp"}, "tool": "narcissus", "input_value": "again"}
        calls_itself = flows.node("MCPTools", "MCPTools-m", fields, outputs=("response",))
        calls_itself["data"]["node"]["outputs"][0]["method"] = "build_output"
        edges = [
            flows.edge("ChatInput-in", "MCPTools-m", "input_value"),
            flows.edge("MCPTools-m", "ChatOutput-out", "input_value", output="response"),
        ]
        await served.add_tool("narcissus", flows.document([flows.chat_input(), calls_itself, flows.chat_output()], edges))
        async with asyncio.timeout(30), served.client() as client:
            result = await client.call_tool("narcissus", {"input_value": "x"})
        assert result.is_error
        assert "more than 3 deep" in result.content[0].text  # type: ignore[union-attr]
        assert application.services.invocations.running_count == 0
