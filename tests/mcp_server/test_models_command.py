"""Which model a node gets that names none: told by the start, by `headwater models` and by the report of an import."""

import json
import time
from pathlib import Path
from typing import Any

from tests.commands import headwater
from tests.flow_documents import chat_input, chat_output, document, edge, node
from tests.model_server import Says, model_server
from tests.running_server import RunningServer, running_server

LM = "LanguageModelComponent-lm"


def said_by(*arguments: str | Path, environment: dict[str, str]) -> str:
    """What the command prints; it must end well."""
    done = headwater(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def line_about_models(server: RunningServer) -> str:
    """The line of the start; it comes a moment after the server is ready."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if (line := next((line for line in list(server.printed) if line.startswith("Nodes that name no model")), None)) is not None:
            return line
        time.sleep(0.02)
    raise AssertionError("".join(server.printed))


def chat_flow() -> dict[str, Any]:
    model = node("LanguageModelComponent", LM, {"input_value": "", "model": ""}, outputs=("text_output",), display_name="Asker")
    edges = [edge("ChatInput-in", LM, "input_value"), edge(LM, "ChatOutput-out", "input_value", output="text_output")]
    return {"name": "Chat", "data": document([chat_input(), model, chat_output()], edges)}


def test_the_operators_server_is_named_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(chat_flow()))
    with model_server() as models:
        models.script("small-model", Says("Hi."))
        environment = {"OPENAI_BASE_URL": models.address, "HEADWATER_OLLAMA_BASE_URL": ""}
        with running_server(tmp_path / "data", environment=environment) as server:
            assert "use OpenAI:small-model (OPENAI_BASE_URL" in line_about_models(server)
        listed = said_by("models", "--data-dir", tmp_path / "data", environment=environment)
        chat, _, embeddings = listed.partition("Embedding models:")
        assert f"OpenAI:small-model (OPENAI_BASE_URL, {models.address})  <- the default" in chat
        assert "<- the default" in embeddings
        report = said_by("import", file, "--data-dir", tmp_path / "data", environment=environment)
        assert f"Asker ({LM}) names no model; it uses OpenAI:small-model." in report


def test_without_any_model_the_ways_to_get_one_are_named_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(chat_flow()))
    environment = {"HEADWATER_OLLAMA_BASE_URL": "", "HEADWATER_VARIABLES_TO_GET_FROM_ENVIRONMENT": ""}
    with running_server(tmp_path / "data", environment=environment) as server:
        assert "have none here. How to get one: " in line_about_models(server)
    listed = said_by("models", "--data-dir", tmp_path / "data", environment=environment)
    report = said_by("import", file, "--data-dir", tmp_path / "data", environment=environment)
    for said in (listed, report):
        assert "HEADWATER_DEFAULT_MODEL" in said and "OPENAI_API_KEY" in said and "headwater models add smollm2" in said
    assert f"Asker ({LM}) names no model, and there is none to take." in report
