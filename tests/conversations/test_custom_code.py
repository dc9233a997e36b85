"""Flows that bring components as code answer as Langflow 1.13 was seen to answer them, and are refused where nobody allowed the code."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application
from tests.code_texts import MODEL, MODES, keep, node_of, open_with_code, run, texts

WORDS = """
    from langflow.custom import Component
    from langflow.io import BoolInput, DropdownInput, IntInput, MessageTextInput, Output
    from langflow.schema import Data, DataFrame
    from langflow.schema.message import Message

    ENDING = "!"


    def louder(text: str) -> str:
        return text.upper() + ENDING


    class WordsComponent(Component):
        display_name = "Words"
        description = "Says words again and counts them."
        name = "Words"

        inputs = [
            MessageTextInput(name="text", display_name="Text", required=True, tool_mode=True),
            IntInput(name="times", display_name="Times", value=2),
            BoolInput(name="loud", display_name="Loud", value=True),
            DropdownInput(name="between", display_name="Between", options=[" ", "-"], value="-", advanced=True),
        ]
        outputs = [
            Output(display_name="Again", name="again", method="say_again"),
            Output(display_name="Counted", name="counted", method="count"),
            Output(display_name="Rows", name="rows", method="in_rows"),
        ]

        def _pre_run_setup(self):
            self.calls = 0

        def say_again(self) -> Message:
            self.calls += 1
            said = self.between.join([self.text] * self.times)
            self.status = said
            self.log(f"said {self.times} times", name="again")
            return Message(text=louder(said) if self.loud else said)

        def count(self) -> Data:
            words = self.text.split()
            self.update_ctx({"words": len(words)})
            return Data(data={"words": len(words), "chars": len(self.text), "seen": self.ctx.get("words")})

        async def in_rows(self) -> DataFrame:
            return DataFrame([{"i": i, "word": word} for i, word in enumerate(self.text.split())])
"""


@pytest.fixture(params=MODES)
async def running_code(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Application]:
    async with open_with_code(tmp_path / "data", request.param) as opened:
        yield opened


async def words_flow(application: Application) -> str:
    node = await node_of(application, WORDS, "Words-w")
    outputs = {"ChatOutput-a": "again", "ChatOutput-b": "counted", "ChatOutput-c": "rows"}
    return await keep(
        application,
        [flows.chat_input(), node, *(flows.chat_output(id) for id in outputs)],
        [
            flows.edge("ChatInput-in", "Words-w", "text"),
            *(flows.edge("Words-w", id, "input_value", output=output) for id, output in outputs.items()),
        ],
        name="words",
        mcp_enabled=True,
    )


async def agent_flow(application: Application) -> str:
    model = await node_of(application, MODEL, "Model-m")
    calculator = flows.node("CalculatorComponent", "Calculator-t", {"expression": ""}, outputs=("component_as_tool",), tool_mode=True)
    fields: dict[str, Any] = {
        "model": {"value": "", "type": "model"},
        "system_prompt": "Use the calculator.",
        "input_value": "",
        "tools": {"value": "", "type": "other", "list": True},
        "add_current_date_tool": False,
        "add_calculator_tool": False,
    }
    agent = flows.node("Agent", "Agent-a", fields, outputs=("response",), display_name="Agent")
    return await keep(
        application,
        [flows.chat_input(), model, calculator, agent, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Agent-a", "input_value"),
            flows.edge("Model-m", "Agent-a", "model", output="model"),
            flows.edge("Calculator-t", "Agent-a", "tools", output="component_as_tool"),
            flows.edge("Agent-a", "ChatOutput-out", "input_value", output="response"),
        ],
        name="agent",
    )


async def test_three_outputs_of_one_text_give_a_message_a_record_and_a_table(running_code: Application) -> None:
    flow = await words_flow(running_code)
    answer = await run(running_code, flow, "a b c")
    assert texts(answer) == {
        "ChatOutput-a": "A B C-A B C!",
        "ChatOutput-b": '```json\n{\n  "words": 3,\n  "chars": 5,\n  "seen": 3\n}\n```',
        "ChatOutput-c": "|   i | word   |\n|----:|:-------|\n|   0 | a      |\n|   1 | b      |\n|   2 | c      |",
    }
    first = answer.json()["outputs"][0]["outputs"][0]
    source = {"id": "Words-w", "display_name": "Words", "source": "Words"}
    assert first["results"]["message"]["properties"]["source"] == source
    tweaked = await run(running_code, flow, "a", tweaks={"Words-w": {"times": "3", "loud": False}})
    assert texts(tweaked)["ChatOutput-a"] == "a-a-a"


async def test_the_same_text_answers_a_tool_call_over_mcp(running_code: Application) -> None:
    await words_flow(running_code)
    async with running_code.mcp_client() as client:
        answer = await client.call_tool("words", {"input_value": "x"})
    assert not answer.is_error and "X-X!" in str(answer.content[0])


async def test_an_agent_asks_a_model_that_a_text_made(running_code: Application) -> None:
    answer = await run(running_code, await agent_flow(running_code), "2+3*4")
    assert texts(answer) == {"ChatOutput-out": 'evaluate_expression(expression) said: {"result": "14"}'}
    message = answer.json()["outputs"][0]["outputs"][0]["results"]["message"]
    assert message["properties"]["source"] == {"id": "Agent-a", "display_name": "Agent", "source": "Agent"}
    used, *said = message["content_blocks"][0]["contents"]
    assert (used["name"], used["tool_input"]) == ("evaluate_expression", {"expression": "2+3*4"})
    assert [(block["type"], block["header"].get("title"), block["text"]) for block in said] == [
        ("text", None, message["text"]),
        ("text", "Output", message["text"]),
    ]


async def test_by_default_both_flows_are_refused_by_the_id_of_the_node(application: Application) -> None:
    for flow, id in ((await words_flow(application), "Words-w"), (await agent_flow(application), "Model-m")):
        refused = await run(application, flow, "x")
        assert refused.status_code == 422 and refused.json()["detail"]["code"] == "FLOW_CANNOT_RUN"
        assert [node["id"] for node in refused.json()["detail"]["nodes"]] == [id]
        assert "HEADWATER_CUSTOM_CODE" in refused.text
        assert (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow})).json() == []
