"""Models and tools travel between texts and our own components, in both directions and in LangChain's words."""

import pytest

from tests import flow_documents as flows
from tests.application import Application
from tests.code_texts import keep, node_of, run, said_by, texts

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO_MODEL = """
    from typing import Any, Optional

    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.language_models.chat_models import BaseChatModel
    from langflow.base.models.model import LCModelComponent
    from langflow.field_typing import LanguageModel
    from langflow.io import MessageTextInput

    class Echo(BaseChatModel):
        ending: Optional[str] = None

        @property
        def _llm_type(self) -> str:
            return "echo"

        def _generate(self, messages: list[Any], stop=None, run_manager=None, **more: Any) -> ChatResult:
            said = " / ".join(f"{each.type}: {each.content}" for each in messages)
            return ChatResult(generations=[ChatGeneration(message=AIMessage(content=said + (self.ending or "")))])

    class EchoModel(LCModelComponent):
        display_name = "Echo Model"
        inputs = [*LCModelComponent._base_inputs, MessageTextInput(name="ending", value="!")]
        outputs = [
            Output(name="text_output", method="text_response"),
            Output(name="model_output", method="build_model"),
        ]

        def build_model(self) -> LanguageModel:
            return Echo(ending=self.ending)
"""
ASKS = """
    from langflow.custom import Component
    from langflow.io import HandleInput, MessageTextInput, Output
    from langflow.schema.message import Message

    class Asker(Component):
        inputs = [
            MessageTextInput(name="text"),
            HandleInput(name="llm", display_name="Model", input_types=["LanguageModel"]),
        ]
        outputs = [Output(name="answer", method="ask")]

        async def ask(self) -> Message:
            reply = await self.llm.ainvoke([("system", "Be brief."), ("human", self.text)])
            again = self.llm.invoke(self.text)
            return Message(text=f"{reply.content} | {again.content}")
"""


async def test_a_model_of_the_older_base_class_answers_itself_and_for_our_components(running_code: Application) -> None:
    node = await node_of(running_code, ECHO_MODEL, "Echo-m")
    ours = flows.node(
        "LanguageModelComponent",
        "LanguageModel-l",
        {"model": {"value": "", "type": "model"}, "input_value": "", "system_message": "Be kind."},
        outputs=("text_output",),
    )
    own = await keep(
        running_code,
        [flows.chat_input(), node, flows.chat_output()],
        [flows.edge("ChatInput-in", "Echo-m", "input_value"), flows.edge("Echo-m", "ChatOutput-out", "input_value", output="text_output")],
    )
    given = await keep(
        running_code,
        [flows.chat_input(), node, ours, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "LanguageModel-l", "input_value"),
            flows.edge("Echo-m", "LanguageModel-l", "model", output="model_output"),
            flows.edge("LanguageModel-l", "ChatOutput-out", "input_value", output="text_output"),
        ],
    )
    assert texts(await run(running_code, own, "hi")) == {"ChatOutput-out": "human: hi!"}
    assert texts(await run(running_code, given, "hi")) == {"ChatOutput-out": "system: Be kind. / human: hi!"}


async def test_a_text_asks_a_model_that_another_text_made(running_code: Application) -> None:
    model, node = await node_of(running_code, ECHO_MODEL, "Echo-m"), await node_of(running_code, ASKS, "Asker-a")
    flow = await keep(
        running_code,
        [flows.chat_input(), model, node, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Asker-a", "text"),
            flows.edge("Echo-m", "Asker-a", "llm", output="model_output"),
            flows.edge("Asker-a", "ChatOutput-out", "input_value", output="answer"),
        ],
    )
    assert texts(await run(running_code, flow, "hi")) == {"ChatOutput-out": "system: Be brief. / human: hi! | human: hi!"}


