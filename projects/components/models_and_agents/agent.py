"""Agent: a model that may call tools until it has an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from projects.components.conversion import plain_text
from projects.components.models_and_agents.agent_loop import AgentLoop, Approvals
from projects.components.models_and_agents.agent_memory import AgentAnswer, Block
from projects.components.models_and_agents.message_parts import chat_message_of, chat_messages_of
from projects.components.models_and_agents.model_fields import MODEL_INPUTS, chat_model_of, chat_options_of, count_usage
from projects.components.models_and_agents.structured import (
    SCHEMA_INPUT,
    ask_for_records,
    json_in,
    json_schema,
    records_in,
    schema_fields,
    told_schema,
)
from projects.components.utilities import calculator
from projects.components.utilities.current_date import CurrentDate
from projects.engine.component import Component, ComponentError, Input, InputKind, Output, PauseRun
from projects.engine.tools import Tool
from projects.engine.values import SENDER_MACHINE, Data, Message, Row, Source
from projects.models.chat import ChatMessage, ChatModel

DEFAULT_MODEL_CALLS = 15
MAX_MODEL_CALLS = 200
DEFAULT_HISTORY = 100
ICON = "Bot"  # of its messages, by the name that editors know


class Agent(Component):
    """System prompt, history, input and tools go to the model; the answer comes back as a message that shows which tools were used.

    It keeps nothing itself: Chat Output keeps what it is given, and an agent between two others leaves no message.
    """

    type = "Agent"
    display_name = "Agent"
    description = "Answers with a language model that may call the connected tools."
    category = "models_and_agents"
    icon = "bot"
    aliases: ClassVar[tuple[str, ...]] = ("AgentComponent",)
    takes_more_fields = True  # provider, name and key of the model, as exports of each age name them
    reads_world = True
    declared_inputs: ClassVar[tuple[Input, ...]] = (
        *MODEL_INPUTS,
        Input("system_prompt", display_name="Agent Instructions", info="What the agent is and how it works.", multiline=True),
        Input("input_value", InputKind.MESSAGE, "Input", "What the agent is asked.", types=("Message",), tool_mode=True),
        Input("tools", InputKind.HANDLE, "Tools", "What it may call.", default=[], is_list=True, types=("Tool",), field_type="other"),
        Input(
            "n_messages",
            InputKind.INTEGER,
            "Number of Chat History Messages",
            "How many earlier messages of the session the model is told; 0 for none.",
            default=DEFAULT_HISTORY,
            advanced=True,
            field_type="int",
        ),
        Input("context_id", display_name="Context ID", info="A further key that separates histories.", advanced=True),
        Input(
            "max_iterations",
            InputKind.INTEGER,
            "Max Iterations",
            "How often the model may be asked for one answer.",
            default=DEFAULT_MODEL_CALLS,
            advanced=True,
            field_type="int",
        ),
        Input("max_tokens", InputKind.INTEGER, "Max Tokens", "0 for no bound.", default=0, advanced=True, field_type="int"),
        Input(
            "handle_parsing_errors",
            InputKind.BOOLEAN,
            "Handle Parse Errors",
            "Tell the model when the arguments of a call cannot be read, instead of failing.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        Input(
            "add_current_date_tool",
            InputKind.BOOLEAN,
            "Current Date",
            "Give the agent a tool that tells the date.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        Input(
            "add_calculator_tool",
            InputKind.BOOLEAN,
            "Calculator",
            "Give the agent a tool that calculates.",
            default=True,
            advanced=True,
            field_type="bool",
        ),
        Input(
            "format_instructions",
            display_name="Output Format Instructions",
            info="How the structured response is to be made.",
            default="Give every record of the schema that the text holds. Leave out what it does not say.",
            advanced=True,
            multiline=True,
        ),
        SCHEMA_INPUT,
    )
    declared_outputs: ClassVar[tuple[Output, ...]] = (
        Output("response", "message_response", display_name="Response"),
        Output("structured_response", "json_response", ("Data", "JSON"), "Structured Response", tool_mode=False),
    )

    _answered: Message | None = None
    _can_ask_people = True

    async def message_response(self) -> Message:
        if (kept := self._answer_before_a_pause()) is not None:
            return kept
        model = await chat_model_of(self)
        reply = _LiveReply(self) if self.context.is_followed_live and "ChatOutput" in self.vertex.feeds else None
        if reply is not None:
            await reply.begin(model.name)
        answer = await self._answer(model, reply)
        text = answer.text
        if not answer.is_complete:
            self.log(f"Stopped after {self._max_model_calls()} model calls.", name="Max iterations")
            text = f"{text}\n\n{self._out_of_calls()}".strip()
        message = reply.message if reply is not None else self._new_message(answer.model)
        message.text = text
        message.source.source = answer.model
        message.content_blocks = [*answer.steps, *(_closing(answer, text) if answer.steps else ())]
        message.usage = answer.usage.to_dict() if answer.usage is not None else None
        message.state = "complete"
        self._answered = message
        return message if reply is None else await self.context.announce_message(message)

    async def json_response(self) -> Data:
        rows = self.inputs.get("output_schema") or []
        if not rows:
            message = self._answered
            if message is None:
                message = await self.message_response()
                self.token_usage = message.usage  # it leaves by no output that would carry it
            return _as_data(json_in(message.text), message.text)
        fields = schema_fields(rows)
        model = await chat_model_of(self)
        instructions = plain_text(self.inputs.get("format_instructions")).strip()
        title = self.vertex.display_name
        try:
            if not self._tools():
                messages = await self._messages(model, instructions)
                found = await ask_for_records(model, messages, fields, title=title, options=chat_options_of(self))
                count_usage(self, found.usage)
                return _as_data(found.records, "")
            told = told_schema(json_schema(fields, title=title))
            answer = await self._answer(model, None, instructions, told)
            count_usage(self, answer.usage)
            if not answer.is_complete:
                return Data({"content": answer.text, "error": self._out_of_calls()})
            records = records_in(answer.text, fields)
        except ComponentError as error:
            return Data({"content": "", "error": str(error)})
        return _as_data(records, answer.text)

    async def tools(self) -> list[Tool]:
        """As a tool of another agent: one question, one answer."""
        return [
            Tool(
                name="Call_Agent",
                description=self.description,
                parameters={
                    "type": "object",
                    "properties": {"input_value": {"type": "string", "description": "What the agent is asked, with all it needs to know."}},
                    "required": ["input_value"],
                },
                call=self._called,
                node_id=self.vertex.id,
                display_name=self.vertex.display_name,
            )
        ]

    async def _called(self, arguments: Mapping[str, Any]) -> Message:
        question = Message(text=plain_text(arguments.get("input_value")))
        called = type(self)(vertex=self.vertex, inputs=self.inputs | {"input_value": question}, context=self.context)
        called._can_ask_people = False  # a tool's call cannot wait for a person
        return await called.message_response()

    async def _answer(self, model: ChatModel, reply: _LiveReply | None, *further_instructions: str) -> AgentAnswer:
        output = self.computing
        loop = AgentLoop(
            model,
            self._tools(),
            options=chat_options_of(self),
            max_model_calls=self._max_model_calls(),
            forgives_unreadable_calls=self.inputs.get("handle_parsing_errors") is not False,
            on_text=None if reply is None else reply.add_text,
            on_steps=None if reply is None else reply.show_steps,
            approvals=Approvals(self.vertex.id, f"{self.vertex.id}:{output}", self.context.answers) if self._can_ask_people else None,
        )
        memory = self.context.memories.get(self.vertex.id)
        try:
            if self._can_ask_people and memory is not None and memory["output"] == output:
                return await loop.go_on(memory["conversation"])
            return await loop.run(await self._messages(model, *further_instructions))
        except PauseRun as pause:
            memory = {"output": output, "conversation": pause.memory, "answered": self._answered}
            raise PauseRun(pause.questions, memory) from None

    def _answer_before_a_pause(self) -> Message | None:
        """What the first output gave already when the second one asked a person: the model is not asked for it again."""
        memory = self.context.memories.get(self.vertex.id)
        if self._can_ask_people and memory is not None and memory["output"] != self.computing:
            self._answered = memory.get("answered")
        return self._answered

    async def _messages(self, model: ChatModel, *further_instructions: str) -> list[ChatMessage]:
        """Instructions, what was said before in the session, and what is asked now."""
        instructions = [_filled(plain_text(self.inputs.get("system_prompt")), model.name), *further_instructions]
        system = "\n\n".join(part for part in instructions if part.strip())
        asked = self.inputs.get("input_value")
        question = await chat_message_of(asked if isinstance(asked, Message) else Message(text=plain_text(asked)), self.context)
        history = await self._history()
        if not question.text.strip() and not question.images:
            if not (system or history):
                raise ComponentError("The agent was asked nothing: its input and its instructions are empty.")
            question = ChatMessage("user", "Go on.")
        elif question.role != "user":
            question = ChatMessage("user", question.text)  # another agent's answer is this one's question
        return [*([ChatMessage("system", system)] if system else []), *history, question]

    async def _history(self) -> list[ChatMessage]:
        limit = self.inputs.get("n_messages")
        if not isinstance(limit, int):
            limit = DEFAULT_HISTORY
        if limit <= 0:
            return []
        found = await self.context.read_messages(
            session_id=self.context.session_id, limit=limit, context_id=plain_text(self.inputs.get("context_id"))
        )
        return await chat_messages_of(found, self.context)

    def _tools(self) -> list[Tool]:
        connected = [tool for tool in self.inputs.get("tools") or [] if isinstance(tool, Tool)]
        # Exports from before these fields existed were made for an agent without these tools.
        known = self.vertex.template_defaults
        if self.inputs.get("add_current_date_tool") and "add_current_date_tool" in known:
            connected.append(self._date_tool())
        if self.inputs.get("add_calculator_tool") and "add_calculator_tool" in known:
            connected.append(self._calculator_tool())
        return connected

    def _date_tool(self) -> Tool:
        async def tell(arguments: Mapping[str, Any]) -> Message:
            inputs = {"timezone": arguments.get("timezone") or "UTC"}
            return await CurrentDate(vertex=self.vertex, inputs=inputs, context=self.context).get_current_date()

        zone = {"type": "string", "description": "A name such as Europe/Berlin.", "default": "UTC"}
        return Tool("get_current_date", CurrentDate.description, _arguments(timezone=zone), tell, self.vertex.id, CurrentDate.display_name)

    def _calculator_tool(self) -> Tool:
        async def calculate(arguments: Mapping[str, Any]) -> Data:
            return Data(dict(calculator.answer(plain_text(arguments.get("expression")))))

        expression = {"type": "string", "description": "For example 4*4*(33/22)+12-20."}
        parameters = _arguments("expression", expression=expression)
        shown = calculator.Calculator
        return Tool("evaluate_expression", shown.description, parameters, calculate, self.vertex.id, shown.display_name)

    def _max_model_calls(self) -> int:
        wanted = self.inputs.get("max_iterations")
        return min(wanted, MAX_MODEL_CALLS) if isinstance(wanted, int) and wanted > 0 else DEFAULT_MODEL_CALLS

    def _out_of_calls(self) -> str:
        return f"The agent stopped after {self._max_model_calls()} model calls without an answer. Raise max_iterations if it needs more."

    def _new_message(self, model_name: str, **parts: Any) -> Message:
        return Message(
            sender=SENDER_MACHINE,
            sender_name="AI",
            session_id=self.context.session_id,
            flow_id=self.context.flow_id,
            run_id=self.context.run_id,
            source=Source(id=self.vertex.id, display_name=self.vertex.display_name, source=model_name or self.vertex.display_name),
            icon=ICON,
            **parts,
        )


class _LiveReply:
    """The agent's message while it is being made, for people who watch. Chat Output keeps it in the end, under the same id."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.message = Message()

    async def begin(self, model_name: str) -> None:
        self.message = await self._agent.context.announce_message(self._agent._new_message(model_name, state="partial"))

    async def add_text(self, chunk: str) -> None:
        if chunk and self.message.id is not None:
            await self._agent.context.stream_token(self.message.id, chunk)

    async def show_steps(self, steps: Sequence[Block]) -> None:
        # What was streamed before a tool call was no answer yet: the announced text is empty again.
        self.message.content_blocks = [dict(step) for step in steps]
        await self._agent.context.announce_message(self.message)


def _closing(answer: AgentAnswer, text: str) -> Iterator[Block]:
    """What came of the steps: what the model said last, and the agent's output."""
    if answer.is_complete:
        yield {"type": "text", "duration": answer.duration_ms, "header": {}, "text": answer.text}
    yield {"type": "text", "duration": None, "header": {"title": "Output", "icon": "MessageSquare"}, "text": text}


def _filled(prompt: str, model_name: str) -> str:
    """The three placeholders that prompts of agents know, put in as they are; every other brace is text."""
    now = datetime.now(UTC)
    for name, value in (("current_date", f"{now:%Y-%m-%d} ({now:%A})"), ("model_name", model_name), ("optional_user_context", "")):
        prompt = prompt.replace("{" + name + "}", value)
    return prompt


def _arguments(*required: str, **properties: Row) -> Row:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _as_data(found: Any, text: str) -> Data:
    """One record as it is, several under `results`; nothing readable is an answer that says so."""
    match found:
        case dict():
            return Data(found)
        case [dict() as only]:
            return Data(only)
        case list():
            return Data({"results": found})
        case _:
            return Data({"content": text, "error": "The model did not answer with JSON."})
