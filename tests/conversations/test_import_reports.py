"""What a person reads of a flow that needs what is not here: at import, and when it is run all the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mcp_server.cli import commands
from tests import flow_documents as flows
from tests.application import Application

# Type → how it stands, and words that its reason and hint have.
TOLD = {
    "ext:tavily:TavilySearch@official": ("unsupported", "'tavily' bundle, which is not included.", "Web Search"),
    "PineconeVectorStore": ("unsupported", "'pinecone' bundle, which is not included.", "Knowledge"),
    "AstraDB": ("unsupported", "Vendor account needed", "Knowledge"),
    "AssemblyAITranscriber": ("unsupported", "Vendor account needed", "API Request"),
    "SequentialCrewComponent": ("unsupported", "Framework component, not supported: it wraps CrewAI", "Agent"),
    "XMLAgent": ("unsupported", "Framework component, not supported: it wraps a part of LangChain", "Agent"),
    "MyThing": ("code", "unknown here and the node carries code of its own. Its code is not run", "plugin component"),
    "PythonREPLComponent": ("code", "Its code is not run: this version runs no code", "Calculator"),
    "Smart Transform": ("code", "Its code is not run", "Data Operations"),
}


def needing(type: str) -> dict[str, Any]:
    node = flows.node(type, f"{type}-n", {"input_value": ""}, outputs=("out",), display_name="The Node")
    return flows.document(
        [flows.chat_input(), node, flows.chat_output()],
        [
            flows.edge("ChatInput-in", f"{type}-n", "input_value"),
            flows.edge(f"{type}-n", "ChatOutput-out", "input_value", output="out"),
        ],
    )


async def test_the_report_and_the_refused_run_name_node_reason_and_what_to_use(application: Application) -> None:
    for type, (status, reason, hint) in TOLD.items():
        flow = (await application.http.post("/api/v1/flows/", json={"name": type[:20], "data": needing(type)})).json()
        report = (await application.http.get(f"/api/v1/flows/{flow['id']}/report")).json()
        (told,) = [node for node in report["nodes"] if node["status"] != "native"]
        assert (told["id"], told["type"], told["status"]) == (f"{type}-n", type, status)
        assert reason in told["reason"] and hint in told["hint"], told
        ran = await application.http.post(f"/api/v1/run/{flow['id']}", json={"input_value": "x"})
        assert ran.status_code == 422, ran.text
        said = ran.json()["detail"]["message"]
        assert f"The Node ({type}-n): " in said and reason in said and hint in said
    assert (await application.http.get("/api/v1/monitor/messages")).json() == []  # nothing had started


def test_the_command_line_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [flows.node(type, f"{type}-n", outputs=("out",)) for type in TOLD]
    (tmp_path / "flow.json").write_text(json.dumps({"name": "vendors", "data": flows.document(nodes, [])}))
    monkeypatch.setenv("HEADWATER_SUPERUSER_PASSWORD", "a-long-password")
    ran = CliRunner().invoke(commands, ["import", str(tmp_path / "flow.json"), "--data-dir", str(tmp_path / "data")])
    assert ran.exit_code == 0, ran.output
    assert "9 nodes: 6 unsupported, 3 code" in ran.output
    for type, (status, reason, hint) in TOLD.items():
        (line,) = [line for line in ran.output.splitlines() if f"{type}-n:" in line]
        assert line.strip().startswith(status) and reason in line and hint in line


async def test_the_keyword_search_of_the_assistants_flow_is_ours_though_it_is_marked_as_edited(application: Application) -> None:
    data = flows.document([flows.node("DataFrameKeywordSearch", "DataFrameKeywordSearch-n", edited=True)], [])
    flow = (await application.http.post("/api/v1/flows/", json={"name": "assistant", "data": data})).json()
    report = (await application.http.get(f"/api/v1/flows/{flow['id']}/report")).json()
    assert [node["status"] for node in report["nodes"]] == ["native"]
