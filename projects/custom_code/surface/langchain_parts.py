"""The part of LangChain's core that components are written against, for servers without the package: same names, our own code."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from projects.custom_code.surface.langchain_runnables import Runnable, RunnableLambda


class BaseMessage:
    """One turn of a chat."""

    type = ""

    def __init__(self, content: Any = "", **given: Any) -> None:
        self.content = content
        self.id: str | None = None
        self.name: str | None = None
        self.additional_kwargs: dict[str, Any] = {}
        self.response_metadata: dict[str, Any] = {}
        self.__dict__.update(given)

    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part if isinstance(part, str) else part.get("text", "") for part in self.content)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(content={self.content!r})"


class HumanMessage(BaseMessage):
    type = "human"


class SystemMessage(BaseMessage):
    type = "system"


class AIMessage(BaseMessage):
    """`tool_calls`: [{"name", "args", "id"}]."""

    type = "ai"

    def __init__(self, content: Any = "", **given: Any) -> None:
        self.tool_calls: list[dict[str, Any]] = []
        self.usage_metadata: dict[str, int] | None = None
        super().__init__(content, **given)


class AIMessageChunk(AIMessage):
    pass


class ToolMessage(BaseMessage):
    type = "tool"

    def __init__(self, content: Any = "", tool_call_id: str = "", **given: Any) -> None:
        super().__init__(content, tool_call_id=tool_call_id, **given)


class Generation:
    def __init__(self, text: str = "", **given: Any) -> None:
        self.text = text
        self.__dict__.update(given)


class ChatGeneration(Generation):
    def __init__(self, message: BaseMessage, **given: Any) -> None:
        super().__init__(message.text(), message=message, **given)


class ChatGenerationChunk(ChatGeneration):
    pass


class ChatResult:
    def __init__(self, generations: Sequence[ChatGeneration], llm_output: dict[str, Any] | None = None) -> None:
        self.generations = list(generations)
        self.llm_output = llm_output


def as_messages(given: Any) -> list[BaseMessage]:
    """What a model may be asked with: a text, one message, or a list of messages, texts and (role, text) pairs."""
    kinds: dict[str, type[BaseMessage]] = {"system": SystemMessage, "ai": AIMessage, "assistant": AIMessage}
    made: list[BaseMessage] = []
    if hasattr(given, "to_messages"):
        return list(given.to_messages())
    for item in given if isinstance(given, list) else [given]:
        if isinstance(item, tuple):
            made.append(kinds.get(item[0], HumanMessage)(content=item[1]))
        elif hasattr(item, "to_lc_message"):
            made.append(item.to_lc_message())
        else:
            made.append(HumanMessage(content=item) if isinstance(item, str) else item)
    return made


class BaseLanguageModel(Runnable, BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow", protected_namespaces=())


class BaseChatModel(BaseLanguageModel):
    """A subclass gives `_generate`, or `_agenerate`."""

    def _generate(self, messages: list[Any], stop: Any = None, run_manager: Any = None, **more: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[Any], stop: Any = None, run_manager: Any = None, **more: Any) -> ChatResult:
        return await asyncio.to_thread(self._generate, messages, stop, run_manager, **more)

    def invoke(self, input: Any, config: Any = None, *, stop: Any = None, **more: Any) -> Any:
        return self._generate(as_messages(input), stop, None, **more).generations[0].message  # type: ignore[attr-defined]

    async def ainvoke(self, input: Any, config: Any = None, *, stop: Any = None, **more: Any) -> Any:
        result = await self._agenerate(as_messages(input), stop, None, **more)
        return result.generations[0].message  # type: ignore[attr-defined]

    def with_structured_output(self, schema: Any, **more: Any) -> Any:
        """A step that gives the answer as an object of the pydantic class, or as a dict for a JSON schema.

        The model is given the schema as its only tool. ValueError when it answers without using it.
        """
        is_class = isinstance(schema, type) and issubclass(schema, BaseModel)
        parameters = schema.model_json_schema() if is_class else dict(schema)
        name = str(schema.__name__ if is_class else parameters.get("title") or "answer")
        description = str(parameters.get("description") or f"Answer with {name}.")
        tool = {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}

        def read(answer: Any) -> Any:
            calls = getattr(answer, "tool_calls", None) or ()
            if not calls:
                raise ValueError(f"The model did not answer in the form of {name}.")
            return schema.model_validate(calls[0]["args"]) if is_class else calls[0]["args"]

        return self.bind_tools([tool], tool_choice=name) | RunnableLambda(read)

    def bind_tools(self, tools: Sequence[Any], **more: Any) -> Any:
        raise NotImplementedError

    def bind(self, **more: Any) -> Any:
        return self.model_copy(update=more)

    @property
    def _llm_type(self) -> str:
        return type(self).__name__


class Document:
    def __init__(self, page_content: str = "", metadata: dict[str, Any] | None = None, **given: Any) -> None:
        self.page_content = page_content
        self.metadata = metadata if metadata is not None else {}
        self.__dict__.update(given)


class Embeddings:
    """A subclass gives `embed_documents` and `embed_query`."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        raise NotImplementedError

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        return await asyncio.to_thread(self.embed_query, text)


