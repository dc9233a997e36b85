"""The agents of exports before Agent."""

from typing import Any

import pytest

from projects.components.models_and_agents.older_agents import ToolCallingAgent
from projects.components.registry import load_registry
from projects.engine.values import Data, Message, Table
from projects.models.chat import ChatMessage
from tests.fakes import FakeChatModel, FakeRunContext, build, output_of

SAID = [{"text": "Hi, I am Ada.", "sender": "User"}, {"text": "Hello Ada.", "sender": "Machine"}]


@pytest.mark.parametrize("type", ["ToolCallingAgent", "OpenAIToolsAgent", "ext:langchain:ToolCallingAgentComponent@official"])
def test_exports_name_it_in_several_ways(type: str) -> None:
    assert load_registry(plugins=False).find(type) is ToolCallingAgent


@pytest.mark.parametrize("history", [[Data(row) for row in SAID], [Table(SAID)]])
async def test_the_connected_model_is_told_the_connected_history_and_no_other(history: list[Any]) -> None:
    model = FakeChatModel(["You are Ada."])
    context = FakeRunContext(history=[Message(text="of the session", sender="User")])
    node = build(
        ToolCallingAgent, context=context, llm=model, input_value=Message(text="Who am I?"), chat_history=history, system_prompt="Be kind."
    )
    assert (await output_of(node)).text == "You are Ada."
    assert model.asked == [
        [
            ChatMessage("system", "Be kind."),
            ChatMessage("user", "Hi, I am Ada."),
            ChatMessage("assistant", "Hello Ada."),
            ChatMessage("user", "Who am I?"),
        ]
    ]


async def test_the_input_stands_where_the_prompt_has_it() -> None:
    model = FakeChatModel(["Yes."])
    node = build(ToolCallingAgent, llm=model, input_value=Message(text="now"), user_prompt="Answer briefly: {input}", system_prompt="")
    await output_of(node)
    assert model.asked == [[ChatMessage("user", "Answer briefly: now")]]
