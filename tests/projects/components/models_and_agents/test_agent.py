"""The agent: its loop over model and tools, its messages, its history, its structured response."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from projects.components.models_and_agents.agent import Agent
from projects.components.models_and_agents.agent_loop import MAX_TOOL_TEXT, named
from projects.engine.component import ComponentError, VertexInfo
from projects.engine.tools import Tool
from projects.engine.values import Data, Message, Source, Table
from projects.errors import ModelMissing, ProviderFailed
from projects.models.chat import ChatMessage, Reply, ToolCall, Usage
from tests.fakes import FakeChatModel, FakeModels, FakeRunContext, build, output_of


def tool(name: str = "echo", answer: Any = "done", *, node_id: str = "Node-a1", **changes: Any) -> Tool:
    """A tool that answers the same each time, or raises what it is given."""

    async def call(arguments: Mapping[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer(arguments) if callable(answer) else answer

    return replace(Tool(name, f"The {name} tool.", {"type": "object", "properties": {}}, call, node_id), **changes)


def calls(*names: str, usage: Usage | None = None, **arguments: Any) -> Reply:
    return Reply("", tuple(ToolCall(f"call_{number}", name, arguments) for number, name in enumerate(names, 1)), usage)


def agent(
    *script: str | Reply | Exception, context: FakeRunContext | None = None, **inputs: Any
) -> tuple[Any, FakeChatModel, FakeRunContext]:
    context = context or FakeRunContext()
    model = FakeChatModel(list(script))
    context.models = FakeModels(model)
    return build(Agent, context=context, **{"input_value": Message(text="hello")} | inputs), model, context


def feeding_chat_output(instance: Any) -> Any:
    instance.vertex = replace(instance.vertex, feeds=("ChatOutput",))
    return instance


def with_fields(instance: Any, **fields: Any) -> Any:
    instance.vertex = replace(instance.vertex, template_defaults=fields)
    return instance


async def test_without_tools_an_agent_is_one_question_to_its_model() -> None:
    instance, model, context = agent(Reply("Hi.", usage=Usage(5, 2), model="gpt-x"), system_prompt="Be kind.")
    message = await output_of(instance)
    assert model.asked == [[ChatMessage("system", "Be kind."), ChatMessage("user", "hello")]]
    assert model.offered == [[]]
    assert (message.text, message.sender, message.session_id) == ("Hi.", "Machine", "the-run-session")
    assert message.source == Source("Agent-test1", "Agent", "gpt-x")
    assert message.usage == {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    assert message.content_blocks == []
    assert context.kept == context.announced == []


async def test_what_tools_answer_goes_back_to_the_model_in_the_order_of_its_calls() -> None:
    instance, model, _ = agent(
        calls("slow", "fast", usage=Usage(10, 5), q="x"),
        Reply("Both.", usage=Usage(10, 5)),
        tools=[tool("slow", Data({"n": 1})), tool("fast", Table([{"a": 1}]))],
    )
    message = await output_of(instance)
    assert [spec.name for spec in model.offered[0]] == ["slow", "fast"]
    assert [(turn.role, turn.text, turn.tool_call_id) for turn in model.asked[1][2:]] == [
        ("tool", '{"n": 1}', "call_1"),
        ("tool", "|   a |\n|----:|\n|   1 |", "call_2"),
    ]
    assert message.text == "Both."
    assert message.usage == {"input_tokens": 20, "output_tokens": 10, "total_tokens": 30}
    first = message.content_blocks[0]
    assert (first["type"], first["name"], first["tool_input"], first["error"]) == ("tool_use", "slow", {"q": "x"}, None)
    assert first["header"] == {"title": "Executed **slow**", "icon": "Hammer"}
    assert first["output"]["content"] == '{"n": 1}'
    assert first["output"]["artifact"] == {"n": 1}
    assert first["output"]["status"] == "success"
    assert isinstance(first["duration"], int)
    said, last = message.content_blocks[-2:]
    assert (said["type"], said["header"], said["text"], type(said["duration"])) == ("text", {}, "Both.", int)
    assert (last["type"], last["header"]["title"], last["text"]) == ("text", "Output", "Both.")


async def test_tools_of_one_turn_run_at_the_same_time() -> None:
    both_are_there = asyncio.Barrier(2)

    async def meet(arguments: Mapping[str, Any]) -> str:
        await both_are_there.wait()
        return "met"

    tools = [replace(tool("one"), call=meet), replace(tool("two"), call=meet)]
    instance, model, _ = agent(calls("one", "two"), "Done.", tools=tools)
    async with asyncio.timeout(5):
        assert (await output_of(instance)).text == "Done."
    assert [turn.text for turn in model.asked[1][-2:]] == ["met", "met"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (calls("broken"), "It is out of order."),
        (calls("nowhere"), "There is no tool named 'nowhere'. The tools are: broken, works."),
        (Reply("", (ToolCall("c", "works", {}, problem="Not JSON."),)), "The arguments cannot be read: Not JSON."),
    ],
)
async def test_a_failing_tool_is_told_to_the_model_and_the_agent_goes_on(wanted: Reply, told: str) -> None:
    tools = [tool("broken", ComponentError("It is out of order.")), tool("works")]
    instance, model, _ = agent(wanted, "Then without.", tools=tools)
    message = await output_of(instance)
    assert message.text == "Then without."
    assert model.asked[1][-1].text.startswith(told)
    block = message.content_blocks[0]
    assert block["error"].startswith(told)
    assert block["output"]["status"] == "error"
    assert block["header"]["title"].startswith("Error using **")


async def test_unreadable_arguments_fail_the_agent_when_its_author_wants_that() -> None:
    unreadable = Reply("", (ToolCall("c", "works", {}, problem="Not JSON."),))
    instance, _, _ = agent(unreadable, tools=[tool("works")], handle_parsing_errors=False)
    with pytest.raises(ComponentError, match=r"works with arguments that cannot be read: Not JSON\."):
        await output_of(instance)


async def test_a_failing_model_fails_the_agent() -> None:
    instance, _, _ = agent(ProviderFailed("Down.", provider="Fake", provider_status=500))
    with pytest.raises(ProviderFailed):
        await output_of(instance)
    without, _, context = agent()
    context.models = FakeModels(None)
    with pytest.raises(ModelMissing):
        await output_of(without)


async def test_max_iterations_bounds_the_questions_to_the_model() -> None:
    instance, model, _ = agent(*[calls("echo")] * 3, tools=[tool()], max_iterations=3)
    message = await output_of(instance)
    assert len(model.asked) == 3
    assert message.text == "The agent stopped after 3 model calls without an answer. Raise max_iterations if it needs more."
    assert [block["type"] for block in message.content_blocks] == ["tool_use"] * 3 + ["text"]


async def test_a_huge_tool_answer_is_cut() -> None:
    instance, model, _ = agent(calls("echo"), "ok", tools=[tool(answer="x" * (MAX_TOOL_TEXT + 5))])
    await output_of(instance)
    assert model.asked[1][-1].text.endswith("x\n… (cut: 5 more characters)")


async def test_cancelling_an_agent_leaves_no_tool_running() -> None:
    started, ended = asyncio.Event(), []

    async def hang(arguments: Mapping[str, Any]) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        return ""

    instance, _, _ = agent(calls("one", "two"), tools=[replace(tool("one"), call=hang), replace(tool("two"), call=hang)])
    running = asyncio.create_task(output_of(instance))
    await started.wait()
    before = asyncio.all_tasks()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == [True, True]
    assert len(before) > 2
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_an_agent_ends_the_models_stream() -> None:
    started, ended = asyncio.Event(), []

    class Hanging(FakeChatModel):
        async def stream(self, messages: Any, *, tools: Any = (), options: Any = None) -> Any:
            try:
                started.set()
                await asyncio.Event().wait()
                yield Reply("never")
            finally:
                ended.append(True)

    instance, _, context = agent(context=FakeRunContext(is_followed_live=True))
    context.models = FakeModels(Hanging())
    running = asyncio.create_task(output_of(feeding_chat_output(instance)))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == [True]


async def test_placeholders_of_the_instructions_are_filled_literally() -> None:
    prompt = "On {current_date} I am {model_name}.{optional_user_context} {other} {{model_name}}"
    instance, model, _ = agent("ok", system_prompt=prompt)
    await output_of(instance)
    system = model.asked[0][0].text
    assert system.startswith("On 2") and "I am fake-model. {other} {fake-model}" in system


async def test_history_is_what_was_said_before_in_this_session_and_context() -> None:
    context = FakeRunContext()
    said = [("User", "first"), ("Machine", "second"), ("User", "third")]
    context.history = [Message(text=text, sender=sender, session_id="the-run-session") for sender, text in said]
    context.history.append(Message(text="elsewhere", sender="User", session_id="other"))
    instance, model, _ = agent("ok", context=context, n_messages=2)
    await output_of(instance)
    assert model.asked[0] == [ChatMessage("assistant", "second"), ChatMessage("user", "third"), ChatMessage("user", "hello")]
    forgetful, model, _ = agent("ok", context=context, n_messages=0)
    await output_of(forgetful)
    assert model.asked[0] == [ChatMessage("user", "hello")]


async def test_another_agents_answer_is_a_question() -> None:
    instance, model, _ = agent("ok", input_value=Message(text="idea", sender="Machine"))
    await output_of(instance)
    assert model.asked[0] == [ChatMessage("user", "idea")]


async def test_an_agent_that_is_asked_nothing_says_so() -> None:
    instance, _, _ = agent(input_value=Message())
    with pytest.raises(ComponentError, match="asked nothing"):
        await output_of(instance)


async def test_date_and_calculator_are_given_when_the_node_has_these_fields() -> None:
    old, model, _ = agent("ok")
    await output_of(old)
    assert model.offered == [[]]
    instance, model, _ = agent(calls("evaluate_expression", expression="2+3*4"), calls("get_current_date", timezone="Nowhere/No"), "14")
    message = await output_of(with_fields(instance, add_current_date_tool=True, add_calculator_tool=True))
    assert [spec.name for spec in model.offered[0]] == ["get_current_date", "evaluate_expression"]
    assert model.asked[1][-1].text == '{"result": "14"}'
    assert "Unknown time zone" in model.asked[2][-1].text
    assert [block["error"] is None for block in message.content_blocks[:-2]] == [True, False]
    without, model, _ = agent("ok", add_current_date_tool=False)
    await output_of(with_fields(without, add_current_date_tool=False, add_calculator_tool=True))
    assert [spec.name for spec in model.offered[0]] == ["evaluate_expression"]


def test_tools_of_one_name_are_told_apart_by_their_nodes() -> None:
    same = [tool("search", node_id="Web-aaa"), tool("search", node_id="Web-bbb"), tool("search", node_id="Web-bbb"), tool("odd name!")]
    names = list(named(same))
    assert names == ["search", "search_bbb", "search_bbb_2", "odd_name_"]
    assert all(len(name) <= 64 for name in named([tool("x" * 100), tool("x" * 100)]))


async def test_somebody_who_watches_sees_the_answer_grow() -> None:
    context = FakeRunContext(is_followed_live=True)
    instance, _, _ = agent(calls("echo"), "one two", context=context, tools=[tool()])
    message = await output_of(feeding_chat_output(instance))
    first, begun, done, *_ = context.announced
    assert (first.state, first.text, first.content_blocks) == ("partial", "", [])
    assert begun.content_blocks[0]["output"] is None
    assert done.content_blocks[0]["output"]["content"] == "done"
    assert {announced.id for announced in context.announced} == {message.id}
    assert context.tokens == [(message.id, "one"), (message.id, " two")]
    assert (message.state, message.text) == ("complete", "one two")
    assert context.kept == []


async def test_an_agent_in_the_middle_of_a_flow_shows_nothing() -> None:
    instance, _, context = agent("ok", context=FakeRunContext(is_followed_live=True))
    message = await output_of(instance)
    assert not (context.announced or context.tokens or context.kept)
    assert message.id is None


async def test_an_agent_is_a_tool_of_another() -> None:
    inner, inner_model, _ = agent("42", system_prompt="You know.")
    (as_tool,) = await inner.tools()
    assert as_tool.name == "Call_Agent"
    outer, outer_model, _ = agent(calls("Call_Agent", input_value="What is it?"), "It is 42.", tools=[as_tool])
    assert (await output_of(outer)).text == "It is 42."
    assert inner_model.asked == [[ChatMessage("system", "You know."), ChatMessage("user", "What is it?")]]
    assert outer_model.asked[1][-1].text == "42"


SCHEMA = [{"name": "city", "type": "str", "description": "Where", "multiple": False}, {"name": "people", "type": "int", "multiple": False}]


async def test_a_structured_response_asks_the_provider_for_the_schema_when_there_are_no_tools() -> None:
    instance, model, _ = agent('{"objects": [{"city": "Bern", "people": 3}]}', output_schema=SCHEMA)
    assert await output_of(instance, "structured_response") == Data({"city": "Bern", "people": 3})
    assert model.options[0].response_schema is not None


async def test_a_structured_response_with_tools_is_asked_for_in_the_instructions() -> None:
    answer = 'Here:\n```json\n{"objects": [{"city": "Bern", "people": "3"}, {"city": "Rome", "people": 5}]}\n```'
    instance, model, _ = agent(calls("echo"), answer, output_schema=SCHEMA, tools=[tool()])
    found = await output_of(instance, "structured_response")
    assert found == Data({"results": [{"city": "Bern", "people": 3}, {"city": "Rome", "people": 5}]})
    assert model.options[0].response_schema is None
    assert '"people"' in model.asked[0][0].text


async def test_a_structured_response_that_cannot_be_read_is_an_answer_with_the_error() -> None:
    with_schema, _, _ = agent("Sorry.", "Still sorry.", output_schema=SCHEMA)
    found = await output_of(with_schema, "structured_response")
    assert found.data["content"] == "" and "Still sorry." in found.data["error"]
    plain, _, _ = agent("No JSON here.")
    assert await output_of(plain, "structured_response") == Data(
        {"content": "No JSON here.", "error": "The model did not answer with JSON."}
    )


async def test_both_outputs_without_a_schema_share_one_answer() -> None:
    instance, model, _ = agent('{"a": 1}')
    message = await instance.message_response()
    assert await instance.json_response() == Data({"a": 1})
    assert message.text == '{"a": 1}' and len(model.asked) == 1


async def test_fields_of_older_agents_name_the_model() -> None:
    context = FakeRunContext(models=FakeModels(FakeChatModel(["ok"])))
    vertex = VertexInfo("Agent-old", "Agent", "Agent")
    inputs = {
        "agent_llm": "OpenAI",
        "model_name": "gpt-4o",
        "openai_api_key": "sk-old",
        "input_value": Message(text="hi"),
        "temperature": 0.1,
    }
    await Agent(vertex=vertex, inputs=inputs, context=context).message_response()
    (choice,) = context.models.choices
    assert (choice.provider, choice.model, choice.api_key) == ("OpenAI", "gpt-4o", "sk-old")
    assert context.models.chat is not None and context.models.chat.options[0].temperature == 0.1
