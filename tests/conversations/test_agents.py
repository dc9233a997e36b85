"""Agents through both faces: tools, history, progress, failures, cancellation, against a model server of ours."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.agent_documents import CALCULATOR, MODEL, agent, as_tool, with_tools
from tests.application import Application, open_application
from tests.model_server import Calls, ModelServer, Received, Says, model_server
from tests.tool_server import tool_server


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    """With a model server that the operator set."""
    monkeypatch.setenv("OPENAI_BASE_URL", models.address)
    async with open_application(tmp_path) as opened:
        yield opened


def calculates(received: Received) -> Calls | Says:
    """Hands the question to the calculator, then says what it said."""
    last = received.messages[-1]
    if last["role"] == "tool":
        return Says(f"The tool said: {last['content']} ")
    return Calls(("evaluate_expression", {"expression": last["content"]}))


async def create(application: Application, document: dict[str, Any], name: str = "agent", **more: Any) -> str:
    created = await application.http.post("/api/v1/flows/", json={"name": name, "data": document, **more})
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def said(application: Application, flow_id: str, text: str, **body: Any) -> dict[str, Any]:
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": text, **body})
    assert answer.status_code == 200, answer.text
    (shown,) = answer.json()["outputs"][0]["outputs"]
    message: dict[str, Any] = shown["results"]["message"]
    return message


async def test_an_agent_answers_with_what_its_tool_found(application: Application, models: ModelServer) -> None:
    models.script(MODEL, calculates)
    flow_id = await create(application, with_tools(CALCULATOR))
    message = await said(application, flow_id, "2+3*4")
    assert message["text"] == 'The tool said: {"result": "14"} '
    assert message["properties"]["source"] == {"id": "Agent-a", "display_name": "Agent", "source": MODEL}
    assert message["properties"]["usage"] == {"input_tokens": 18, "output_tokens": 8, "total_tokens": 26}
    assert message["properties"]["icon"] == "Bot"
    (group,) = message["content_blocks"]
    block, turn, output = group["contents"]
    assert (turn["type"], turn["header"], turn["text"]) == ("text", {}, message["text"])
    assert (output["type"], output["header"]["title"], output["text"]) == ("text", "Output", message["text"])
    assert group["title"] == "Agent Steps"
    assert (block["type"], block["name"], block["tool_input"], block["error"]) == (
        "tool_use",
        "evaluate_expression",
        {"expression": "2+3*4"},
        None,
    )
    assert block["header"] == {"title": "Executed **evaluate_expression**", "icon": "Hammer"}
    assert (block["output"]["content"], block["output"]["artifact"]) == ('{"result": "14"}', {"result": "14"})
    assert models.requests[0].key == "sk-test"
    assert models.requests[0].tools == ["evaluate_expression"]


async def test_the_second_turn_of_a_session_knows_the_first(application: Application, models: ModelServer) -> None:
    models.script(MODEL, calculates)
    flow_id = await create(application, with_tools(CALCULATOR))
    for question, answer in (("1/4", "0.25"), ("7*6", "42")):
        assert (await said(application, flow_id, question, session_id="A1"))["text"] == f'The tool said: {{"result": "{answer}"}} '
    first_of_the_second_turn = models.requests[2].messages
    assert [(message["role"], message["content"]) for message in first_of_the_second_turn] == [
        ("system", "Use the tools."),
        ("user", "1/4"),
        ("assistant", 'The tool said: {"result": "0.25"} '),
        ("user", "7*6"),
    ]
    kept = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow_id})).json()
    assert [(message["sender"], message["text"]) for message in kept] == [
        ("User", "1/4"),
        ("Machine", 'The tool said: {"result": "0.25"} '),
        ("User", "7*6"),
        ("Machine", 'The tool said: {"result": "42"} '),
    ]
    assert kept[1]["content_blocks"][0]["contents"][0]["name"] == "evaluate_expression"
    assert [message["properties"]["icon"] for message in kept[:2]] == [None, "Bot"]


async def test_one_agent_is_another_ones_tool(application: Application, models: ModelServer) -> None:
    expert = agent("Agent-expert", tool_mode=True, model={"value": [{"name": "expert", "provider": "OpenAI"}], "type": "model"})
    models.script("expert", Says("It is 42."))
    models.script(MODEL, Calls(("Call_Agent", {"input_value": "What is it?"})), Says("The expert says 42."))
    flow_id = await create(application, with_tools(expert))
    assert (await said(application, flow_id, "Ask"))["text"] == "The expert says 42."
    assert models.requests_to("expert")[0].messages[-1]["content"] == "What is it?"
    kept = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow_id})).json()
    assert [message["text"] for message in kept] == ["Ask", "The expert says 42."]


async def test_fields_of_old_agents_choose_the_model(application: Application, models: ModelServer) -> None:
    document = with_tools()
    template = document["nodes"][1]["data"]["node"]["template"]
    for name in ("model", "api_key"):
        del template[name]
    template["agent_llm"] = flows.template_field("agent_llm", {"value": "OpenAI", "options": ["OpenAI", "Custom"]})
    template["model_name"] = flows.template_field("model_name", "gpt-4o")
    template["openai_api_key"] = flows.template_field("openai_api_key", {"value": "sk-old", "password": True})
    models.script("gpt-4o", Says("Hello from before."))
    flow_id = await create(application, document)
    assert (await said(application, flow_id, "hi"))["text"] == "Hello from before."
    assert models.requests[0].key == "sk-old"


async def test_history_in_a_prompt_grows_with_the_session(application: Application) -> None:
    memory = flows.node(
        "Memory",
        "Memory-m",
        {
            "mode": "Retrieve",
            "n_messages": 10,
            "order": "Ascending",
            "sender_type": "Machine and User",
            "session_id": "",
            "template": "{sender_name}: {text}",
        },
        outputs=("messages_text",),
    )
    memory["data"]["node"]["outputs"][0]["method"] = "retrieve_messages_as_text"
    document = flows.document(
        [flows.chat_input(), memory, flows.prompt("Prompt Template-p", "HISTORY<{history}> NOW<{q}>", "history", "q"), flows.chat_output()],
        [
            flows.edge("Memory-m", "Prompt Template-p", "history", output="messages_text"),
            flows.edge("ChatInput-in", "Prompt Template-p", "q"),
            flows.edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )
    flow_id = await create(application, document)
    assert (await said(application, flow_id, "one", session_id="s1"))["text"] == "HISTORY<> NOW<one>"
    assert (await said(application, flow_id, "two", session_id="s1"))["text"] == "HISTORY<User: one\nAI: HISTORY<> NOW<one>> NOW<two>"
    assert (await said(application, flow_id, "three", session_id="s2"))["text"] == "HISTORY<> NOW<three>"
    assert (await said(application, flow_id, "four"))["text"] == "HISTORY<> NOW<four>"


def mcp_node(config: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return as_tool("MCPTools", "MCPTools-m", {"mcp_server": {"value": {"name": "elsewhere", "config": config}, "type": "mcp"}, **fields})


async def test_an_agent_uses_the_tools_of_an_mcp_server(tmp_path: Path, models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", models.address)
    models.script(MODEL, Calls(("plus", {"a": 1, "b": 2}), ("say", {"text": "hi"}), ("fail", {})), Says("Done."))
    chosen = [
        {"name": "plus", "description": "Adds.", "tags": ["add"], "status": True},
        {"name": "say", "tags": ["say"], "status": True},
        {"name": "fail", "tags": ["fail"], "status": True},
        {"name": "hang", "tags": ["hang"], "status": False},
    ]
    async with tool_server() as server, open_application(tmp_path, allowed_addresses=["127.0.0.1"]) as application:
        document = with_tools(mcp_node({"url": server.address}, tools_metadata={"value": chosen, "type": "tools"}))
        flow_id = await create(application, document)
        assert (await said(application, flow_id, "Go"))["text"] == "Done."
        assert sorted(name for name, _ in server.calls) == ["add", "fail", "say"]
    assert models.requests[0].tools == ["plus", "fail", "say"]
    answers = [message["content"] for message in models.requests[1].messages if message["role"] == "tool"]
    assert answers == ['{"sum": 3}', "hi", "It is out of order."]


async def test_an_mcp_server_on_loopback_is_refused_before_anything_is_asked(application: Application, models: ModelServer) -> None:
    async with tool_server() as server:
        flow_id = await create(application, with_tools(mcp_node({"url": server.address})))
        answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "Go"})
        assert answer.status_code == 422, answer.text
        assert "127.0.0.1" in answer.text
        assert server.headers == []
    assert models.requests == []


async def test_a_command_starts_with_a_run_and_never_with_an_import_or_a_listing(tmp_path: Path) -> None:
    trace = tmp_path / "was-started"
    allowed = f"touch {trace}"
    async with open_application(tmp_path / "data", allowed_mcp_commands=[allowed]) as application:
        flow_id = await create(
            application,
            with_tools(mcp_node({"command": "touch", "args": [str(trace)]})),
            "starter",
            mcp_enabled=True,
            action_name="starter",
        )
        assert (await application.http.get(f"/api/v1/flows/{flow_id}")).status_code == 200
        async with application.mcp_client() as client:
            assert "starter" in {tool.name for tool in (await client.list_tools()).tools}
        assert not trace.exists()
        answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "Go"})
        assert answer.status_code == 500
        assert "The MCP server 'elsewhere' failed" in answer.text
        assert trace.exists()


async def test_a_command_that_was_not_allowed_is_not_started(application: Application, tmp_path: Path) -> None:
    trace = tmp_path / "was-started"
    flow_id = await create(application, with_tools(mcp_node({"command": "touch", "args": [str(trace)]})))
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "Go"})
    assert answer.status_code == 500 and "HEADWATER_ALLOWED_MCP_COMMANDS" in answer.text
    assert not trace.exists()
