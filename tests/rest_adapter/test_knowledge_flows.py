"""Knowledge through the public door: one flow fills a base, another searches it, and no name of a base is a path."""

from pathlib import Path
from typing import Any

import pytest

from tests.application import Application, open_application
from tests.flow_documents import chat_input, chat_output, document, edge, node


def knowledge(mode: str, base: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "mode": mode,
        "knowledge_base": base,
        "search_query": "",
        "top_k": 5,
        "input_df": {"value": "", "type": "other", "_input_type": "HandleInput"},
    }
    made = node("Knowledge", "Knowledge-k", fields)
    made["data"]["node"]["outputs"] = [
        {"name": "dataframe_output", "method": "build_kb_info", "types": ["JSON"]},
        {"name": "retrieve_data", "method": "retrieve_data", "types": ["Table"]},
    ]
    return made


def flow(mode: str, base: str) -> dict[str, Any]:
    field, output = ("input_df", "dataframe_output") if mode == "Ingest" else ("search_query", "retrieve_data")
    edges = [edge("ChatInput-in", "Knowledge-k", field), edge("Knowledge-k", "ChatOutput-out", "input_value", output=output)]
    return document([chat_input(), knowledge(mode, base), chat_output()], edges)


async def run(application: Application, name: str, data: dict[str, Any], text: str, **tweaks: Any) -> Any:
    made = await application.http.post("/api/v1/flows/", json={"name": name, "data": data})
    assert made.status_code == 201, made.text
    body = {"input_value": text, "tweaks": {"Knowledge-k": tweaks}}
    return await application.http.post(f"/api/v1/run/{made.json()['id']}", json=body)


def folders(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_dir()}


async def test_what_one_flow_keeps_another_finds(tmp_path: Path) -> None:
    async with open_application(tmp_path) as application:
        kept = await run(application, "Fill", flow("Ingest", "House rules"), "Refunds take five days.")
        assert kept.status_code == 200 and '\\"added\\": 1' in kept.text, kept.text
        found = await run(application, "Search", flow("Retrieve", "House rules"), "how long does a refund take?")
        assert found.status_code == 200 and "Refunds take five days." in found.text, found.text


@pytest.mark.parametrize("name", ["../B/kb", "/etc/kb", ".", "..", "a/b", "kb\\x"])
@pytest.mark.parametrize("mode", ["Ingest", "Retrieve"])
async def test_a_base_cannot_be_named_by_a_path(tmp_path: Path, name: str, mode: str) -> None:
    async with open_application(tmp_path) as application:
        before = folders(tmp_path)
        for stored, tweaks in ((name, {}), ("kb", {"knowledge_base": name})):
            answer = await run(application, f"Flow {stored}", flow(mode, stored), "text", **tweaks)
            assert answer.status_code == 422 and "no name of a knowledge base" in answer.text, answer.text
        assert folders(tmp_path) == before
