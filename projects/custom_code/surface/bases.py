"""The older base classes: components that are a model, tools, a chat input or output, a splitter, a store or an embedding model."""

from __future__ import annotations

from typing import Any, ClassVar

from projects.custom_code.surface.component import Component, CustomComponent
from projects.custom_code.surface.fields import INPUT_CLASSES, Input, Output
from projects.custom_code.surface.message_parts import Properties, Source
from projects.custom_code.surface.messages import Message
from projects.custom_code.surface.records import Data

_MESSAGE_TEXT, _BOOL = INPUT_CLASSES["MessageTextInput"], INPUT_CLASSES["BoolInput"]


class ChatComponent(Component):
    """What a chat's input and output have in common."""

    def get_properties_from_source_component(self) -> tuple[Any, Any, Any, Any]:
        """(source, icon, display name, id) of what feeds this component; Nones when nothing does."""
        for items in self._run.description.fed_by.values():
            for item in items:
                return item["display_name"], None, item["display_name"], item["id"]
        return None, None, None, None

    def _build_source(self, id_: str | None, display_name: str | None, source: str | None) -> Source:
        return Source(id=id_, display_name=display_name, source=source)


class TextComponent(Component):
    """A component that passes text on."""


class LCToolComponent(Component):
    """A component that makes one tool: `build_tool` gives it, `run_model` runs it."""

    outputs: ClassVar[list[Output]] = [
        Output(name="api_run_model", display_name="Data", method="run_model"),
        Output(name="api_build_tool", display_name="Tool", method="build_tool"),
    ]

    def run_model(self) -> Any:
        raise NotImplementedError

    def build_tool(self) -> Any:
        raise NotImplementedError


class LCModelComponent(Component):
    """A component that is a chat model: `build_model` gives it, `text_response` asks it."""

    _base_inputs: ClassVar[list[Input]] = [
        INPUT_CLASSES["MessageInput"](name="input_value", display_name="Input"),
        INPUT_CLASSES["MultilineInput"](name="system_message", display_name="System Message"),
        _BOOL(name="stream", display_name="Stream", advanced=True),
    ]
    outputs: ClassVar[list[Output]] = [
        Output(name="text_output", display_name="Model Response", method="text_response"),
        Output(name="model_output", display_name="Language Model", method="build_model"),
    ]

    @classmethod
    def get_base_inputs(cls) -> list[Input]:
        return list(cls._base_inputs)

    def build_model(self) -> Any:
        raise NotImplementedError

    async def text_response(self) -> Message:
        """The model's answer to the input, after the system message."""
        from projects.custom_code.surface import langchain

        text = self._attributes.get("input_value")
        if not text:
            raise ValueError("The message you want to send to the model is empty.")
        messages = [
            langchain.find("langchain_core.messages", "HumanMessage")(content=text.text if isinstance(text, Message) else str(text))
        ]
        if system := self._attributes.get("system_message"):
            messages.insert(0, langchain.find("langchain_core.messages", "SystemMessage")(content=str(system)))
        answer = await self.build_model().ainvoke(messages)
        content = answer.content if hasattr(answer, "content") else answer
        self.status = content
        description = self._run.description
        return Message(text=content, properties=Properties(source=Source(description.id, self.display_name, self.display_name)))


class LCEmbeddingsModel(Component):
    """A component that is an embedding model."""

    outputs: ClassVar[list[Output]] = [Output(name="embeddings", display_name="Embeddings", method="build_embeddings")]

    def build_embeddings(self) -> Any:
        raise NotImplementedError


class LCVectorStoreComponent(Component):
    """A component that keeps and finds records by their vectors: `build_vector_store` and `search_documents` are the author's."""

    outputs: ClassVar[list[Output]] = [
        Output(name="search_results", display_name="Search Results", method="search_documents"),
        Output(name="dataframe", display_name="DataFrame", method="as_dataframe"),
    ]

    def build_vector_store(self) -> Any:
        raise NotImplementedError

    def search_documents(self) -> list[Data]:
        raise NotImplementedError

    def as_dataframe(self) -> Any:
        from projects.custom_code.surface.tables import DataFrame

        return DataFrame(self.search_documents())


class LCTextSplitterComponent(Component):
    """A component that cuts texts with the splitter of `build_text_splitter`."""

    outputs: ClassVar[list[Output]] = [Output(name="data", display_name="Chunks", method="transform_data")]

    def build_text_splitter(self) -> Any:
        raise NotImplementedError

    def get_data_input(self) -> Any:
        return self.data_input

    def transform_data(self) -> list[Data]:
        given = self.get_data_input()
        items = given if isinstance(given, list) else [given]
        splitter = self.build_text_splitter()
        return [
            Data(data={**item.data, "text": piece}) if isinstance(item, Data) else Data(text=piece)
            for item in items
            for piece in splitter.split_text(item.get_text() if isinstance(item, Data) else str(item))
        ]


class BaseFileComponent(Component):
    """A component that reads uploaded files."""


class LCToolsAgentComponent(Component):
    """A component that is an agent of LangChain's; its author says how it runs."""


__all__ = ["Component", "CustomComponent"]
