"""A model's provider that fails during a tool call: the client is told who, how, and at which node."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.application import Application, open_application
from tests.flow_documents import chat_input, chat_output, document, edge, node
from tests.mcp_server.conftest import Served
from tests.model_server import Answer, Breaks, Busy, Fails, Garbage, Hangs, ModelServer, TooLong, model_server

NODE = "LanguageModelComponent-lm"
FAILURES: dict[str, tuple[Answer, str, str]] = {
    "an error of its own": (Fails(503, "Overloaded."), "status 503", "Overloaded."),
    "a key that it refuses": (Fails(401, "Wrong key."), "status 401", "Check the provider's API key"),
    "too many requests": (Busy(retry_after=9), "status 429", "try again in 9 s"),
    "a text that is too long": (TooLong(), "status 400", "too long for a-model"),
    "half an answer": (Breaks(after=1), "OpenAI", "a-model"),
    "no answer of a model": (Garbage(), "status 200", "no answer of a model"),
    "silence": (Hangs(after=1), "OpenAI", "did not answer for a-model within 0.5 s"),
}


def chat_flow() -> dict[str, Any]:
    model = node("LanguageModelComponent", NODE, {"input_value": "", "model": ""}, outputs=("text_output",))
    edges = [edge("ChatInput-in", NODE, "input_value"), edge(NODE, "ChatOutput-out", "input_value", output="text_output")]
    return document([chat_input(), model, chat_output()], edges)


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer, failure: tuple[Answer, str, str]) -> AsyncIterator[Application]:
    settings: dict[str, Any] = {
        "default_model": "openai:a-model",
        "openai_base_url": models.address,
        "model_retries": 0,
        "model_timeout_seconds": 0.5 if isinstance(failure[0], Hangs) else 60,
    }
    async with open_application(tmp_path / "data", **settings) as opened:
        yield opened


async def ignored(progress: float, total: float | None, message: str | None) -> None:
    """Whoever wants progress has the answer streamed."""


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_the_text_names_the_provider_its_status_and_the_node(
    served: Served, models: ModelServer, failure: tuple[Answer, str, str], streams: bool
) -> None:
    answer, how, told = failure
    models.script("a-model", answer)
    await served.add_tool("helper", chat_flow())
    async with served.client() as client:
        result = await client.call_tool("helper", {"input_value": "Hi"}, progress_callback=ignored if streams else None)
    assert result.is_error
    (part,) = result.content
    text = part.text  # type: ignore[union-attr]
    assert all(said in text for said in ("'helper'", "OpenAI", f"component {NODE}", how, told)), text
    assert served.application.services.invocations.running_count == 0
