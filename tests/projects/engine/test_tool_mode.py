"""A node in tool mode gives an agent its outputs as tools."""

from dataclasses import replace
from typing import Any

import pytest

from projects.engine.component import InputKind
from projects.engine.events import VertexFailed, VertexFinished
from projects.engine.graph import Field, Graph, Vertex
from projects.engine.runner import run_graph
from projects.engine.steps import Steps
from projects.engine.tools import Tool, ToolFailed
from projects.engine.values import Data
from projects.errors import LimitReached
from tests.fakes import FakeRunContext
from tests.projects.engine.sample_components import Multiply, graph, vertex
from tests.projects.engine.test_runner import Recorder, run


def offering(node: Vertex | None = None) -> Graph:
    return graph(node or vertex("Multiply-m", tool_mode=True, unit="km"), vertex("Tools-t"), "Multiply-m.component_as_tool > Tools-t.tools")


async def tools_of(made: Graph, *, on_event: Recorder | None = None, steps: Steps | None = None) -> list[Tool]:
    context = FakeRunContext()
    await run(made, context=context, on_event=on_event, steps=steps)
    found: list[Tool] = context.state["tools"]
    return found


def choice(*rows: dict[str, Any]) -> Field:
    return Field("tools_metadata", "tools", InputKind.ANY, list(rows))


async def test_each_output_that_may_be_a_tool_is_one_named_after_its_method() -> None:
    tools = await tools_of(offering())
    assert [tool.name for tool in tools] == ["multiply", "always_fail"]
    assert {(tool.node_id, tool.display_name, tool.description) for tool in tools} == {("Multiply-m", "Multiply", "Multiplies.")}


async def test_its_arguments_are_the_inputs_marked_for_tools() -> None:
    schema = (await tools_of(offering()))[0].parameters
    assert schema["required"] == ["left"]
    assert schema["properties"] == {
        "left": {"type": "integer", "title": "Left", "description": "The first number."},
        "right": {"type": "integer", "title": "Right", "description": "Right", "default": 2},
    }


async def test_a_call_sets_its_arguments_on_a_copy_and_the_other_fields_stay() -> None:
    tool = (await tools_of(offering()))[0]
    assert await tool.call({"left": "6", "right": 7}) == Data({"result": "42 km"})
    assert await tool.call({"left": 3}) == Data({"result": "6 km"})


@pytest.mark.parametrize(
    ("arguments", "said"), [({}, "'left' is missing"), ({"left": 1, "up": 2}, "no argument 'up'"), ({"left": "many"}, "left")]
)
async def test_wrong_arguments_are_told_to_the_agent(arguments: dict[str, Any], said: str) -> None:
    tool = (await tools_of(offering()))[0]
    with pytest.raises(ToolFailed, match=said):
        await tool.call(arguments)


async def test_a_failing_tool_is_told_to_the_agent_and_kept_but_ends_no_run() -> None:
    heard = Recorder()
    tool = (await tools_of(offering(), on_event=heard))[1]
    with pytest.raises(ToolFailed, match=r"The abacus is broken\."):
        await tool.call({"left": 1})
    told = [event.result for event in heard.of(VertexFinished) if event.result.error]
    assert [(result.vertex_id, result.inputs, result.error) for result in told] == [("Multiply-m", {"left": 1}, "The abacus is broken.")]
    assert not heard.of(VertexFailed)


async def test_the_author_s_table_renames_describes_and_leaves_out() -> None:
    row = {"tags": ["multiply"], "name": "times two", "description": "Doubles.", "status": True}
    node = vertex("Multiply-m", tool_mode=True, fields=[choice(row)])
    (tool,) = await tools_of(offering(node))
    assert (tool.name, tool.description) == ("times-two", "Doubles.")
    off = vertex("Multiply-m", tool_mode=True, fields=[choice(row | {"status": False}, {"tags": ["always_fail"], "name": "always_fail"})])
    assert [tool.name for tool in await tools_of(offering(off))] == ["always_fail"]


async def test_a_table_of_an_older_release_names_the_component_before_the_method() -> None:
    rows = choice({"name": "times", "tags": ["Multiply-multiply"]}, {"name": "fail", "tags": ["Multiply-always_fail"], "status": False})
    tools = await tools_of(offering(vertex("Multiply-m", tool_mode=True, fields=[rows])))
    assert [tool.name for tool in tools] == ["times"]


async def test_a_lone_output_with_a_method_that_says_nothing_is_called_after_the_component() -> None:
    class UnitTeller(Multiply):
        declared_outputs = (replace(Multiply.declared_outputs[0], method="run"),)  # type: ignore[assignment]

        async def run(self) -> Data:
            return Data()

    node = replace(vertex("Multiply-m", tool_mode=True), component=UnitTeller)
    assert [tool.name for tool in await tools_of(offering(node))] == ["unit_teller"]


async def test_a_component_may_bring_its_own_tools() -> None:
    async def answer(arguments: Any) -> str:
        return "here"

    class Own(Multiply):
        async def tools(self) -> list[Tool]:
            return [Tool("own", "Mine.", {"type": "object", "properties": {}}, answer)]

    (tool,) = await tools_of(offering(replace(vertex("Multiply-m", tool_mode=True), component=Own)))
    assert (tool.name, await tool.call({}), tool.node_id) == ("own", "here", "Multiply-m")


async def test_calls_are_steps_of_the_run() -> None:
    context = FakeRunContext(state={"calls": [("multiply", {"left": 1})] * 4})
    with pytest.raises(LimitReached):
        await run_graph(offering(), context=context, steps=Steps(4))
