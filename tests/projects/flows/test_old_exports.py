"""Exports of older releases import without losing anything, and run to an answer against a model server on loopback."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from projects.components.registry import load_registry
from projects.engine.events import VertexResult
from projects.engine.runner import run_graph
from projects.engine.values import Data, Message
from projects.flows.document import CompiledFlow, compile_document
from projects.flows.import_report import EdgeStatus, NodeStatus, ProblemKind
from projects.models.choice import ModelRegistry, ModelSettings
from projects.outgoing.guard import Guard
from tests import flow_documents
from tests.fakes import FakeFiles, FakeRunContext
from tests.model_server import Calls, ModelServer, Says, model_server
from tests.projects.flows import old_exports


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as running:
        yield running


def compiled(export: dict[str, Any]) -> CompiledFlow:
    return compile_document(json.dumps(export), load_registry(plugins=False))


async def answered(export: dict[str, Any], server: ModelServer, text: str, **context: Any) -> dict[str, VertexResult]:
    """The results of a run whose models come from the server, which the operator has set as OPENAI_BASE_URL."""
    flow = compiled(export)
    (start,) = [id for id in flow.graph.vertices if id.startswith("ChatInput")]
    async with ModelRegistry(ModelSettings(openai_base_url=server.address, ollama_base_url=""), Guard()) as models:
        run = FakeRunContext(variables={"OPENAI_API_KEY": "sk-of-the-owner"}, **context)

        async def resolve(name: str) -> str | None:
            return run.variables.get(name)

        run.models = models.for_run(owner_id="", resolve=resolve)  # type: ignore[assignment]
        return (await run_graph(flow.graph, context=run, values={start: {"input_value": text}})).results


def text_of(results: dict[str, VertexResult], id: str) -> str:
    message = results[id].outputs["message"]
    assert isinstance(message, Message)
    return message.text


@pytest.mark.parametrize("export", old_exports.EVERY_AGE.values(), ids=old_exports.EVERY_AGE)
def test_every_node_is_ours_and_every_edge_is_kept(export: Callable[[], dict[str, Any]]) -> None:
    report = compiled(export()).report
    assert {node.status for node in report.nodes} <= {NodeStatus.NATIVE, NodeStatus.NOTE}, report.missing
    assert EdgeStatus.DROPPED not in {edge.status for edge in report.edges}
    serious = {ProblemKind.EDGE, ProblemKind.CYCLE, ProblemKind.GROUP}
    assert [problem.message for problem in report.problems if problem.kind in serious] == []


async def test_an_alpha_with_text_ports_answers(server: ModelServer) -> None:
    server.script(old_exports.MODEL, lambda request: Says(f"Arr: {request.last_text}"))
    results = await answered(old_exports.alpha(), server, "Ahoy")
    assert text_of(results, "ChatOutput-a1b2c") == "Arr: Answer as a pirate.\n\nUser: Ahoy\n\nAnswer: "
    assert server.requests[0].key == "sk-of-the-owner"


async def test_a_1_0_chat_with_memory_answers(server: ModelServer) -> None:
    server.script(old_exports.MODEL, Says("Fine."))
    history = [Message(text="Earlier", sender="User", sender_name="User", session_id="the-run-session")]
    results = await answered(old_exports.one_zero(), server, "How are you?", history=history)
    assert text_of(results, "ChatOutput-x1") == "Fine."
    assert server.requests[0].last_text == "User: Earlier\n---\nHow are you?"
    assert server.requests[0].body["seed"] == 1


async def test_a_1_1_agent_calls_both_kinds_of_tools_behind_an_if_else(server: ModelServer) -> None:
    server.script(
        old_exports.MODEL,
        lambda request: (
            Says("42 and a+b") if request.messages[-1]["role"] == "tool" else Calls(*[(name, _arguments(name)) for name in request.tools])
        ),
    )
    results = await answered(old_exports.one_one(), server, "Please count")
    assert text_of(results, "ChatOutput-y1") == "42 and a+b"
    assert "ChatOutput-y2" not in results
    assert "join_words" in server.requests[0].tools
    told = [message["content"] for message in server.requests[-1].messages if message["role"] == "tool"]
    assert any("42" in text for text in told) and any("a+b" in text for text in told)
    results = await answered(old_exports.one_one(), server, "Count")
    assert text_of(results, "ChatOutput-y2") == "Count" and "ChatOutput-y1" not in results


def _arguments(tool: str) -> dict[str, str]:
    return {"text1": "a", "text2": "b"} if tool == "join_words" else {"expression": "6*7"}


async def test_a_1_3_extraction_with_a_connected_model_answers(server: ModelServer) -> None:
    server.script(
        old_exports.MODEL, Says(json.dumps({"objects": [{"city": "Oslo", "people": 700000}, {"city": "Bern", "people": 140000}]}))
    )
    results = await answered(old_exports.one_three(), server, "Oslo and Bern")
    assert text_of(results, "ChatOutput-z1") == "Oslo: 700000; Bern: 140000"


async def test_a_1_4_loop_with_a_model_in_its_body_answers(server: ModelServer) -> None:
    server.script(old_exports.MODEL, lambda request: Says(request.last_text.removeprefix("Shout: ").upper()))
    results = await answered(old_exports.one_four(), server, "a,b,c")
    assert text_of(results, "ChatOutput-w1") == "A B C"
    assert len(server.requests) == 3


async def test_a_table_of_one_file_has_the_columns_of_the_file() -> None:
    """Read File's editor lists `dataframe` with a method of its own when one CSV file is chosen, and with another one for several."""
    for method, columns in (("load_files_structured", ["id", "name"]), ("load_files", ["id", "name", "file_path"])):
        node = flow_documents.node("File", "File-a", {"path": {"value": "", "file_path": ["a.csv"], "type": "file", "list": True}})
        node["data"]["node"]["outputs"] = [{"name": "dataframe", "types": ["Table"], "method": method}]
        graph = compiled(flow_documents.document([node], [])).graph
        run = FakeRunContext(files=FakeFiles({"a.csv": b"id,name\n1,Ada\n"}))
        (table,) = (await run_graph(graph, context=run)).results["File-a"].outputs.values()
        assert table.columns == columns


async def test_the_records_of_an_older_directory_are_computed() -> None:
    node = flow_documents.node("Directory", "Directory-a", {"path": "."})
    node["data"]["node"]["outputs"] = [
        {"name": "data", "types": ["Data"], "method": "load_directory"},
        {"name": "dataframe", "types": ["DataFrame"], "method": "as_dataframe"},
    ]
    graph = compiled(flow_documents.document([node], [])).graph
    results = (await run_graph(graph, context=FakeRunContext(files=FakeFiles({"a.txt": b"one"})))).results
    assert results["Directory-a"].outputs["data"] == [Data({"file_path": "a.txt", "text": "one"})]
