"""The kinds of flows that people bring with them, from import over HTTP to an answer: files, knowledge, pages, papers, agents in a row."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from projects.components.data_source import arxiv
from tests import flow_documents as flows
from tests.agent_documents import CALCULATOR, agent, as_tool, with_tools
from tests.application import Application, open_application
from tests.model_server import Calls, ModelServer, Received, Says, model_server
from tests.web_server import Answer, WebServer, web_server

MODEL = "the-operators-model"
NO_MODEL = {"value": "", "type": "model", "_input_type": "ModelInput"}  # as exports leave it
NO_KEY = {"value": "", "password": True, "_input_type": "SecretStrInput"}
FILE = {"value": "", "type": "file", "_input_type": "FileInput", "list": True, "file_path": []}
TABLE = {"value": "", "type": "other", "_input_type": "HandleInput"}
PAPERS = "".join(
    f"<entry><id>http://arxiv.org/abs/{n}</id><title>River {n}</title><summary>It flows.</summary><published>2024</published></entry>"
    for n in (1, 2, 3)
)


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def web() -> AsyncIterator[WebServer]:
    async with web_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer) -> AsyncIterator[Application]:
    """As an operator sets it up who has one model for everybody and lets flows call this machine."""
    settings: dict[str, Any] = {"default_model": f"openai:{MODEL}", "openai_base_url": models.address, "allowed_addresses": ["127.0.0.1"]}
    async with open_application(tmp_path, **settings) as opened:
        yield opened


async def imported(application: Application, name: str, data: dict[str, Any]) -> dict[str, Any]:
    created = await application.http.post("/api/v1/flows/", json={"name": name, "data": data})
    assert created.status_code == 201, created.text
    flow: dict[str, Any] = created.json()
    return flow


async def answered(application: Application, flow: dict[str, Any], text: str | None = None, **body: Any) -> str:
    said = {} if text is None else {"input_value": text}
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={**said, **body})
    assert answer.status_code == 200 and "warnings" not in answer.json(), answer.text
    (shown,) = answer.json()["outputs"][0]["outputs"]
    return str(shown["results"]["message"]["text"])


async def uploaded(application: Application, name: str, content: str) -> str:
    answer = await application.http.post("/api/v2/files/", files={"file": (name, content.encode())})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["path"])


async def choose_file(application: Application, flow: dict[str, Any], path: str, **marks: Any) -> None:
    """As the editor does it: the flow is changed, its Read File node names the file."""
    template = next(node for node in flow["data"]["nodes"] if node["data"]["type"] == "File")["data"]["node"]["template"]
    template["path"] |= {"file_path": [path], **marks}
    changed = await application.http.patch(f"/api/v1/flows/{flow['id']}", json={"data": flow["data"]})
    assert changed.status_code == 200, changed.text


def read_file() -> dict[str, Any]:
    made = flows.node("File", "File-f", {"path": FILE, "separator": "\n\n", "silent_errors": False})
    made["data"]["node"]["outputs"][0]["method"] = "load_files_message"
    return made


def parser(pattern: str) -> dict[str, Any]:
    fields = {"input_data": TABLE, "mode": "Parser", "pattern": pattern, "sep": "\n"}
    return flows.node("ParserComponent", "ParserComponent-p", fields, outputs=("parsed_text",))


def report_reader() -> dict[str, Any]:
    """Read File, an agent that gives records of a schema, a template, chat output; no chat input."""
    rows = [{"name": name, "description": "", "type": "str", "multiple": False} for name in ("COMPANY", "REVENUE")]
    extracts = agent(model=NO_MODEL, api_key=NO_KEY, output_schema={"value": rows, "type": "table"})
    extracts["data"]["node"]["outputs"][0] |= {"name": "structured_response", "method": "json_response"}
    edges = [
        flows.edge("File-f", "Agent-a", "input_value"),
        flows.edge("Agent-a", "ParserComponent-p", "input_data", output="structured_response"),
        flows.edge("ParserComponent-p", "ChatOutput-out", "input_value", output="parsed_text"),
    ]
    return flows.document([read_file(), extracts, parser("{COMPANY}: {REVENUE}"), flows.chat_output()], edges)


def extracts_company(received: Received) -> Says:
    company, _, revenue = received.last_text.partition(" earned ")
    return Says(json.dumps({"objects": [{"COMPANY": company, "REVENUE": revenue}]}))


async def test_an_uploaded_report_is_read_once_the_node_names_it(application: Application, models: ModelServer) -> None:
    models.script(MODEL, extracts_company)
    flow = await imported(application, "Reports", report_reader())
    without = await application.http.post(f"/api/v1/run/{flow['id']}", json={})
    assert "has no file" in without.text and "File-f" in without.text
    first, second = [await uploaded(application, f"{name}.txt", f"{name} earned 10 M") for name in ("Acme", "Bolt")]
    tweaks = {"File-f": {"path": [second]}}
    refused = await application.http.post(f"/api/v1/run/{flow['id']}", json={"tweaks": tweaks})
    assert refused.status_code == 422 and "api_editable" in refused.text
    await choose_file(application, flow, first)
    assert await answered(application, flow) == "Acme: 10 M"
    await choose_file(application, flow, first, api_editable=True)
    assert await answered(application, flow, tweaks=tweaks) == "Bolt: 10 M"


async def test_a_file_sent_with_a_chat_message_is_read(application: Application) -> None:
    sent = flows.chat_input(files={**FILE, "advanced": True})
    reader = read_file()
    reader["data"]["node"]["template"]["file_path"] = flows.template_field("file_path", TABLE)
    edges = [flows.edge("ChatInput-in", "File-f", "file_path"), flows.edge("File-f", "ChatOutput-out", "input_value")]
    flow = await imported(application, "Attachments", flows.document([sent, reader, flows.chat_output()], edges))
    path = await uploaded(application, "note.txt", "Buy milk.")
    assert await answered(application, flow, tweaks={"ChatInput-in": {"files": [path]}}) == "Buy milk."
    stolen = await application.stranger.post("/api/v2/files/", files={"file": ("secret.txt", b"secret")})
    answer = await application.http.post(f"/api/v1/run/{flow['id']}", json={"tweaks": {"ChatInput-in": {"files": [stolen.json()["path"]]}}})
    assert answer.status_code == 422 and "There is no uploaded file" in answer.text


def knowledge(mode: str, field: str, output: str, method: str) -> dict[str, Any]:
    fields = {"mode": mode, "knowledge_base": "Manuals" if mode == "Ingest" else "", "top_k": 5, "search_query": "", "input_df": TABLE}
    made = flows.node("Knowledge", "Knowledge-k", fields, outputs=(output,))
    made["data"]["node"]["outputs"][0]["method"] = method
    return made


async def test_an_agent_answers_from_a_document_that_was_uploaded(application: Application, models: ModelServer) -> None:
    filling = flows.document(
        [read_file(), knowledge("Ingest", "input_df", "dataframe_output", "build_kb_info"), flows.chat_output()],
        [
            flows.edge("File-f", "Knowledge-k", "input_df"),
            flows.edge("Knowledge-k", "ChatOutput-out", "input_value", output="dataframe_output"),
        ],
    )
    asking = flows.document(
        [
            flows.chat_input(),
            knowledge("Retrieve", "search_query", "retrieve_data", "retrieve_data"),
            parser("Text: {content}"),
            flows.prompt("Prompt-q", "Context:\n{context}\n\nQuestion: {question}", "context", "question", type="Prompt"),
            agent(model=NO_MODEL, api_key=NO_KEY),
            flows.chat_output(),
        ],
        [
            flows.edge("ChatInput-in", "Knowledge-k", "search_query"),
            flows.edge("Knowledge-k", "ParserComponent-p", "input_data", output="retrieve_data"),
            flows.edge("ParserComponent-p", "Prompt-q", "context", output="parsed_text"),
            flows.edge("ChatInput-in", "Prompt-q", "question"),
            flows.edge("Prompt-q", "Agent-a", "input_value", output="prompt"),
            flows.edge("Agent-a", "ChatOutput-out", "input_value", output="response"),
        ],
    )
    asking["nodes"][4]["data"]["node"]["outputs"][0]["method"] = "message_response"
    models.script(MODEL, lambda received: Says("Five days." if "Refunds take five days." in received.last_text else "I do not know."))
    questions = await imported(application, "Questions", asking)
    empty = await application.http.post(f"/api/v1/run/{questions['id']}", json={"input_value": "How long does a refund take?"})
    assert "There is no knowledge base yet" in empty.text
    fill = await imported(application, "Fill", filling)
    await choose_file(application, fill, await uploaded(application, "manual.txt", "Refunds take five days."))
    assert '"added": 1' in await answered(application, fill)
    assert await answered(application, questions, "How long does a refund take?") == "Five days."


async def test_an_agent_fetches_the_page_it_was_pointed_to(application: Application, models: ModelServer, web: WebServer) -> None:
    web.pages["/post"] = "<html><body><p>Rivers flow downhill.</p></body></html>"
    fields = {"urls": {"value": [], "list": True, "tool_mode": True}, "max_depth": 1, "format": "Text"}
    fetches = as_tool("URLComponent", "URLComponent-u", fields)

    def fetch(received: Received) -> Calls | Says:
        last = received.messages[-1]
        if last["role"] == "tool":
            return Says("It says so." if "Rivers flow downhill." in last["content"] else last["content"])
        (tool,) = [name for name in received.tools if name != "evaluate_expression"]
        return Calls((tool, {"urls": [received.last_text]}))

    models.script(MODEL, fetch)
    flow = await imported(application, "Writer", with_tools(fetches, CALCULATOR, model=NO_MODEL, api_key=NO_KEY))
    assert await answered(application, flow, f"{web.address}/post") == "It says so."
    assert [hit.path for hit in web.hits] == ["/post"]


async def test_each_paper_that_is_found_goes_through_a_model(
    application: Application, models: ModelServer, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.pages["/papers"] = Answer(f'<feed xmlns="http://www.w3.org/2005/Atom">{PAPERS}</feed>', content_type="application/atom+xml")
    monkeypatch.setattr(arxiv, "ARXIV", f"{web.address}/papers")
    finds = flows.node(
        "ArXivComponent", "ArXivComponent-x", {"search_query": "", "search_type": "all", "max_results": 3}, outputs=("dataframe",)
    )
    finds["data"]["node"]["outputs"][0]["method"] = "search_papers_dataframe"
    translates = flows.node(
        "LanguageModelComponent", "LanguageModelComponent-lm", {"input_value": "", "model": NO_MODEL}, outputs=("text_output",)
    )
    document = flows.document(
        [flows.chat_input(), finds, flows.loop("LoopComponent-l"), parser("{title}: {summary}"), translates, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "ArXivComponent-x", "search_query"),
            flows.edge("ArXivComponent-x", "LoopComponent-l", "data", output="dataframe"),
            flows.edge("LoopComponent-l", "ParserComponent-p", "input_data", output="item"),
            flows.edge("ParserComponent-p", "LanguageModelComponent-lm", "input_value", output="parsed_text"),
            flows.edge_back("LanguageModelComponent-lm", "LoopComponent-l", output="text_output"),
            flows.edge("LoopComponent-l", "ChatOutput-out", "input_value", output="done"),
        ],
    )
    models.script(MODEL, lambda received: Says(received.last_text.upper()))
    text = await answered(application, await imported(application, "Papers", document), "rivers")
    assert [text.count(f"RIVER {n}: IT FLOWS.") for n in (1, 2, 3)] == [1, 1, 1]
    assert web.hits[0].query == {"search_query": "all:rivers", "max_results": "3"} or web.hits[0].query["search_query"].endswith("rivers")


async def test_agents_in_a_row_hand_on_what_they_answered(application: Application, models: ModelServer) -> None:
    def named(id: str, role: str) -> dict[str, Any]:
        made = agent(id, model=NO_MODEL, api_key=NO_KEY, system_prompt=role)
        made["data"]["node"]["outputs"][0]["method"] = "message_response"
        return made

    edges = [
        flows.edge("ChatInput-in", "Agent-1", "input_value"),
        flows.edge("Agent-1", "Agent-2", "input_value", output="response"),
        flows.edge("Agent-2", "ChatOutput-out", "input_value", output="response"),
    ]
    document = flows.document([flows.chat_input(), named("Agent-1", "Invent."), named("Agent-2", "Judge."), flows.chat_output()], edges)
    models.script(MODEL, lambda received: Says(f"{received.messages[0]['content']} {received.last_text}"))
    flow = await imported(application, "Row", document)
    assert await answered(application, flow, "Boats") == "Judge. Invent. Boats"
    kept = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow["id"]})).json()
    assert [message["text"] for message in kept] == ["Boats", "Judge. Invent. Boats"]
