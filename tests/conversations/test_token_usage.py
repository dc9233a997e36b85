"""What a component's own questions to a model took, on its result."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.agent_documents import agent
from tests.application import Application, open_application
from tests.model_server import ModelServer, Says, model_server

ONCE = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
TWICE = {"input_tokens": 14, "output_tokens": 10, "total_tokens": 24}
ROWS: dict[str, Any] = {"type": "table"}
SCHEMA = {"value": [{"name": "city", "description": "", "type": "str", "multiple": False}], **ROWS}
RECORD = json.dumps({"objects": [{"city": "Oslo"}]})
ROUTES = {"value": [{"route_category": "Praise", "route_description": "", "output_value": ""}], **ROWS}
TABLE = {"value": "", "type": "other"}


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer) -> AsyncIterator[Application]:
    async with open_application(tmp_path, default_model="openai:a-model", openai_base_url=models.address) as opened:
        yield opened


def asking(type: str, field: str, output: str, **fields: Any) -> dict[str, Any]:
    """Chat input, a node that asks a model, chat output."""
    node = flows.node(type, f"{type}-x", {field: "", **fields}, outputs=(output,))
    edges = [flows.edge("ChatInput-in", f"{type}-x", field), flows.edge(f"{type}-x", "ChatOutput-out", "input_value", output=output)]
    return flows.document([flows.chat_input(), node, flows.chat_output()], edges)


def structured_agent() -> dict[str, Any]:
    """An agent of which only the structured response is wanted."""
    made = agent("Agent-x", output_schema=SCHEMA)
    made["data"]["node"]["outputs"][0] |= {"name": "structured_response", "method": "json_response"}
    edges = [
        flows.edge("ChatInput-in", "Agent-x", "input_value"),
        flows.edge("Agent-x", "ChatOutput-out", "input_value", output="structured_response"),
    ]
    return flows.document([flows.chat_input(), made, flows.chat_output()], edges)


def batch() -> dict[str, Any]:
    """Two rows, each of which is asked about."""
    made = flows.node(
        "TypeConverterComponent",
        "TypeConverterComponent-t",
        {"input_data": TABLE, "auto_parse": True, "output_type": "DataFrame"},
        outputs=("dataframe_output",),
    )
    asks = flows.node("BatchRunComponent", "BatchRunComponent-x", {"df": TABLE, "column_name": "n"}, outputs=("batch_results",))
    edges = [
        flows.edge("ChatInput-in", "TypeConverterComponent-t", "input_data"),
        flows.edge("TypeConverterComponent-t", "BatchRunComponent-x", "df", output="dataframe_output"),
        flows.edge("BatchRunComponent-x", "ChatOutput-out", "input_value", output="batch_results"),
    ]
    return flows.document([flows.chat_input(), made, asks, flows.chat_output()], edges)


CASES = {
    "a language model": (asking("LanguageModelComponent", "input_value", "text_output"), "Fine.", ONCE),
    "records": (asking("StructuredOutput", "input_value", "structured_output", output_schema=SCHEMA), RECORD, ONCE),
    "records after a first answer that was none": (
        asking("StructuredOutput", "input_value", "structured_output", output_schema=SCHEMA),
        ["No.", RECORD],
        TWICE,
    ),
    "a batch": (batch(), "Fine.", TWICE),
    "a route": (asking("SmartRouter", "input_text", "category_1_result", routes=ROUTES), "Praise", ONCE),
    "a guard": (
        asking("GuardrailValidator", "input_text", "pass_result", enabled_guardrails={"value": ["Offensive Content"], "list": True}),
        json.dumps({"objects": []}),
        ONCE,
    ),
    "an agent's records": (structured_agent(), RECORD, ONCE),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_a_node_asked_is_counted_on_its_result(application: Application, models: ModelServer, case: Any) -> None:
    document, said, counted = case
    for model in ("a-model", "gpt-4o-mini"):
        models.script(model, *[Says(text) for text in ([said] if isinstance(said, str) else said)])
    flow = (await application.http.post("/api/v1/flows/", json={"name": "Counting", "data": document})).json()
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": '[{"n": 1}, {"n": 2}]', "output_type": "debug"})
    assert answer.status_code == 200, answer.text
    usage = {vertex["component_id"]: vertex["token_usage"] for vertex in answer.json()["outputs"][0]["outputs"]}
    (asked,) = [id for id in usage if id.endswith("-x")]
    assert usage == {**dict.fromkeys(usage), asked: counted}, "counted once, where the model was asked"
