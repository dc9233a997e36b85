"""Run Flow and the components that were there before it, over flows that are given."""

from typing import Any

import pytest

from projects.components.flow_controls.flow_tool import FlowTool
from projects.components.flow_controls.run_flow import RunFlow
from projects.components.flow_controls.sub_flow import SubFlow
from projects.engine.component import ComponentError
from projects.engine.context import ChildFlow, ChildResult
from projects.engine.tools import ToolFailed
from projects.engine.values import Data, Message, Table
from tests.fakes import FakeFlows, FakeRunContext, build, output_of

INPUT = {
    "vertex_id": "ChatInput-a", "field": "input_value", "display_name": "Chat Input: Text", "type": "str", "required": False, "info": "",
    "value": "",
}  # fmt: skip
OUTPUT = {"vertex_id": "ChatOutput-b", "output": "message", "display_name": "Chat Output"}


def context() -> FakeRunContext:
    child = ChildFlow("id-1", "Mini Echo", "Says it again.", (INPUT,), (OUTPUT,))
    result = ChildResult({"ChatOutput-b": {"message": Message(text="again")}, "DataOutput-c": {"data": Data({"n": 1})}})
    return FakeRunContext(flows=FakeFlows([child], {"id-1": result}))


def fields(separator: str, value: Any) -> dict[str, Any]:
    return {f"ChatInput-a{separator}input_value": value}


async def test_an_output_is_the_one_its_name_says_and_the_flow_runs_once() -> None:
    around = context()
    instance = build(RunFlow, context=around, flow_name_selected="Mini Echo", **fields("~", Message(text="deep")))
    assert RunFlow.method_for("ChatOutput-b~message") == "flow_output"
    for name, value in (("ChatOutput-b~message", Message(text="again").text), ("DataOutput-c~data", Data({"n": 1}))):
        instance.computing = name
        given = await instance.flow_output()  # type: ignore[attr-defined]
        assert (given.text if isinstance(given, Message) else given) == value
    (run,) = around.flows.runs
    assert run == {
        "flow_id": "id-1",
        "input_value": None,
        "values": {("ChatInput-a", "input_value"): "deep"},
        "session_id": "the-run-session",
    }


async def test_an_output_that_the_flow_did_not_give_is_named() -> None:
    instance = build(RunFlow, context=context(), flow_id_selected="id-1")
    instance.computing = "ChatOutput-x~message"
    with pytest.raises(ComponentError, match="ChatOutput-b~message"):
        await instance.flow_output()  # type: ignore[attr-defined]


async def test_older_outputs_give_the_first_value_as_message_record_or_table() -> None:
    async def given(name: str) -> Any:
        return await output_of(build(RunFlow, context=context(), flow_name_selected="Mini Echo"), name)

    assert (await given("flow_outputs_message")).text == "again"
    assert await given("flow_outputs_data") == Data({"text": "again"})
    assert await given("flow_outputs_dataframe") == Table(rows=[{"text": "again"}])


async def test_a_node_of_1_0_names_the_flow_and_its_text_by_other_fields() -> None:
    around = context()
    node = build(RunFlow, context=around, flow_name="Mini Echo", input_value=Message(text="hello"))
    assert await output_of(node, "flow_outputs_data") == Data({"text": "again"})
    assert [(run["flow_id"], run["input_value"]) for run in around.flows.runs] == [("id-1", "hello")]


@pytest.mark.parametrize(("chosen", "said"), [("", "No flow is chosen"), ("Nope", "no flow 'Nope'")])
async def test_a_flow_must_be_chosen_and_be_there(chosen: str, said: str) -> None:
    with pytest.raises(ComponentError, match=said):
        await output_of(build(RunFlow, context=context(), flow_name_selected=chosen))


async def test_as_a_tool_it_takes_the_open_fields_of_the_other_flow() -> None:
    around = context()
    tools = await build(RunFlow, context=around, flow_name_selected="Mini Echo").tools()
    assert tools is not None
    (tool,) = tools
    assert (tool.name, tool.description) == ("Mini-Echo_tool", "Says it again.")
    fields = tool.parameters["properties"]["flow_tweak_data"]
    assert list(fields["properties"]) == ["ChatInput-a~input_value"]
    answer = await tool.call({"flow_tweak_data": {"ChatInput-a~input_value": "hi"}})
    assert answer.text == "again"
    assert around.flows.runs[0]["values"] == {("ChatInput-a", "input_value"): "hi"}
    with pytest.raises(ToolFailed, match="no argument 'other'"):
        await tool.call({"flow_tweak_data": {"other": 1}})


async def test_a_sub_flow_gives_a_record_for_each_output() -> None:
    around = context()
    given = await output_of(build(SubFlow, context=around, flow_name="Mini Echo", **fields("|", "hi")))
    assert given == [Data({"text": "again"}), Data({"n": 1})]
    assert around.flows.runs[0]["values"] == {("ChatInput-a", "input_value"): "hi"}


async def test_a_flow_as_tool_takes_one_text() -> None:
    around = context()
    (tool,) = await output_of(build(FlowTool, context=around, flow_name="Mini Echo", tool_name="echo it"))
    assert (tool.name, tool.description) == ("echo-it", "Says it again.")
    assert await tool.call({"input_value": "hi"}) == 'again\n{"n":1}'
    assert around.flows.runs[0]["input_value"] == "hi"
    with pytest.raises(ToolFailed, match="input_value"):
        await tool.call({})
