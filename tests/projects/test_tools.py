"""Tool names and schemas: what is listed can be called, and what is shown arrives."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects.access.caller import Caller
from projects.errors import InvalidInput, NotFound
from projects.flows.library import FlowDraft
from projects.services import ProjectServices
from projects.tools import NAME_LENGTH, clean_name, server_name
from tests import flow_documents as flows
from tests.services import open_test_services, to_text

PERSON_WRITTEN = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="😀🎉é ñ中文字-_. 1aZ", max_size=200),
    st.text(min_size=200, max_size=200),
    st.sampled_from(["Summarise", "summarise", "Summarise!", "1st", "___", "   x", "Ünï", "ﬁ", "a" * 40]),
)


@pytest.fixture
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ProjectServices, Caller]]:
    async with open_test_services(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def speaking(text: str) -> dict[str, Any]:
    """A flow that answers `<text> <input>`."""
    return flows.document(
        [flows.chat_input(), flows.prompt("Prompt Template-p", f"{text} {{said}}", "said"), flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Prompt Template-p", "said"),
            flows.edge("Prompt Template-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )


@given(name=PERSON_WRITTEN)
def test_a_cleaned_name_is_one_that_every_client_accepts(name: str) -> None:
    cleaned = clean_name(name)
    assert 1 <= len(cleaned) <= NAME_LENGTH
    assert all(char in "abcdefghijklmnopqrstuvwxyz0123456789_" for char in cleaned)
    assert not cleaned[0].isdigit()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(names=st.lists(PERSON_WRITTEN, min_size=1, max_size=6))
async def test_every_listed_tool_is_callable_and_runs_its_own_flow(opened: tuple[ProjectServices, Caller], names: list[str]) -> None:
    services, caller = opened
    project = await services.projects.create(caller, name="names")
    for number, name in enumerate(names):
        try:
            await services.flows.create(
                caller,
                FlowDraft(
                    name=name, document=to_text(speaking(f"flow {number}")), project_id=project.id, description=str(number), is_tool=True
                ),
            )
        except InvalidInput:
            continue  # a name that no database can keep is refused, and so is never listed
    tools = await services.tools.list_tools(caller, project.id)
    assert len({tool.name for tool in tools}) == len(tools) == len(await services.flows.list_flows(caller, project_id=project.id))
    for tool in tools:
        result = await services.tools.call_tool(caller, project.id, tool.name, {"input_value": "x"})
        assert result.flow_id == tool.flow_id
        assert result.outputs[0].outputs["message"].text == f"flow {tool.description} x"
    await services.projects.delete(caller, project.id)


FIELD_TYPES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(alphabet=st.characters(blacklist_characters="\x00\\", blacklist_categories=["Cs"]), min_size=1, max_size=20),
    "int": st.integers(-(10**9), 10**9),
    "float": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "bool": st.booleans(),
    "dict": st.dictionaries(st.text(alphabet="abc", min_size=1), st.integers(), max_size=3),
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
async def test_every_property_of_a_schema_reaches_its_node(opened: tuple[ProjectServices, Caller], data: st.DataObject) -> None:
    services, caller = opened
    vertices = data.draw(st.integers(1, 3))
    field_names = st.sampled_from(["input_value", "amount", "Größe", "session_id", "flag", "model_config", "a b", "self"])
    nodes, edges = [flows.text_output()], []
    for number in range(vertices):
        types = data.draw(st.dictionaries(field_names, st.sampled_from(sorted(FIELD_TYPES)), max_size=4))
        fields: dict[str, Any] = {
            name: {"value": None if type == "dict" else "", "type": type} for name, type in types.items() if name != "input_value"
        }
        nodes.append(flows.text_input(f"TextInput-{number}", name=data.draw(st.sampled_from(["Text Input", "Topic", "😀"])), **fields))
        edges.append(flows.edge(f"TextInput-{number}", "TextOutput-out", "input_value", output="text"))
    flow = await services.flows.create(caller, FlowDraft(name="fields", document=to_text(flows.document(nodes, edges)), is_tool=True))
    (tool,) = [tool for tool in await services.tools.list_tools(caller, flow.project_id) if tool.flow_id == flow.id]
    properties = dict(tool.input_schema["properties"])
    assert properties.pop("session_id")["type"] == "string"
    words = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "dict"}
    arguments = {name: data.draw(FIELD_TYPES[words[shown["type"]]], label=name) for name, shown in properties.items()}
    result = await services.tools.call_tool(caller, flow.project_id, tool.name, arguments)
    builds = await services.monitoring.list_transactions(caller, flow_id=flow.id, page=1, size=50)
    seen = {entry.vertex_id: entry.inputs for entry in builds[0]}
    for name, value in arguments.items():
        vertex_id, field = tool.binding[name]
        assert seen[vertex_id][field] == value
    assert result.flow_id == flow.id
    await services.flows.delete(caller, flow.id)


async def test_an_unknown_argument_and_a_wrong_type_are_named(opened: tuple[ProjectServices, Caller]) -> None:
    services, caller = opened
    flow = await services.flows.create(caller, FlowDraft(name="Strict", document=to_text(flows.echo()), is_tool=True))
    with pytest.raises(InvalidInput, match="colour"):
        await services.tools.call_tool(caller, flow.project_id, "strict", {"input_value": "x", "colour": "red"})
    with pytest.raises(InvalidInput, match="input_value"):
        await services.tools.call_tool(caller, flow.project_id, "strict", {"input_value": 3})


async def test_an_unknown_tool_is_not_found(opened: tuple[ProjectServices, Caller]) -> None:
    services, caller = opened
    project = await services.projects.default_project(caller)
    with pytest.raises(NotFound, match="nothing_here"):
        await services.tools.call_tool(caller, project.id, "nothing_here", {})


async def test_the_chat_text_is_required_only_when_nothing_is_stored(opened: tuple[ProjectServices, Caller]) -> None:
    services, caller = opened
    empty = await services.flows.create(caller, FlowDraft(name="Empty", document=to_text(flows.echo()), is_tool=True))
    stored = flows.document(
        [flows.chat_input(text="kept"), flows.chat_output()], [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")]
    )
    await services.flows.create(caller, FlowDraft(name="Stored", document=to_text(stored), is_tool=True))
    tools = {tool.name: tool for tool in await services.tools.list_tools(caller, empty.project_id)}
    assert tools["empty"].input_schema["required"] == ["input_value"]
    assert tools["stored"].input_schema["required"] == []
    result = await services.tools.call_tool(caller, empty.project_id, "stored", {})
    assert result.outputs[0].outputs["message"].text == "kept"


async def test_two_inputs_with_the_same_field_are_told_apart_by_their_names(opened: tuple[ProjectServices, Caller]) -> None:
    services, caller = opened
    document = flows.document(
        [
            flows.text_input("TextInput-1", name="Topic"),
            flows.text_input("TextInput-2", name="Tone"),
            flows.prompt("Prompt-1", "{a}/{b}", "a", "b"),
            flows.chat_output(),
        ],
        [
            flows.edge("TextInput-1", "Prompt-1", "a", output="text"),
            flows.edge("TextInput-2", "Prompt-1", "b", output="text"),
            flows.edge("Prompt-1", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )
    flow = await services.flows.create(caller, FlowDraft(name="Pair", document=to_text(document), is_tool=True))
    result = await services.tools.call_tool(caller, flow.project_id, "pair", {"input_value": "tea", "tone_input_value": "calm"})
    assert result.outputs[0].outputs["message"].text == "tea/calm"


async def test_a_renamed_or_hidden_flow_is_seen_by_the_next_list(opened: tuple[ProjectServices, Caller]) -> None:
    from projects.flows.library import FlowChanges

    services, caller = opened
    flow = await services.flows.create(caller, FlowDraft(name="Before", document=to_text(flows.echo()), is_tool=True))
    assert "before" in {tool.name for tool in await services.tools.list_tools(caller, flow.project_id)}
    await services.flows.update(caller, flow.id, FlowChanges(name="After"))
    assert "after" in {tool.name for tool in await services.tools.list_tools(caller, flow.project_id)}
    await services.flows.update(caller, flow.id, FlowChanges(is_tool=False))
    assert not {tool.name for tool in await services.tools.list_tools(caller, flow.project_id)} & {"before", "after"}


def test_a_projects_server_has_a_name_that_clients_can_take() -> None:
    names = {"Proj A (1)": "lf-proj_a_1", "Ünïcode Größe": "lf-unicode_große", "語": "lf-語", "1st": "lf-_1st", "!!!": "lf-unnamed"}
    assert {name: server_name(name) for name in names} == names
    assert len(server_name("x" * 300)) == len("lf-") + 26