async def test_a_text_calls_the_tools_of_our_components(running_code: Application) -> None:
    code = """
        from langflow.custom import Component
        from langflow.io import HandleInput, MessageTextInput, Output

        class Caller(Component):
            inputs = [
                MessageTextInput(name="text"),
                HandleInput(name="tools", input_types=["Tool"], is_list=True),
            ]
            outputs = [Output(name="answer", method="call")]

            async def call(self) -> str:
                (tool,) = self.tools
                return f"{tool.name} {list(tool.args)} {await tool.ainvoke({'expression': self.text})}"
    """
    node = await node_of(running_code, code, "Caller-c")
    calculator = flows.node("CalculatorComponent", "Calculator-t", {"expression": ""}, outputs=("component_as_tool",), tool_mode=True)
    flow = await keep(
        running_code,
        [flows.chat_input(), calculator, node, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Caller-c", "text"),
            flows.edge("Calculator-t", "Caller-c", "tools", output="component_as_tool"),
            flows.edge("Caller-c", "ChatOutput-out", "input_value", output="answer"),
        ],
    )
    said = texts(await run(running_code, flow, "6*7"))["ChatOutput-out"]
    assert said.startswith("evaluate_expression ['expression']") and "42" in said


async def test_a_tool_component_of_the_older_base_class_runs_its_tool(running_code: Application) -> None:
    code = """
        from langchain.tools import StructuredTool
        from langflow.base.langchain_utilities.model import LCToolComponent
        from langflow.field_typing import Tool
        from langflow.inputs import MessageTextInput
        from langflow.schema import Data
        from pydantic import BaseModel, Field

        class Reverser(LCToolComponent):
            display_name = "Reverser"
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="api_run_model", method="run_model"), Output(name="api_build_tool", method="build_tool")]

            class Arguments(BaseModel):
                word: str = Field(..., description="What to reverse.")

            def run_model(self) -> Data:
                return Data(text=self.build_tool().run({"word": self.text}))

            def build_tool(self) -> Tool:
                return StructuredTool.from_function(
                    name="reverse", description="Reverses.", func=lambda word: word[::-1], args_schema=self.Arguments
                )
    """
    assert '"text": "olleh"' in await said_by(running_code, code)


async def test_steps_are_put_together_into_chains_and_a_model_answers_in_a_form(running_code: Application) -> None:
    code = """
        from langchain_core.language_models.chat_models import BaseChatModel
        from langchain_core.messages import AIMessage
        from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
        from langchain_core.outputs import ChatGeneration, ChatResult
        from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
        from langchain_core.retrievers import BaseRetriever
        from langchain_core.runnables import RunnableLambda, RunnablePassthrough
        from langchain.schema import Document
        from lfx.custom import Component
        from pydantic import BaseModel

        class Model(BaseChatModel):
            forms: list = []

            @property
            def _llm_type(self) -> str:
                return "scripted"

            def bind_tools(self, tools, **more):
                return Model(forms=list(tools))

            def _generate(self, messages, stop=None, run_manager=None, **more):
                said = " / ".join(f"{each.type}: {each.content}" for each in messages)
                calls = [{"name": "City", "args": {"name": messages[-1].content, "people": 3}, "id": "1", "type": "tool_call"}]
                answer = AIMessage(content="" if self.forms else said, tool_calls=calls if self.forms else [])
                return ChatResult(generations=[ChatGeneration(message=answer)])

        class City(BaseModel):
            \"\"\"A city.\"\"\"
            name: str
            people: int = 0

        class Library(BaseRetriever):
            def _get_relevant_documents(self, query, *, run_manager=None):
                return [Document(page_content=f"about {query}", metadata={"n": 1})]

        class Chains(Component):
            inputs = [MessageTextInput(name="text")]
            outputs = [Output(name="out", method="chain")]

            async def chain(self) -> str:
                prompt = ChatPromptTemplate.from_messages(
                    [("system", "Be {tone}."), MessagesPlaceholder("history"), ("human", "{question}")]
                )
                found = RunnableLambda(lambda given: {**given, "question": Library().invoke(given["question"])[0].page_content})
                whole = found | prompt | Model() | StrOutputParser()
                values = {"tone": "kind", "history": [("ai", "Hi.")], "question": self.text}
                first = await whole.ainvoke(values)
                same = whole.invoke(values) == first
                plain = (PromptTemplate.from_template("Say {word}!") | Model()).invoke({"word": "so"}).content
                city = await Model().with_structured_output(City).ainvoke(self.text)
                kept = (RunnablePassthrough() | JsonOutputParser()).invoke('```json\\n{"a": 1}\\n```')
                return f"{first} | {same} | {plain} | {type(city).__name__} {city.name} {city.people} | {kept}"
    """
    said = await said_by(running_code, code, "Oslo")
    assert said == "system: Be kind. / ai: Hi. / human: about Oslo | True | human: Say so! | City Oslo 3 | {'a': 1}"


