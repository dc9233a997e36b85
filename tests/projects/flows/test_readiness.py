"""What a flow lacks among its owner's variables, files and models, told node by node."""

import json
from pathlib import Path
from typing import Any

import pytest

from projects.components.registry import load_registry
from projects.errors import FlowCannotRun
from projects.flows import document as flow_document
from projects.flows import readiness
from projects.flows.document import CompiledFlow, compile_document
from projects.flows.import_report import NodeStatus, Problem, ProblemKind
from projects.flows.library import FlowDraft
from projects.flows.readiness import Surroundings
from projects.invocation import Invocation
from tests import flow_documents as flows
from tests.services import open_test_services, to_text

WAYS = Surroundings(variables=(), files=(), chat_model="OpenAI:gpt-4o-mini", embedding_model="")
OPENAI = [{"name": "gpt-4o-mini", "provider": "OpenAI"}]


def compiled(*nodes: dict[str, Any], edges: tuple[dict[str, Any], ...] = ()) -> CompiledFlow:
    return compile_document(json.dumps(flows.document(list(nodes), list(edges))), load_registry(plugins=False))


def told(flow: CompiledFlow, around: Surroundings = WAYS) -> list[Problem]:
    return readiness.shortcomings(flow.graph, around)


def extractor(model: Any, **fields: Any) -> dict[str, Any]:
    return flows.node("StructuredOutput", "StructuredOutput-s", {"model": {"value": model, "type": "model"}, **fields})


def greeting_from_variable() -> dict[str, Any]:
    return flows.node("TextInput", "TextInput-in", {"input_value": {"value": "GREETING", "load_from_db": True}}, outputs=("text",))


def test_a_node_without_a_model_says_which_one_it_would_use_or_how_to_get_one() -> None:
    (problem,) = told(compiled(extractor("")))
    assert problem.kind is ProblemKind.MODEL and problem.node == "StructuredOutput-s"
    assert problem.message.endswith("it uses OpenAI:gpt-4o-mini.")
    (problem,) = told(compiled(extractor("")), Surroundings(chat_model="", no_chat_model="Choose one."))
    assert problem.kind is ProblemKind.MISSING_MODEL
    assert problem.message.endswith("there is none to take. Choose one.")
    assert told(compiled(extractor("")), Surroundings()) == []


def test_a_node_that_waits_for_a_connected_model_says_so() -> None:
    (problem,) = told(compiled(extractor("connect_other_models")))
    assert "waits for a connected model" in problem.message


def test_a_named_provider_without_a_key_is_told_with_the_variable_that_would_hold_it() -> None:
    model = [{"name": "llama-3.3-70b", "provider": "Groq"}]
    (problem,) = told(compiled(extractor(model)))
    assert problem.message.endswith("store the variable GROQ_API_KEY.")
    assert told(compiled(extractor(model)), Surroundings(variables=("GROQ_API_KEY",))) == []
    assert told(compiled(extractor(model, api_key={"value": "gsk_x", "password": True}))) == []
    stored = compiled(extractor(model, api_key={"value": "MY_KEY", "load_from_db": True, "password": True}))
    (problem,) = told(stored)
    assert problem.message.endswith("store the variable MY_KEY.")
    assert told(stored, Surroundings(variables=("MY_KEY",))) == []
    assert told(compiled(extractor(OPENAI))) == []  # the default model shows that there is one


def test_a_connected_model_needs_nothing_more() -> None:
    edge = flows.edge("LanguageModelComponent-m", "StructuredOutput-s", "model", output="model_output")
    source = flows.node("LanguageModelComponent", "LanguageModelComponent-m", {"model": ""}, outputs=("model_output",))
    node = extractor("", api_key={"value": "MY_KEY", "load_from_db": True, "password": True})
    assert [problem.node for problem in told(compiled(source, node, edges=(edge,)))] == ["LanguageModelComponent-m"]


def test_variables_and_files_that_are_not_there_are_named() -> None:
    text = greeting_from_variable()
    path = "018f0000-0000-7000-8000-000000000001/report.txt"
    chat = flows.chat_input(files={"value": "", "type": "file", "file_path": [path], "list": True})
    variable, file = told(compiled(text, chat))
    assert (variable.kind, variable.variable) == (ProblemKind.MISSING_VARIABLE, "GREETING")
    assert "X-LANGFLOW-GLOBAL-VAR-GREETING" in variable.message
    assert file.kind is ProblemKind.MISSING_FILE and path in file.message
    assert told(compiled(text, chat), Surroundings(variables=("GREETING",), files=(path,))) == []


