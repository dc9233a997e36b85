"""The operator's keys to models stay with the operator: a flow never reads one, and never chooses where one is sent."""

from pathlib import Path
from typing import Any

import pytest

from mcp_server.settings import load_settings
from tests import flow_documents as flows
from tests.application import open_application
from tests.model_server import Says, model_server

OPERATORS_KEY = "sk-operator-0123456789"


def reading_key(field: dict[str, Any]) -> dict[str, Any]:
    document = flows.document(
        [flows.text_input("TextInput-k"), flows.chat_output()], [flows.edge("TextInput-k", "ChatOutput-out", "input_value", output="text")]
    )
    document["nodes"][0]["data"]["node"]["template"]["input_value"] |= field
    return document


def asking(base_url: str) -> dict[str, Any]:
    model = flows.node(
        "OpenAIModel",
        "OpenAIModel-m",
        {
            "input_value": "",
            "model_name": "a-model",
            "openai_api_base": base_url,
            "api_key": {"value": "OPENAI_API_KEY", "password": True, "load_from_db": True, "_input_type": "SecretStrInput"},
        },
        outputs=("text_output",),
    )
    return flows.document(
        [flows.chat_input(), model, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "OpenAIModel-m", "input_value"),
            flows.edge("OpenAIModel-m", "ChatOutput-out", "input_value", output="text_output"),
        ],
    )


async def test_a_flow_never_reads_the_operators_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPERATORS_KEY)
    settings, _ = load_settings({"data_dir": tmp_path})
    async with open_application(tmp_path, given=settings) as application:
        for field in (
            {"value": "OPENAI_API_KEY", "load_from_db": True},
            {"value": "OPENAI_API_KEY", "load_from_db": True, "password": True},
        ):
            flow = (await application.http.post("/api/v1/flows/", json={"name": "reads", "data": reading_key(field)})).json()
            answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={})
            assert answer.status_code >= 400
            assert OPERATORS_KEY not in answer.text


async def test_the_operators_key_never_goes_to_an_address_of_a_flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPERATORS_KEY)
    async with model_server() as server:
        server.script("a-model", Says("hello"))
        host = server.address.split("//")[1].split("/")[0]
        settings, _ = load_settings({"data_dir": tmp_path, "allowed_addresses": [host]})
        async with open_application(tmp_path, given=settings) as application:
            flow = (await application.http.post("/api/v1/flows/", json={"name": "asks", "data": asking(server.address)})).json()
            await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "hi"})
        assert server.requests
        assert all(OPERATORS_KEY not in str(request) for request in server.requests)
