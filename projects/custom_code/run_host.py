"""What a component's code may ask of the run it is in: the engine's `RunContext`, with that run's rights and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from projects.components.models_and_agents import model_fields
from projects.custom_code import chat_wire
from projects.custom_code.host import GIVEN, STOCK, CodeFailed
from projects.custom_code.stock import StockAtWork
from projects.engine.component import ComponentError
from projects.engine.context import RunContext
from projects.engine.tools import Tool
from projects.engine.values import Message
from projects.errors import HeadwaterError

MAX_MESSAGES = 10_000


class RunHost:
    """The host of one vertex; `inputs` holds the models and tools that its code knows by field and place.

    `secret_fields` are those that may hold a credential. They are known here, not by the code that asks.
    """

    def __init__(
        self, context: RunContext, inputs: Mapping[str, Any], stock: StockAtWork, secret_fields: frozenset[str] = frozenset()
    ) -> None:
        self._context = context
        self._inputs = inputs
        self._stock = stock
        self._secret_fields = secret_fields

    async def send_message(self, message: Message, *, keep: bool) -> Message:
        if not message.session_id:
            message.session_id = self._context.session_id
        return await (self._context.keep_message(message) if keep else self._context.announce_message(message))

    async def stream_token(self, message_id: str, chunk: str) -> None:
        if not isinstance(message_id, str) or not isinstance(chunk, str):
            raise CodeFailed("A piece of a message is a text, and so is the message's id.", error="ValueError")
        await self._context.stream_token(message_id, chunk)

    async def read_messages(self, *, session_id: str, limit: int, context_id: str, newest_first: bool) -> list[Message]:
        return await self._context.read_messages(
            session_id=session_id or self._context.session_id,
            limit=max(0, min(limit, MAX_MESSAGES)),
            context_id=context_id,
            newest_first=newest_first,
        )

    async def get_variable(self, name: str, *, field: str) -> str:
        try:
            value = await self._context.resolve_variable(name, is_secret=field in self._secret_fields)
        except HeadwaterError as error:
            raise CodeFailed(error.message, error="ValueError") from error
        if value is None:
            raise CodeFailed(f"The variable {name!r} is not set. Create it, or send it with the run.", error="ValueError")
        return value

    async def list_variable_names(self) -> list[str]:
        return await self._context.list_variable_names()

    async def list_flows(self) -> list[dict[str, Any]]:
        flows = await self._context.flows.list_flows()
        return [{"id": flow.id, "name": flow.name, "description": flow.description} for flow in flows]

    async def run_flow(self, flow_id_or_name: str, *, input_value: str | None, values: Sequence[Sequence[Any]], session_id: str) -> Any:
        try:
            flow = await self._context.flows.find_flow(flow_id_or_name)
            if flow is None:
                raise CodeFailed(f"There is no flow {flow_id_or_name!r}.", error="ValueError")
            given = {(str(vertex), str(name)): value for vertex, name, value in values}
            result = await self._context.flows.run_flow(flow.id, input_value=input_value, values=given, session_id=session_id)
        except (HeadwaterError, ComponentError) as error:
            raise CodeFailed(str(error)) from error
        return {vertex: dict(outputs) for vertex, outputs in result.outputs.items()}

    async def read_file(self, path: str) -> bytes:
        try:
            return await self._context.files.read(path)
        except (HeadwaterError, ComponentError) as error:
            raise CodeFailed(str(error), error="FileNotFoundError") from error

    async def save_file(self, name: str, content: bytes) -> str:
        try:
            return await self._context.files.save(name, content)
        except (HeadwaterError, ComponentError) as error:
            raise CodeFailed(str(error)) from error

    async def run_stock(self, name: str, build: str, output: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        value, stopped = await self._stock.run(name, build=build, output=output, inputs=inputs, given=self._given)
        return {"value": self._shown(value), "stopped": stopped}

    def _shown(self, value: Any) -> Any:
        """What stock components made, with their models and tools as what stands for them."""
        if isinstance(value, list):
            return [self._shown(item) for item in value]
        made = self._stock.made
        shown = stand_in(STOCK, len(made), value)
        if shown is not value:
            made.append(value)
        return shown

    async def ask_model(self, field: str, index: int, request: Mapping[str, Any]) -> dict[str, Any]:
        model = self._given(field, index)
        if not model_fields.is_chat_model(model):
            raise CodeFailed(f"What feeds {field!r} is no model.")
        try:
            messages, tools = chat_wire.messages_of(request), chat_wire.tools_of(request)
        except (KeyError, TypeError, AttributeError) as error:
            raise CodeFailed(f"What the model is asked cannot be read: {error}") from error
        try:
            reply = await model.reply(messages, tools=tools, options=chat_wire.options_of(request))
        except HeadwaterError as error:
            raise CodeFailed(error.message) from error
        return chat_wire.reply_to_json(reply)

    async def embed(self, field: str, index: int, texts: Sequence[str]) -> list[list[float]]:
        model = self._given(field, index)
        if not hasattr(model, "embed"):
            raise CodeFailed(f"What feeds {field!r} is no embedding model.")
        try:
            found: list[list[float]] = await model.embed([str(text) for text in texts])
        except HeadwaterError as error:
            raise CodeFailed(error.message) from error
        return found

    async def call_tool(self, field: str, index: int, arguments: Mapping[str, Any]) -> Any:
        tool = self._given(field, index)
        if not isinstance(tool, Tool):
            raise CodeFailed(f"What feeds {field!r} is no tool.")
        return await tool.call(arguments)

    def _given(self, field: str, index: int) -> Any:
        value = self._stock.made if field == STOCK else self._inputs.get(field)
        items = value if isinstance(value, list) else [value]
        return items[index] if 0 <= index < len(items) else None


def stand_in(field: str, index: int, value: Any) -> Any:
    """What stands for a model or a tool in a text's values (see `GIVEN`); any other value itself."""
    given: dict[str, Any] = {"field": field, "index": index}
    if isinstance(value, Tool):
        return given | {GIVEN: "tool", "name": value.name, "description": value.description, "parameters": dict(value.parameters)}
    if model_fields.is_chat_model(value):
        return given | {GIVEN: "model", "name": value.name}
    if hasattr(value, "embed") and hasattr(value, "name"):
        return given | {GIVEN: "embeddings", "name": value.name}
    return value
