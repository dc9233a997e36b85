"""A flow fills a knowledge base and another one searches it, with the operator's embedding model, through the public doors."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.model_server import ModelServer, model_server

MANUAL = "The red door opens with the brass key.\nThe cellar is flooded every spring.\nBread is baked on Mondays."


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    monkeypatch.setenv("OPENAI_BASE_URL", models.address)
    async with open_application(tmp_path, default_embedding_model="openai:embedder") as opened:
        yield opened


def filling(base: str) -> dict[str, Any]:
    """The caller's text, a line a chunk, into the base."""
    split = flows.node(
        "SplitText", "SplitText-s", {"data_inputs": "", "chunk_size": 40, "chunk_overlap": 0, "separator": "\\n"}, outputs=("dataframe",)
    )
    knowledge = flows.node(
        "Knowledge",
        "Knowledge-k",
        {"mode": "Ingest", "knowledge_base": base, "input_df": {"value": "", "list": True}},
        outputs=("dataframe_output",),
    )
    return flows.document(
        [flows.chat_input(), split, knowledge, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "SplitText-s", "data_inputs"),
            flows.edge("SplitText-s", "Knowledge-k", "input_df", output="dataframe"),
            flows.edge("Knowledge-k", "ChatOutput-out", "input_value", output="dataframe_output"),
        ],
    )


def searching(base: str, *, type: str = "Knowledge", **fields: Any) -> dict[str, Any]:
    """The caller's text as the query; the first row's content is the answer."""
    chosen = {"memory_base": base} if type == "MemoryBase" else {"knowledge_base": base, "mode": "Retrieve"}
    found = flows.node(type, f"{type}-k", {"search_query": "", "top_k": 1, **chosen, **fields}, outputs=("retrieve_data",))
    parser = flows.node(
        "ParserComponent", "ParserComponent-p", {"input_data": "", "mode": "Parser", "pattern": "{content}"}, outputs=("parsed_text",)
    )
    return flows.document(
        [flows.chat_input(), found, parser, flows.chat_output()],
        [
            flows.edge("ChatInput-in", f"{type}-k", "search_query"),
            flows.edge(f"{type}-k", "ParserComponent-p", "input_data", output="retrieve_data"),
            flows.edge("ParserComponent-p", "ChatOutput-out", "input_value", output="parsed_text"),
        ],
    )


async def made(application: Application, data: dict[str, Any], name: str = "a flow") -> str:
    created = await application.http.post("/api/v1/flows/", json={"name": name, "data": data})
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def run(application: Application, flow_id: str, text: str, **body: Any) -> Any:
    return await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": text, **body})


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"])


async def test_what_one_flow_ingested_another_one_finds_by_its_meaning(application: Application, models: ModelServer) -> None:
    told = text_of(await run(application, await made(application, filling("House"), "fill"), MANUAL))
    info = json.loads(told.removeprefix("```json").removesuffix("```"))
    assert (info["kb_name"], info["added"], info["total"], info["embedding"]) == ("House", 3, 3, "embedder")
    search = await made(application, searching("House"), "search")
    assert text_of(await run(application, search, "which key opens the red door")) == "The red door opens with the brass key."
    assert text_of(await run(application, search, "when is bread baked")) == "Bread is baked on Mondays."
    # The same text again adds nothing.
    told = text_of(await run(application, await made(application, filling("House"), "again"), MANUAL))
    assert '"added": 0' in told and '"total": 3' in told


async def test_a_tool_call_finds_it_too_and_another_user_does_not(application: Application) -> None:
    assert (await run(application, await made(application, filling("House"), "fill"), MANUAL)).status_code == 200
    created = await application.http.post("/api/v1/flows/", json={"name": "ask_house", "mcp_enabled": True, "data": searching("House")})
    assert created.status_code == 201
    async with application.mcp_client() as client:
        result = await client.call_tool("ask_house", {"input_value": "the flooded cellar"})
    assert not result.is_error and "flooded every spring" in result.model_dump_json()
    theirs = await application.stranger.post("/api/v1/flows/", json={"name": "spy", "data": searching("House")})
    answer = await application.stranger.post(f"/api/v1/run/{theirs.json()['id']}", json={"input_value": "the flooded cellar"})
    assert answer.status_code == 422 and "no knowledge base" in answer.text and "flooded" not in answer.json()["detail"]


PATHS = ["../B/kb", "/etc/kb", ".", "..", "a/b", "a\\b", "C:kb", "kb\x00x", " kb", "kb.", "%2e%2e/kb", "~"]


def folders_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_dir()}


async def test_a_name_that_looks_like_a_path_is_refused_by_both_halves(application: Application, tmp_path: Path) -> None:
    before = folders_in(tmp_path)
    for data in [half(name) for name in PATHS for half in (filling, searching)]:
        created = await application.http.post("/api/v1/flows/", json={"name": "paths", "data": data})
        if created.status_code != 201:
            assert created.status_code == 422  # a NUL is refused on the way in
            continue
        answer = await run(application, created.json()["id"], "text")
        assert answer.status_code == 422, answer.text
        assert "Knowledge-k" in answer.text and "no name of a knowledge base" in answer.text
    assert folders_in(tmp_path) == before


async def test_filling_a_base_without_a_name_is_refused(application: Application) -> None:
    answer = await run(application, await made(application, filling("")), "text")
    assert answer.status_code in (422, 500) and "Name the knowledge base to fill." in answer.text


async def test_memory_finds_what_was_said_in_this_flow_by_its_meaning(application: Application, models: ModelServer) -> None:
    memory = await made(application, searching("", type="MemoryBase"), "remembers")
    for text in ("my dog is called Rex", "the weather is fine today"):
        assert (await run(application, memory, text, session_id="s")).status_code == 200
    assert text_of(await run(application, memory, "called dog my", session_id="s")) == "my dog is called Rex"
    # Another session has other memories.
    assert "Rex" not in (await run(application, memory, "called dog my", session_id="t")).text
