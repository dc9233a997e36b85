"""An image that a person uploads reaches a model that sees, as each provider's API takes images."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.agent_documents import agent
from tests.application import Application, open_application
from tests.model_server import ModelServer, Received, Says, model_server

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
DATA = b64encode(PNG).decode()
FILES = {"value": "", "type": "file", "_input_type": "FileInput", "list": True, "advanced": True}
SEES = "a-model-that-sees"


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        server.script(SEES, Says("A dot."))
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer) -> AsyncIterator[Application]:
    async with open_application(tmp_path, openai_base_url=models.address, allowed_addresses=[f"127.0.0.1:{models.port}"]) as opened:
        yield opened


def chat(asked: dict[str, Any], output: str, method: str) -> dict[str, Any]:
    asked["data"]["node"]["outputs"][0]["method"] = method
    edges = [
        flows.edge("ChatInput-in", asked["id"], "input_value"),
        flows.edge(asked["id"], "ChatOutput-out", "input_value", output=output),
    ]
    return flows.document([flows.chat_input(files=FILES), asked, flows.chat_output()], edges)


def language_model(provider: str, address: str = "") -> dict[str, Any]:
    fields: dict[str, Any] = {
        "input_value": "",
        "model": {"value": [{"name": SEES, "provider": provider}], "type": "model", "_input_type": "ModelInput"},
        "api_key": {"value": "a-key-of-the-test", "password": True},
    }
    if address:
        fields["base_url"] = address
    return chat(
        flows.node("LanguageModelComponent", "LanguageModelComponent-lm", fields, outputs=("text_output",)), "text_output", "text_response"
    )


async def shown(application: Application, models: ModelServer, document: dict[str, Any]) -> Received:
    """What the model was sent when the uploaded image came with the question."""
    uploaded = await application.http.post("/api/v2/files/", files={"file": ("dot.png", PNG, "image/png")})
    assert uploaded.status_code == 201, uploaded.text
    flow = (await application.http.post("/api/v1/flows/", json={"name": "Seeing", "data": document})).json()
    body = {"input_value": "What is this?", "tweaks": {"ChatInput-in": {"files": [uploaded.json()["path"]]}}}
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json=body)
    assert answer.status_code == 200 and "warnings" not in answer.json(), answer.text
    assert answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == "A dot."
    kept = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow["id"]})).json()
    assert uploaded.json()["path"] in kept[0]["files"]
    return models.requests[-1]


async def test_openai_gets_an_image_url(application: Application, models: ModelServer) -> None:
    asked = await shown(application, models, language_model("OpenAI"))
    assert asked.messages[-1]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
    ]


async def test_an_agent_sees_it_too(application: Application, models: ModelServer) -> None:
    seeing = agent(model={"value": [{"name": SEES, "provider": "OpenAI"}], "type": "model", "_input_type": "ModelInput"})
    asked = await shown(application, models, chat(seeing, "response", "message_response"))
    assert asked.messages[-1]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{DATA}"


async def test_anthropic_gets_an_image_block(application: Application, models: ModelServer) -> None:
    asked = await shown(application, models, language_model("Anthropic", models.origin))
    images = [block for block in asked.messages[-1]["content"] if block["type"] == "image"]
    assert images == [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}]


async def test_google_gets_inline_data(application: Application, models: ModelServer) -> None:
    asked = await shown(application, models, language_model("Google Generative AI", models.origin))
    (data,) = [part["inlineData"] for part in asked.body["contents"][-1]["parts"] if "inlineData" in part]
    assert data.get("mimeType", data.get("mime_type")) == "image/png"  # the API takes both spellings
    assert data["data"].replace("-", "+").replace("_", "/") == DATA
