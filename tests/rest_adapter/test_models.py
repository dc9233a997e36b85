"""A chat flow with a model, over REST: the answer, and what callers are told when a provider fails or there is no model."""

from pathlib import Path
from typing import Any

import pytest

from tests.application import open_application
from tests.flow_documents import chat_input, chat_output, document, edge, node
from tests.model_server import Busy, Fails, Hangs, Says, model_server


def chat_flow() -> dict[str, Any]:
    model = node("LanguageModelComponent", "LanguageModelComponent-lm", {"input_value": "", "model": ""}, outputs=("text_output",))
    edges = [
        edge("ChatInput-in", "LanguageModelComponent-lm", "input_value"),
        edge("LanguageModelComponent-lm", "ChatOutput-out", "input_value", output="text_output"),
    ]
    return document([chat_input(), model, chat_output()], edges)


@pytest.mark.parametrize(
    ("answer", "status", "provider_status"), [(Fails(500), 502, 500), (Busy(retry_after=9), 503, 429), (Hangs(), 504, None)]
)
async def test_a_providers_failure_has_a_status_of_its_own(tmp_path: Path, answer: Any, status: int, provider_status: int | None) -> None:
    async with model_server() as server:
        server.script("a-model", answer)
        settings: dict[str, Any] = {
            "default_model": "openai:a-model",
            "openai_base_url": server.address,
            "model_retries": 0,
            "model_timeout_seconds": 0.5 if isinstance(answer, Hangs) else 60,
        }
        async with open_application(tmp_path, **settings) as application:
            created = await application.http.post("/api/v1/flows/", json={"name": "Chat", "data": chat_flow()})
            found = await application.http.post(f"/api/v1/run/{created.json()['id']}", json={"input_value": "Hi"})
    assert found.status_code == status, found.text
    assert found.json()["detail"]["provider_status"] == provider_status
    assert found.headers.get("retry-after") == ("9" if status == 503 else None)


async def test_a_chat_flow_answers_with_the_default_model_and_without_one_names_the_ways(tmp_path: Path) -> None:
    async with model_server() as server:
        server.script("a-model", Says("Hello from the model."))
        settings: dict[str, Any] = {"default_model": "openai:a-model", "openai_base_url": server.address, "ollama_base_url": None}
        async with open_application(tmp_path / "with", **settings) as application:
            created = await application.http.post("/api/v1/flows/", json={"name": "Chat", "data": chat_flow()})
            found = await application.http.post(f"/api/v1/run/{created.json()['id']}", json={"input_value": "Hi"})
        assert found.status_code == 200 and "Hello from the model." in found.text
        async with open_application(tmp_path / "without", ollama_base_url=None, variables_to_get_from_environment=[]) as application:
            created = await application.http.post("/api/v1/flows/", json={"name": "Chat", "data": chat_flow()})
            found = await application.http.post(f"/api/v1/run/{created.json()['id']}", json={"input_value": "Hi"})
        assert found.status_code == 422 and "headwater models add smollm2" in found.text
