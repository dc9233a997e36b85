"""Texts derived from stock components add to what ours do, and those that add nothing are ours."""

from pathlib import Path
from textwrap import dedent

import pytest

from projects.components.builtin import BUILTIN
from projects.custom_code import stock
from projects.custom_code.policy import CustomCode
from tests import flow_documents as flows
from tests.application import Application, open_application
from tests.code_texts import MODEL, agent_with, flow_around, keep, node_of, run, said_by, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_method_that_is_overridden_calls_ours_with_the_inputs_as_they_are_then(running_code: Application) -> None:
    code = """
        from lfx.components.processing.parser import ParserComponent
        from lfx.io import BoolInput
        from lfx.schema import Data, Message

        class LoudParser(ParserComponent):
            display_name = "Loud Parser"
            inputs = [*ParserComponent.inputs, BoolInput(name="loud", display_name="Loud", value=True)]

            def parse_combined_text(self) -> Message:
                self.input_data = [Data(text=self.input_data.get_text()), Data(text="two")]
                message = super().parse_combined_text()
                return Message(text=message.text.upper() if self.loud else message.text)
    """
    node = await node_of(running_code, code)
    template = node["data"]["node"]["template"]
    assert {"input_data", "pattern", "sep", "loud"} <= template.keys(), "fields of both"
    assert [item["name"] for item in node["data"]["node"]["outputs"]] == ["parsed_text"]
    assert await said_by(running_code, code, feed="input_data", pattern="<{text}>", sep=" ") == "<HELLO> <TWO>"
    assert await said_by(running_code, code, feed="input_data", pattern="<{text}>", sep=" ", loud=False) == "<hello> <two>"


async def test_ours_is_awaited_where_the_text_awaits_it_and_knows_fields_of_the_authors_own(running_code: Application) -> None:
    code = """
        import asyncio
        from langflow.components.prompts import PromptComponent
        from langflow.schema.message import Message

        class PromptComponent(PromptComponent):
            async def build_prompt(self) -> Message:
                prompt = await asyncio.wait_for(super().build_prompt(), 60)
                self.status = prompt.text
                return Message(text=prompt.text + "!")
    """
    for text in (code, code.replace("class PromptComponent(", "class Greeting(")):
        assert await said_by(running_code, text, feed="name", template="Dear {name}", output="prompt") == "Dear hello!"


async def test_an_output_that_ours_stops_keeps_its_branch_from_running(running_code: Application) -> None:
    code = """
        from lfx.components.logic import ConditionalRouterComponent

        class Fork(ConditionalRouterComponent):
            def _pre_run_setup(self):
                self.match_text = self.match_text.strip()
    """
    node = await node_of(running_code, code, match_text=" abc ", operator="equals")
    ends = [flows.chat_output("ChatOutput-yes"), flows.chat_output("ChatOutput-no")]
    flow = await keep(
        running_code,
        [flows.chat_input(), node, *ends],
        [
            flows.edge("ChatInput-in", "Text-n", "input_text"),
            flows.edge("Text-n", "ChatOutput-yes", "input_value", output="true_result"),
            flows.edge("Text-n", "ChatOutput-no", "input_value", output="false_result"),
        ],
    )
    assert list(texts(await run(running_code, flow, "abc"))) == ["ChatOutput-yes"]
    assert list(texts(await run(running_code, flow, "abd"))) == ["ChatOutput-no"]


async def test_what_fails_in_ours_fails_the_node_in_its_words_and_can_be_caught(running_code: Application) -> None:
    code = """
        from lfx.components.processing.json_cleaner import JSONCleaner
        from lfx.schema import Message

        class Careful(JSONCleaner):
            def clean_json(self) -> Message:
                try:
                    return super().clean_json()
                except KeyError as error:
                    return Message(text=f"caught: {error}")
    """
    caught = await said_by(running_code, code.replace("KeyError", "Exception"), feed="json_str")
    assert caught == "caught: This is no JSON object: it lacks { or }."
    for text, told in (
        (code, "it lacks { or }"),
        (code.replace("super().clean_json()", "self.parse()"), "of JSONCleaner its inputs, its outputs"),
    ):
        answer = await run(running_code, await flow_around(running_code, text, feed="json_str"))
        assert answer.status_code == 500 and told in answer.text and "Text-n" in answer.text, answer.text