async def test_a_component_hands_its_outputs_on_as_tools(running_code: Application) -> None:
    code = """
        from lfx.base.tools.component_tool import ComponentToolkit
        from lfx.custom import Component
        from lfx.schema import Data

        class Weather(Component):
            description = "Tells the weather."
            inputs = [MessageTextInput(name="city", tool_mode=True, required=True), MessageTextInput(name="unit", value="C")]
            outputs = [
                Output(name="weather", method="tell_weather"),
                Output(name="hidden", method="never", tool_mode=False),
                Output(name="out", method="show", tool_mode=False),
            ]

            def tell_weather(self) -> Data:
                return Data(data={"city": self.city, "degrees": "7 " + self.unit})

            def never(self) -> str:
                return ""

            async def show(self) -> str:
                rows = [{"name": "weather_of", "tags": ["tell_weather"], "description": "Now."}]
                (tool,) = ComponentToolkit(component=self).get_tools()
                (renamed,) = ComponentToolkit(component=self, metadata=rows).update_tools_metadata(await self._get_tools())
                answer = await tool.ainvoke({"city": "Bergen"})
                return f"{tool.name}({', '.join(tool.args)}): {tool.description} {answer} {self.city} {renamed.name}: {renamed.description}"
    """
    said = await said_by(running_code, code, feed="city", output="out")
    assert said == "tell_weather(city): Tells the weather. {'city': 'Bergen', 'degrees': '7 C'} hello weather_of: Now."


async def test_a_model_on_an_edge_is_a_step_of_a_chain_and_answers_in_a_form(running_code: Application) -> None:
    fills_in = """
        from langchain_core.language_models.chat_models import BaseChatModel
        from langchain_core.messages import AIMessage
        from langchain_core.outputs import ChatGeneration, ChatResult
        from lfx.custom import Component
        from lfx.field_typing import LanguageModel

        class FillsIn(BaseChatModel):
            form: str = ""

            @property
            def _llm_type(self) -> str:
                return "fills in"

            def bind_tools(self, tools, **more):
                form = tools[0]
                return FillsIn(form=form["function"]["name"] if isinstance(form, dict) else getattr(form, "name", None) or form.__name__)

            def _generate(self, messages, stop=None, run_manager=None, **more):
                said = messages[-1].content
                calls = [{"name": self.form, "args": {"name": said}, "id": "1", "type": "tool_call"}] if self.form else []
                return ChatResult(generations=[ChatGeneration(message=AIMessage(content=f"<{said}>", tool_calls=calls))])

        class Filler(Component):
            inputs = [MessageTextInput(name="label", value="")]
            outputs = [Output(name="model", method="build")]

            def build(self) -> LanguageModel:
                return FillsIn()
    """
    asks = """
        from langchain_core.prompts import PromptTemplate
        from lfx.custom import Component
        from lfx.io import HandleInput
        from pydantic import BaseModel

        class City(BaseModel):
            name: str

        class Asks(Component):
            inputs = [MessageTextInput(name="text"), HandleInput(name="llm", input_types=["LanguageModel"])]
            outputs = [Output(name="out", method="ask")]

            async def ask(self) -> str:
                chain = PromptTemplate.from_template("{place}, please") | self.llm
                city = await self.llm.with_structured_output(City).ainvoke(self.text)
                return f"{(await chain.ainvoke({'place': self.text})).content} {city!r}"
    """
    model, node = await node_of(running_code, fills_in, "Model-m"), await node_of(running_code, asks)
    flow = await keep(
        running_code,
        [flows.chat_input(), model, node, flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Text-n", "text"),
            flows.edge("Model-m", "Text-n", "llm", output="model"),
            flows.edge("Text-n", "ChatOutput-out", "input_value", output="out"),
        ],
    )
    assert texts(await run(running_code, flow, "Oslo"))["ChatOutput-out"] == "<Oslo, please> City(name='Oslo')"
