"""What looks like an object that asks to be revived stays data wherever it was kept: in messages, in an agent's history, in files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.agent_documents import CALCULATOR, MODEL, with_tools
from tests.application import Application, open_application
from tests.model_server import ModelServer, Received, Says, model_server

SECRET = "sk-the-operators-own"
CONSTRUCTOR = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "revived"}}
VALUES: list[dict[str, Any]] = [CONSTRUCTOR, {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}]


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    monkeypatch.setenv("OPENAI_BASE_URL", models.address)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    async with open_application(tmp_path) as opened:
        yield opened


async def keep(application: Application, nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> str:
    kept = await application.http.post("/api/v1/flows/", json={"name": "kept", "data": flows.document(nodes, edges)})
    assert kept.status_code == 201, kept.text
    return str(kept.json()["id"])


async def said(application: Application, flow_id: str, text: str) -> str:
    answer = await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": text, "session_id": "one"})
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text
    return str(answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"])


def record(shown: str) -> Any:
    return json.loads(shown.strip().removeprefix("```json").removesuffix("```"))


async def remembering(application: Application) -> str:
    """Answers "[what was said before in the session] what is said now"."""
    memory = flows.node("Memory", "Memory-m", outputs=("messages_text",))
    nodes = [flows.chat_input(), memory, flows.prompt("Prompt-p", "[{before}] {now}", "before", "now"), flows.chat_output()]
    edges = [
        flows.edge("Memory-m", "Prompt-p", "before", output="messages_text"),
        flows.edge("ChatInput-in", "Prompt-p", "now"),
        flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt"),
    ]
    return await keep(application, nodes, edges)


async def messages(application: Application) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = (await application.http.get("/api/v1/monitor/messages", params={"session_id": "one"})).json()
    return told


@pytest.mark.parametrize("value", VALUES, ids=["constructor", "secret"])
async def test_out_of_the_message_history_comes_what_was_said(application: Application, value: dict[str, Any]) -> None:
    given = json.dumps(value)
    flow = await remembering(application)
    await said(application, flow, given)
    assert given in (await said(application, flow, "again")).rpartition("] ")[0]
    assert given in [message["text"] for message in await messages(application)]


@pytest.mark.parametrize("value", VALUES, ids=["constructor", "secret"])
async def test_a_message_that_a_client_has_rewritten_is_read_back_as_text(application: Application, value: dict[str, Any]) -> None:
    given = json.dumps(value)
    flow = await remembering(application)
    await said(application, flow, "plain")
    id = (await messages(application))[0]["id"]
    changed = await application.http.put(f"/api/v1/monitor/messages/{id}", json={"text": given})
    assert changed.status_code == 200, changed.text
    assert given in (await said(application, flow, "again")).rpartition("] ")[0]


@pytest.mark.parametrize("value", VALUES, ids=["constructor", "secret"])
async def test_an_agent_hands_its_model_the_history_as_it_was_said(
    application: Application, models: ModelServer, value: dict[str, Any]
) -> None:
    given = json.dumps(value)

    def repeat(received: Received) -> Says:
        return Says(str(received.messages[-1]["content"]))

    models.script(MODEL, repeat)
    document = with_tools(CALCULATOR)
    flow = await keep(application, document["nodes"], document["edges"])
    assert await said(application, flow, given) == given
    await said(application, flow, "again")
    told = [(message["role"], message["content"]) for message in models.requests[-1].messages if message["role"] != "system"]
    assert told == [("user", given), ("assistant", given), ("user", "again")]


@pytest.mark.parametrize("value", VALUES, ids=["constructor", "secret"])
@pytest.mark.parametrize("name", ["value.json", "value.txt", "value.yaml", "value.csv"])
async def test_an_uploaded_file_is_read_as_what_stands_in_it(application: Application, value: dict[str, Any], name: str) -> None:
    given = json.dumps(value)
    content = {"value.csv": 'name,value\nkept,"' + given.replace('"', '""') + '"\n'}.get(name, given)
    uploaded = await application.http.post("/api/v2/files", files={"file": (name, content.encode())})
    assert uploaded.status_code == 201, uploaded.text
    path = {"value": "", "type": "file", "file_path": [uploaded.json()["path"]], "list": True}
    for output in ("message", "json") if name == "value.json" else ("message",):
        reader = flows.node("File", "File-f", {"path": path}, outputs=(output,))
        edges = [flows.edge("File-f", "ChatOutput-out", "input_value", output=output)]
        shown = await said(application, await keep(application, [reader, flows.chat_output()], edges), "")
        if name == "value.json":
            assert record(shown) == value
        else:
            assert all(word in shown for word in ("lc", str(value["type"]), str(value["id"][-1]))), shown


async def test_data_with_such_an_object_in_it_goes_through_a_flow_as_it_is(application: Application) -> None:
    given = {"rows": [{"inner": value} for value in VALUES]}
    parse = flows.node(
        "TypeConverterComponent",
        "TypeConverterComponent-t",
        {"input_data": "", "output_type": "JSON", "auto_parse": True},
        outputs=("data_output",),
    )
    edges = [
        flows.edge("ChatInput-in", "TypeConverterComponent-t", "input_data"),
        flows.edge("TypeConverterComponent-t", "ChatOutput-out", "input_value", output="data_output"),
    ]
    flow = await keep(application, [flows.chat_input(), parse, flows.chat_output()], edges)
    assert record(await said(application, flow, json.dumps(given))) == given


ATTRIBUTES = {"{a.__class__}": "", "{a.__init__.__globals__}": "", "{a[0]}": "", "{a!r}": "", "{a:>{a.__class__}}": "{a:>}"}
"""What looks like an attribute, an index or a conversion → what stands in its place: it is the name of a field that nobody filled in."""


@pytest.mark.parametrize("probe", ATTRIBUTES)
async def test_a_prompt_template_reaches_no_attribute_of_what_it_is_given(application: Application, probe: str) -> None:
    nodes = [flows.chat_input(), flows.prompt("Prompt-p", f"Say {probe} {{a}}", "a"), flows.chat_output()]
    edges = [flows.edge("ChatInput-in", "Prompt-p", "a"), flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt")]
    flow = await keep(application, nodes, edges)
    assert await said(application, flow, "word") == f"Say {ATTRIBUTES[probe]} word"