async def test_an_agent_gets_the_tools_that_the_text_adds_to_those_on_its_edge(running_code: Application) -> None:
    code = """
        from langchain_core.tools import StructuredTool
        from lfx.components.models_and_agents.agent import AgentComponent
        from lfx.schema import Message

        class Handy(AgentComponent):
            async def message_response(self) -> Message:
                def twice(word: str) -> str:
                    return word + word
                self.tools = [StructuredTool.from_function(twice, name="twice", description="Says it twice."), *(self.tools or [])]
                answer = await super().message_response()
                return Message(text=f"[{answer.text}]")
    """
    if running_code.services.registry.custom_code.mode is CustomCode.SANDBOXED:
        return  # told at import: an agent reaches other machines
    agent = await node_of(running_code, code, "Agent-a", add_current_date_tool=False, add_calculator_tool=False)
    flow = await keep(
        running_code,
        [flows.chat_input(), await node_of(running_code, MODEL, "Model-m"), agent, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Agent-a", "input_value"),
            flows.edge("Model-m", "Agent-a", "model", output="model"),
            flows.edge("Agent-a", "ChatOutput-out", "input_value", output="response"),
        ],
    )
    assert texts(await run(running_code, flow, "ha"))["ChatOutput-out"] == "[twice(word) said: haha]"


async def test_an_agent_calls_what_is_derived_from_a_tool_by_its_names(running_code: Application) -> None:
    code = """
        from lfx.components.utilities import CalculatorComponent
        from lfx.schema import Data

        class Counted(CalculatorComponent):
            description = "Calculates."

            def evaluate_expression(self) -> Data:
                return Data(data={**super().evaluate_expression().data, "length": len(self.expression)})
    """
    answer = await run(running_code, await agent_with(running_code, code), "6*7")
    assert texts(answer)["ChatOutput-out"] == 'evaluate_expression(expression) said: {"result": "42", "length": 3}'


async def test_every_stock_component_can_be_imported_by_its_names_to_derive_from(running_code: Application) -> None:
    is_trusted = running_code.services.registry.custom_code.mode is CustomCode.TRUSTED
    offered = [
        component for component in BUILTIN if stock.can_be_derived_from(component) and (is_trusted or not stock.reaches_out(component))
    ]
    names = sorted(
        {name for component in offered for name in (component.type, component.__name__, *component.aliases) if name.isidentifier()}
    )
    assert len(names) > (180 if is_trusted else 80)
    code = "\n".join(
        [
            "from lfx.custom import Component",
            *(f"from lfx.components.{'any.module' if index % 2 else 'any'} import {name} as C{index}" for index, name in enumerate(names)),
            "class Counts(Component):",
            "    inputs = [MessageTextInput(name='text')]",
            "    outputs = [Output(name='out', method='count')]",
            "    def count(self) -> str:",
            f"        made = [globals()[f'C{{index}}']() for index in range({len(names)})]",
            "        return f'{len(made)} {all(isinstance(each, Component) and each.outputs for each in made)}'",
        ]
    )
    assert await said_by(running_code, code) == f"{len(names)} True"


async def test_a_component_that_only_the_runner_can_run_is_told_at_import(running_code: Application) -> None:
    code = """
        from lfx.components.flow_controls import {name}

        class Mine({name}):
            outputs = [Output(name="out", method="never")]

            def never(self) -> str:
                return ""
    """
    for name in ("LoopComponent", "HumanInput", "Listen"):
        node = await node_of(running_code, code.replace("{name}", name))
        edge = flows.edge("Text-n", "ChatOutput-out", "input_value", output="out")
        refused = await run(running_code, await keep(running_code, [node, flows.chat_output()], [edge]))
        assert refused.status_code == 422 and f"'lfx.components.flow_controls' has no '{name}' here" in refused.text


async def test_a_sandboxed_text_reaches_no_other_machine_by_way_of_a_stock_component(running_code: Application) -> None:
    code = """
        from lfx.components.data_source import URLComponent

        class Mine(URLComponent):
            def fetch_content(self):
                return super().fetch_content()
    """
    node = await node_of(running_code, code, urls=["http://127.0.0.1:9/"])
    flow = await keep(
        running_code, [node, flows.chat_output()], [flows.edge("Text-n", "ChatOutput-out", "input_value", output="page_results")]
    )
    answer = await run(running_code, flow)
    if running_code.services.registry.custom_code.mode is CustomCode.SANDBOXED:
        assert answer.status_code == 422 and "Text-n" in answer.text and "URLComponent, which reaches other machines" in answer.text
    else:
        assert answer.status_code == 500 and "127.0.0.1" in answer.text  # our component ran, and is not let to private addresses either


async def test_a_text_that_says_only_how_it_is_shown_is_ours_where_no_code_runs(tmp_path: Path) -> None:
    code = dedent("""
        from lfx.components.processing import ParserComponent


        class LinesOfText(ParserComponent):
            \"\"\"For our team.\"\"\"

            display_name = "Lines"
            icon: str = "braces"
            name = "LinesOfText"
    """)
    async with open_application(tmp_path) as application:
        flow = await flow_around(application, code, feed="input_data", pattern="<{text}>")
        assert texts(await run(application, flow, "ours"))["ChatOutput-out"] == "<ours>"
        more = code + "    legacy = print('never')\n"
        refused = await run(application, await flow_around(application, more, feed="input_data"))
        assert refused.status_code == 422 and "Text-n" in refused.text
