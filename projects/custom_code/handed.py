"""Models that a component's text made, as the engine's components ask them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from projects.custom_code import chat_wire
from projects.custom_code.host import Handle
from projects.models.chat import ChatMessage, ChatOptions, Reply, TextChunk, ToolSpec


class Uses(Protocol):
    """Who knows how to use a handle: the component that gave it."""

    async def use(self, handle: Handle, operation: str, arguments: Mapping[str, Any]) -> Any: ...


class HandedModel:
    """A chat model of a text; it answers whole."""

    provider = "custom"

    def __init__(self, owner: Uses, handle: Handle) -> None:
        self._owner = owner
        self.handle = handle

    @property
    def name(self) -> str:
        return str((self.handle.details or {}).get("name") or "")

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions | None = None) -> Reply:
        answer = await self._owner.use(self.handle, "reply", chat_wire.request(messages, tools, options))
        return chat_wire.reply_from_json(answer)

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions | None = None
    ) -> AsyncIterator[TextChunk | Reply]:
        reply = await self.reply(messages, tools=tools, options=options)
        if reply.text:
            yield TextChunk(reply.text)
        yield reply


class HandedEmbeddings:
    """An embedding model of a text."""

    def __init__(self, owner: Uses, handle: Handle) -> None:
        self._owner = owner
        self.handle = handle

    @property
    def name(self) -> str:
        return str((self.handle.details or {}).get("name") or self.handle.type_name)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        found: list[list[float]] = await self._owner.use(self.handle, "embed", {"texts": list(texts)})
        return found
