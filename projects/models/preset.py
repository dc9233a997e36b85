"""A chat model with options of its own: what a node set holds until whoever asks says otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import fields, replace

from projects.models.chat import ChatMessage, ChatModel, ChatOptions, Reply, TextChunk, ToolSpec

_NOTHING = ChatOptions()


class PresetChatModel:
    """Implements `projects.models.chat.ChatModel`."""

    def __init__(self, model: ChatModel, preset: ChatOptions) -> None:
        self._model = model
        self._preset = preset

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def provider(self) -> str:
        return self._model.provider

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NOTHING) -> Reply:
        return await self._model.reply(messages, tools=tools, options=self._with(options))

    def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NOTHING
    ) -> AsyncIterator[TextChunk | Reply]:
        return self._model.stream(messages, tools=tools, options=self._with(options))

    def _with(self, options: ChatOptions) -> ChatOptions:
        said = {field.name: getattr(options, field.name) for field in fields(options)}
        said = {name: value for name, value in said.items() if value is not None and value is not False and value != {}}
        if "extra" in said:
            said["extra"] = {**self._preset.extra, **options.extra}
        return replace(self._preset, **said)
