"""Prompts, readers of answers and retrievers, for servers without LangChain: same names, our own code."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from projects.components import placeholders
from projects.custom_code.surface.langchain_parts import BaseMessage, Document, HumanMessage, as_messages
from projects.custom_code.surface.langchain_runnables import Runnable

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


class PromptValue:
    """A filled prompt: as one text, or as messages."""

    def __init__(self, messages: Sequence[BaseMessage]) -> None:
        self.messages = list(messages)

    def to_messages(self) -> list[BaseMessage]:
        return self.messages

    def to_string(self) -> str:
        if len(self.messages) == 1 and isinstance(self.messages[0], HumanMessage):
            return self.messages[0].text()
        return "\n".join(f"{message.type.title()}: {message.text()}" for message in self.messages)


class PromptTemplate(Runnable):
    """A text with `{variables}`. KeyError for one that is not given."""

    def __init__(self, template: str = "", input_variables: list[str] | None = None, partial_variables: Any = None, **more: Any) -> None:
        self.template = template
        self.partial_variables = dict(partial_variables or {})
        self.input_variables = input_variables or [name for name in _variables(template) if name not in self.partial_variables]

    @classmethod
    def from_template(cls, template: str, **more: Any) -> PromptTemplate:
        return cls(template, **more)

    def format(self, **values: Any) -> str:
        return _filled(self.template, {**self.partial_variables, **values})

    def invoke(self, input: Any, config: Any = None, **more: Any) -> PromptValue:
        values = input if isinstance(input, dict) else {next(iter(self.input_variables), "input"): input}
        return PromptValue([HumanMessage(content=self.format(**values))])


class MessagesPlaceholder:
    """The place of messages that are given under a name."""

    def __init__(self, variable_name: str, optional: bool = False, **more: Any) -> None:
        self.variable_name = variable_name
        self.optional = optional


class ChatPromptTemplate(Runnable):
    """Messages with `{variables}`: (role, text) pairs, messages, placeholders and texts."""

    def __init__(self, messages: Sequence[Any] = (), **more: Any) -> None:
        self.messages = list(messages)

    @classmethod
    def from_messages(cls, messages: Sequence[Any], **more: Any) -> ChatPromptTemplate:
        return cls(messages)

    @classmethod
    def from_template(cls, template: str, **more: Any) -> ChatPromptTemplate:
        return cls([("human", template)])

    def format_messages(self, **values: Any) -> list[BaseMessage]:
        made: list[BaseMessage] = []
        for item in self.messages:
            if isinstance(item, tuple) and item[0] in ("placeholder", "messages"):
                item = MessagesPlaceholder(str(item[1]).strip("{}"), optional=True)
            if isinstance(item, MessagesPlaceholder):
                made += as_messages(values.get(item.variable_name, []) if item.optional else values[item.variable_name])
            elif isinstance(item, tuple):
                made += as_messages([(item[0], _filled(item[1], values))])
            else:
                made += as_messages([_filled(item, values) if isinstance(item, str) else item])
        return made

    def format(self, **values: Any) -> str:
        return PromptValue(self.format_messages(**values)).to_string()

    def invoke(self, input: Any, config: Any = None, **more: Any) -> PromptValue:
        if not isinstance(input, dict):
            names = [name for item in self.messages if isinstance(item, tuple) for name in _variables(str(item[1]))]
            input = {next(iter(names), "input"): input}
        return PromptValue(self.format_messages(**input))


class BaseOutputParser(Runnable):
    """A subclass gives `parse`."""

    def parse(self, text: str) -> Any:
        raise NotImplementedError

    def get_format_instructions(self) -> str:
        return ""

    def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return self.parse(input.text() if isinstance(input, BaseMessage) else str(input))


class StrOutputParser(BaseOutputParser):
    def parse(self, text: str) -> str:
        return text


class JsonOutputParser(BaseOutputParser):
    """JSON, also inside a fence. ValueError for what is none."""

    def __init__(self, pydantic_object: Any = None, **more: Any) -> None:
        self.pydantic_object = pydantic_object

    def parse(self, text: str) -> Any:
        fenced = _FENCE.search(text)
        return json.loads(fenced.group(1) if fenced else text)

    def get_format_instructions(self) -> str:
        schema = self.pydantic_object.model_json_schema() if self.pydantic_object is not None else {}
        return f"Answer with JSON alone. Its schema: {json.dumps(schema)}" if schema else "Answer with JSON alone."


class PydanticOutputParser(JsonOutputParser):
    def parse(self, text: str) -> Any:
        return self.pydantic_object.model_validate(super().parse(text))


class BaseRetriever(Runnable, BaseModel):
    """A subclass gives `_get_relevant_documents`, or `_aget_relevant_documents`."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow", protected_namespaces=())

    def _get_relevant_documents(self, query: str, **more: Any) -> list[Document]:
        raise NotImplementedError

    async def _aget_relevant_documents(self, query: str, **more: Any) -> list[Document]:
        return await asyncio.to_thread(self._found, query)

    def _found(self, query: str) -> list[Document]:
        return self._get_relevant_documents(query, run_manager=None)

    def invoke(self, input: Any, config: Any = None, **more: Any) -> list[Document]:
        return self._found(input)

    async def ainvoke(self, input: Any, config: Any = None, **more: Any) -> list[Document]:
        return await self._aget_relevant_documents(input, run_manager=None)


def _variables(template: str) -> list[str]:
    found: dict[str, None] = {}

    def remember(name: str) -> str:
        found[name] = None
        return ""

    placeholders.fill(template, remember)
    return list(found)


def _filled(template: str, values: dict[str, Any]) -> str:
    return placeholders.fill(template, lambda name: str(values[name]))


PARTS: dict[str, Any] = {
    part.__name__: part
    for part in (
        PromptValue,
        PromptTemplate,
        MessagesPlaceholder,
        ChatPromptTemplate,
        BaseOutputParser,
        StrOutputParser,
        JsonOutputParser,
        PydanticOutputParser,
        BaseRetriever,
    )
}