class ToolException(Exception):  # the name that texts use
    """A tool's failure in words for the agent."""


class BaseTool(BaseLanguageModel):
    """A subclass gives `_run`, or `_arun`; its arguments follow from `args_schema` or the signature."""

    name: str = ""
    description: str = ""
    args_schema: Any = None
    return_direct: bool = False
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None

    @property
    def args(self) -> dict[str, Any]:
        found: dict[str, Any] = self.schema_of_arguments().get("properties", {})
        return found

    def schema_of_arguments(self) -> dict[str, Any]:
        schema = self.args_schema if self.args_schema is not None else schema_of(self._work())
        return dict(schema) if isinstance(schema, dict) else schema.model_json_schema()

    def _work(self) -> Callable[..., Any]:
        return self._run if type(self)._run is not BaseTool._run else self._arun

    def _run(self, *given: Any, **more: Any) -> Any:
        raise NotImplementedError

    async def _arun(self, *given: Any, **more: Any) -> Any:
        return await asyncio.to_thread(self._run, *given, **more)

    def invoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return self._run(**self._arguments(input))

    async def ainvoke(self, input: Any, config: Any = None, **more: Any) -> Any:
        return await self._arun(**self._arguments(input))

    def run(self, input: Any, **more: Any) -> Any:
        return self.invoke(input, **more)

    async def arun(self, input: Any, **more: Any) -> Any:
        return await self.ainvoke(input, **more)

    def _arguments(self, input: Any) -> dict[str, Any]:
        if isinstance(input, dict):
            return {str(key): value for key, value in input.items()}
        return {next(iter(self.args), "input"): input}


class StructuredTool(BaseTool):
    """A tool around a function."""

    func: Callable[..., Any] | None = None
    coroutine: Callable[..., Any] | None = None

    @classmethod
    def from_function(
        cls,
        func: Any = None,
        coroutine: Any = None,
        name: str | None = None,
        description: str | None = None,
        args_schema: Any = None,
        **more: Any,
    ) -> Any:
        work = func or coroutine
        return cls(
            func=func,
            coroutine=coroutine,
            name=name or work.__name__,
            description=description or inspect.getdoc(work) or "",
            args_schema=args_schema,
            **more,
        )

    def _work(self) -> Callable[..., Any]:
        found = self.func or self.coroutine
        assert found is not None
        return found

    def _run(self, *given: Any, **more: Any) -> Any:
        if self.func is None:
            raise NotImplementedError("This tool can only be awaited.")
        return self.func(*given, **more)

    async def _arun(self, *given: Any, **more: Any) -> Any:
        if self.coroutine is not None:
            return await self.coroutine(*given, **more)
        return await asyncio.to_thread(self._run, *given, **more)


class Tool(StructuredTool):
    """A tool of one text."""

    def __init__(self, name: str = "", func: Any = None, description: str = "", **more: Any) -> None:
        super().__init__(name=name, func=func, description=description, **more)


def tool(given: Any = None, **options: Any) -> Any:
    """The decorator, with or without a name."""
    if callable(given):
        return StructuredTool.from_function(given, **options)

    def make(function: Any) -> Any:
        if given is not None:
            options["name"] = given
        kind = "coroutine" if inspect.iscoroutinefunction(function) else "func"
        return StructuredTool.from_function(**{kind: function}, **options)

    return make


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of a function's parameters; an annotation that cannot be read takes any value."""
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD) or name == "self":
            continue
        annotation = parameter.annotation
        if isinstance(annotation, str):
            annotation = {"str": str, "int": int, "float": float, "bool": bool, "dict": dict, "list": list}.get(annotation, Any)
        annotation = Any if annotation is inspect.Parameter.empty else annotation
        fields[name] = (annotation, ... if parameter.default is inspect.Parameter.empty else parameter.default)
    model: Any = create_model("Arguments", **fields)
    return dict(model.model_json_schema())


PARTS: dict[str, Any] = {
    part.__name__: part
    for part in (
        BaseMessage,
        HumanMessage,
        SystemMessage,
        AIMessage,
        AIMessageChunk,
        ToolMessage,
        Generation,
        ChatGeneration,
        ChatGenerationChunk,
        ChatResult,
        BaseLanguageModel,
        BaseChatModel,
        Document,
        Embeddings,
        ToolException,
        BaseTool,
        StructuredTool,
        Tool,
        tool,
    )
}
