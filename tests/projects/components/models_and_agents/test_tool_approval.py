"""An agent whose tool needs a person's word: it waits before the call and goes on from there."""

import json
from dataclasses import replace
from typing import Any

import pytest

from projects.components.models_and_agents.agent import Agent
from projects.engine import snapshot
from projects.engine.component import PauseRun
from projects.engine.questions import Answer
from projects.models.chat import Reply, ToolCall
from tests.fakes import FakeRunContext, output_of
from tests.projects.components.models_and_agents.test_agent import agent, calls, tool


def counted(name: str, made: list[str], **keys: Any) -> Any:
    async def call(arguments: Any) -> Any:
        made.append(name)
        return f"{name} did it"

    return replace(tool(name, **keys), call=call)


async def paused(instance: Agent) -> PauseRun:
    with pytest.raises(PauseRun) as caught:
        await output_of(instance)
    return caught.value


def going_on(instance: Agent, pause: PauseRun, **actions: str) -> None:
    """As the run does it: what was to be remembered goes through its text."""
    context = instance.context
    assert isinstance(context, FakeRunContext)
    memory = snapshot.value_from_text(snapshot.value_to_text(pause.memory))
    context.memories[instance.vertex.id] = memory
    for question, action in zip(pause.questions, actions.values(), strict=True):
        context.answers[question.id] = Answer(action)  # type: ignore[arg-type]


async def test_an_approved_call_is_made_without_asking_the_model_again() -> None:
    made: list[str] = []
    tools = [counted("look", made), counted("send", made, needs_approval=True)]
    instance, model, _ = agent(calls("look", "send"), "Done.", tools=tools)
    pause = await paused(instance)
    (question,) = pause.questions
    assert (question.kind, made, len(model.asked)) == ("tool_approval", ["look"], 1)
    assert "send" in question.message
    going_on(instance, pause, first="accept")
    message = await output_of(instance)
    assert (message.text, made, len(model.asked)) == ("Done.", ["look", "send"], 2)
    assert [turn.text for turn in model.asked[1][-2:]] == ["look did it", "send did it"]
    steps = [block for block in message.content_blocks if block["type"] == "tool_use"]
    assert [step["output"]["status"] for step in steps] == ["success", "success"]


async def test_a_declined_call_is_not_made_and_the_model_is_told() -> None:
    made: list[str] = []
    instance, model, _ = agent(calls("send"), "Then not.", tools=[counted("send", made, needs_approval=True)])
    going_on(instance, await paused(instance), first="decline")
    message = await output_of(instance)
    assert (message.text, made) == ("Then not.", [])
    assert "declined" in model.asked[1][-1].text
    steps = [block for block in message.content_blocks if block["type"] == "tool_use"]
    assert [step["output"]["status"] for step in steps] == ["error"]


async def test_each_call_is_asked_for_by_itself() -> None:
    made: list[str] = []
    twice = Reply("", (ToolCall("c", "send", {"to": "a"}), ToolCall("c", "send", {"to": "b"})))
    instance, _, _ = agent(twice, calls("send"), "Done.", tools=[counted("send", made, needs_approval=True)])
    pause = await paused(instance)
    assert len({question.id for question in pause.questions}) == 2
    assert [json.dumps({"to": name}) in question.message for name, question in zip("ab", pause.questions, strict=True)] == [True, True]
    going_on(instance, pause, first="accept", second="decline")
    again = await paused(instance)
    assert made == ["send"]
    assert {question.id for question in again.questions}.isdisjoint({question.id for question in pause.questions})
    going_on(instance, again, first="accept")
    assert (await output_of(instance)).text == "Done."
    assert made == ["send", "send"]


async def test_what_the_first_output_gave_is_kept_while_the_second_waits() -> None:
    made: list[str] = []
    send = counted("send", made, needs_approval=True)
    schema = [{"name": "city", "type": "str", "multiple": False}]
    instance, model, _ = agent("Bern it is.", calls("send"), '{"objects": [{"city": "Bern"}]}', tools=[send], output_schema=schema)

    async def both() -> list[Any]:
        given = []
        for output in ("response", "structured_response"):
            instance.computing = output
            given.append(await output_of(instance, output))
        return given

    with pytest.raises(PauseRun) as caught:
        await both()
    going_on(instance, caught.value, first="accept")
    instance._answered = None  # it is another instance that goes on
    message, records = await both()
    assert (message.text, records.data) == ("Bern it is.", {"city": "Bern"})
    assert (made, len(model.asked)) == (["send"], 3)  # one answer, one call, one record: nothing was asked twice