def test_a_reader_without_any_file_says_so() -> None:
    reader = flows.node("File", "File-f", {"path": {"value": "", "type": "file", "file_path": [], "list": True}})
    (problem,) = told(compiled(reader))
    assert problem.kind is ProblemKind.MISSING_FILE and "has no file yet" in problem.message
    edge = flows.edge("ChatInput-in", "File-f", "file_path")
    assert told(compiled(flows.chat_input(), reader, edges=(edge,))) == []


def test_a_provider_whose_package_is_not_installed_stops_its_node_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        flow_document, "missing_package", lambda provider: 'pip install "headwater[anthropic]"' if provider == "Anthropic" else None
    )
    flow = compiled(extractor([{"name": "claude-x", "provider": "Anthropic"}]))
    (node,) = flow.report.nodes
    assert node.status is NodeStatus.UNSUPPORTED
    assert node.hint == 'The operator installs it with: pip install "headwater[anthropic]"'
    assert flow.graph.vertices["StructuredOutput-s"].component is None
    assert compiled(extractor(OPENAI)).report.missing == ()
    older = flows.node("AnthropicModel", "AnthropicModel-a", {"model_name": "claude-x"}, outputs=("text_output",))
    assert [problem.node_id for problem in compiled(older).report.missing] == ["AnthropicModel-a"]


async def test_the_report_on_a_stored_flow_says_which_model_it_would_use(tmp_path: Path) -> None:
    document = to_text(flows.document([extractor("")], []))
    async with open_test_services(tmp_path, ollama_base_url="") as (services, caller):
        flow = await services.flows.create(caller, FlowDraft(name="Extracts", document=document))
        (problem,) = (await services.reports.report(caller, flow.id)).lacking
        assert "Any one of these helps: choose a model on the node" in problem.message
        await services.variables.create(caller, name="GROQ_API_KEY", value="gsk_x", type="Credential")
        report = await services.reports.report(caller, flow.id)
        assert report.lacking == ()
        assert [problem.kind for problem in report.problems] == [ProblemKind.MODEL]
        assert "it uses Groq:" in report.problems[0].message


async def test_the_report_on_a_stored_flow_knows_what_its_owner_has(tmp_path: Path) -> None:
    text = greeting_from_variable()
    document = flows.document([text, flows.text_output()], [flows.edge("TextInput-in", "TextOutput-out", "input_value", output="text")])
    async with open_test_services(tmp_path) as (services, caller):
        flow = await services.flows.create(caller, FlowDraft(name="Greets", document=to_text(document)))
        kinds = [problem.kind for problem in (await services.reports.report(caller, flow.id)).problems]
        assert kinds == [ProblemKind.MISSING_VARIABLE]
        await services.variables.create(caller, name="GREETING", value="Hello", type="Generic")
        kinds = [problem.kind for problem in (await services.reports.report(caller, flow.id)).problems]
        assert kinds == [ProblemKind.VARIABLE]


@pytest.mark.parametrize(
    "type", ["SequentialCrewComponent", "AstraDB", "PythonREPLComponent", "Smart Transform", "ext:acme:Rocket@official"]
)
async def test_what_cannot_run_is_refused_before_anything_starts(tmp_path: Path, type: str) -> None:
    node = flows.node(type, "Vendor-v", {"input_value": ""})
    edges = [flows.edge("ChatInput-in", "Vendor-v", "input_value"), flows.edge("Vendor-v", "ChatOutput-out", "input_value")]
    document = flows.document([flows.chat_input(text="hi"), node, flows.chat_output()], edges)
    async with open_test_services(tmp_path) as (services, caller):
        flow = await services.flows.create(caller, FlowDraft(name="Needs it", document=to_text(document)))
        with pytest.raises(FlowCannotRun) as refused:
            await services.invocations.invoke(caller, flow.id, Invocation(input_value="hello"))
        assert [problem.node_id for problem in refused.value.nodes] == ["Vendor-v"]
        assert all(problem.reason and problem.hint for problem in refused.value.nodes)
        assert await services.messages.list_messages(caller, flow_id=flow.id) == []
