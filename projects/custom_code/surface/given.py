"""Models and tools of the server, as components' code knows them: objects whose every use asks the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from projects.custom_code.host import GIVEN
from projects.custom_code.surface import calls, langchain
from projects.custom_code.surface.crossing import to_engine


def revive(value: Any) -> Any:
    """Stand-ins for what an input's `{"$given": …}` names; lists element by element, everything else as it is."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if isinstance(value, dict) and isinstance(kind := value.get(GIVEN), str):
        match kind:
            case "model":
                return _model_class()(field=value["field"], place=value["index"], model_name=str(value.get("name") or ""))
            case "embeddings":
                return _embeddings_class()(value["field"], value["index"])
            case "tool":
                return _tool(value)
    return value


def handed_back(value: Any) -> Any:
    """A value for the server: of the engine, the place of what came from there, or a `Handle` for an object of the text's own."""
    from projects.custom_code import objects

    if isinstance(value, list | tuple):
        return [handed_back(item) for item in value]
    if (place := getattr(value, "headwater_place", None) or _place_of_tool(value)) is not None:
        return {GIVEN: "back", "field": place[0], "index": place[1]}
    made = to_engine(value)
    return made if objects.is_value(made) else objects.handle_for("", value)


def _place_of_tool(value: Any) -> Any:
    metadata = getattr(value, "metadata", None)
    return metadata.get(GIVEN) if isinstance(metadata, dict) else None


def _tool(value: Mapping[str, Any]) -> Any:
    run = calls.current()

    async def coroutine(**arguments: Any) -> Any:
        return await run.ask(run.host.call_tool(value["field"], value["index"], arguments))

    def func(**arguments: Any) -> Any:
        return run.wait(run.host.call_tool(value["field"], value["index"], arguments))

    return langchain.find("langchain_core.tools", "StructuredTool")(
        name=value["name"],
        description=value["description"],
        args_schema=dict(value["parameters"]),
        func=func,
        coroutine=coroutine,
        metadata={GIVEN: (value["field"], value["index"])},
    )


@cache
def _model_class() -> Any:
    base = langchain.find("langchain_core.language_models.chat_models", "BaseChatModel")
    generation = langchain.find("langchain_core.outputs", "ChatGeneration")
    result = langchain.find("langchain_core.outputs", "ChatResult")

    class GivenModel(base):  # type: ignore[misc, valid-type]
        field: str
        place: int
        model_name: str = ""
        tools: Any = ()

        @property
        def _llm_type(self) -> str:
            return "headwater"

        @property
        def headwater_place(self) -> tuple[str, int] | None:
            return None if self.tools else (self.field, self.place)

        def bind_tools(self, tools: Sequence[Any], **more: Any) -> Any:
            return GivenModel(field=self.field, place=self.place, model_name=self.model_name, tools=[_spec(item) for item in tools])

        def _request(self, messages: Sequence[Any]) -> dict[str, Any]:
            from projects.custom_code import objects

            return {"messages": [objects.message_to_wire(item) for item in messages], "tools": list(self.tools), "options": {}}

        def _answered(self, answer: Mapping[str, Any]) -> Any:
            from projects.custom_code import objects

            return result(generations=[generation(message=objects.reply_message(answer))])

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any) -> Any:
            run = calls.current()
            return self._answered(run.wait(run.host.ask_model(self.field, self.place, self._request(messages))))

        async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any) -> Any:
            run = calls.current()
            return self._answered(await run.ask(run.host.ask_model(self.field, self.place, self._request(messages))))

    return GivenModel


@cache
def _embeddings_class() -> Any:
    base = langchain.find("langchain_core.embeddings", "Embeddings")

    class GivenEmbeddings(base):  # type: ignore[misc, valid-type]
        def __init__(self, field: str, place: int) -> None:
            self.field, self.place = field, place
            self.headwater_place = (field, place)

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            run = calls.current()
            found: list[list[float]] = run.wait(run.host.embed(self.field, self.place, texts))
            return found

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    return GivenEmbeddings


def _spec(item: Any) -> dict[str, Any]:
    from projects.custom_code import objects

    return objects.tool_spec(item)
