"""Running texts of components in tests: the application with such code allowed, and a flow around one text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from projects.custom_code.policy import CustomCode
from tests import flow_documents as flows
from tests.application import Application, open_application

MODES = ("trusted", "sandboxed")


@asynccontextmanager
async def open_with_code(data_dir: Path, mode: str, **settings: Any) -> AsyncIterator[Application]:
    """With `trusted` every text counts as trusted: how one comes to be trusted is tested elsewhere."""
    async with open_application(data_dir, custom_code=mode, **settings) as opened:
        registry = opened.services.registry
        policy = registry.custom_code
        if policy.mode is CustomCode.SANDBOXED and policy.unavailable:
            pytest.skip(f"no sandbox here: {policy.unavailable}")
        if policy.mode is CustomCode.TRUSTED:
            registry.custom_code = replace(policy, is_trusted=lambda hash: True)
        yield opened


async def node_of(application: Application, code: str, id: str = "Text-n", **values: Any) -> dict[str, Any]:
    """The node that the editor makes of a text, with these values typed into it."""
    answer = await application.http.post("/api/v1/custom_component", json={"code": dedent(code)})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    node = {"id": id, "type": "genericNode", "data": {"id": id, "type": made["type"], "node": made["data"]}}
    for name, value in values.items():
        made["data"]["template"].setdefault(name, flows.template_field(name, value))["value"] = value
    return node


async def keep(
    application: Application, nodes: list[dict[str, Any]], edges: list[dict[str, Any]], name: str = "with code", **keys: Any
) -> str:
    """The id of a new flow."""
    kept = await application.http.post("/api/v1/flows/", json={"name": name, "data": flows.document(nodes, edges), **keys})
    assert kept.status_code == 201, kept.text
    return str(kept.json()["id"])


async def flow_around(application: Application, code: str, *, feed: str | None = "text", output: str | None = None, **values: Any) -> str:
    """Chat in, the text's component, chat out; the id of the flow. `output`: by default the first."""
    node = await node_of(application, code, **values)
    output = output or node["data"]["node"]["outputs"][0]["name"]
    edges = [flows.edge("Text-n", "ChatOutput-out", "input_value", output=output)]
    if feed is not None:
        edges.append(flows.edge("ChatInput-in", "Text-n", feed))
    return await keep(application, [flows.chat_input(), node, flows.chat_output()], edges)


async def run(application: Application, flow_id: str, said: str = "hello", **body: Any) -> httpx.Response:
    return await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": said, **body})


def texts(answer: httpx.Response) -> dict[str, str]:
    """Vertex id → the text of its message."""
    assert answer.status_code == 200, answer.text
    return {
        item["component_id"]: output["message"] for item in answer.json()["outputs"][0]["outputs"] for output in item["outputs"].values()
    }


async def said_by(application: Application, code: str, said: str = "hello", **how: Any) -> str:
    """What Chat Output says when the text's component stands before it."""
    return texts(await run(application, await flow_around(application, code, **how), said))["ChatOutput-out"]


MODEL = """
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from lfx.custom import Component
    from lfx.field_typing import LanguageModel
    from lfx.io import MessageTextInput, Output

    class OneCall(BaseChatModel):
        tool: str = ""
        argument: str = ""

        @property
        def _llm_type(self) -> str:
            return "one call"

        def bind_tools(self, tools, **more):
            return OneCall(tool=tools[0].name, argument=next(iter(tools[0].args)))

        def _generate(self, messages, stop=None, run_manager=None, **more):
            last = messages[-1]
            if last.type == "tool":
                reply = AIMessage(content=f"{self.tool}({self.argument}) said: {last.content}")
            else:
                call = {"name": self.tool, "args": {self.argument: last.content}, "id": "1", "type": "tool_call"}
                reply = AIMessage(content="", tool_calls=[call])
            return ChatResult(generations=[ChatGeneration(message=reply)])

    class ModelOfOneCall(Component):
        inputs = [MessageTextInput(name="label", value="")]
        outputs = [Output(name="model", method="model")]

        def model(self) -> LanguageModel:
            return OneCall()
"""


async def agent_with(application: Application, tool: str) -> str:
    """A flow whose agent asks a model that calls its first tool with what the person said, then repeats the answer."""
    model, node = await node_of(application, MODEL, "Model-m"), await node_of(application, tool, "Tool-t")
    node["data"]["node"]["tool_mode"] = True
    node["data"]["node"]["outputs"] = [{"name": "component_as_tool", "method": "to_toolkit", "types": ["Tool"]}]
    agent = flows.node(
        "Agent",
        "Agent-a",
        {
            "model": {"value": "", "type": "model"},
            "input_value": "",
            "tools": {"value": "", "type": "other", "list": True},
            "add_current_date_tool": False,
            "add_calculator_tool": False,
        },
        outputs=("response",),
    )
    return await keep(
        application,
        [flows.chat_input(), model, node, agent, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Agent-a", "input_value"),
            flows.edge("Model-m", "Agent-a", "model", output="model"),
            flows.edge("Tool-t", "Agent-a", "tools", output="component_as_tool"),
            flows.edge("Agent-a", "ChatOutput-out", "input_value", output="response"),
        ],
    )
