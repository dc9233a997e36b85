"""Models whose calls are told to those who look on: how long they took, how many tokens, and whether they failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from projects.models.chat import (
    ChatMessage,
    ChatModel,
    ChatOptions,
    EmbeddingModel,
    ModelAccess,
    ModelChoice,
    Reply,
    TextChunk,
    ToolSpec,
    Usage,
)
from projects.runs.observers import ModelCall, RunObservers

_NO_OPTIONS = ChatOptions()


class ObservedModels:
    """A run's `ModelAccess`."""

    def __init__(self, models: ModelAccess, observers: RunObservers, run_id: str) -> None:
        self._models = models
        self._observers = observers
        self._run_id = run_id

    async def chat_model(self, choice: ModelChoice) -> ChatModel:
        return _ObservedChat(await self._models.chat_model(choice), self._observers, self._run_id)

    async def embedding_model(self, choice: ModelChoice) -> EmbeddingModel:
        return await self._models.embedding_model(choice)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._models, name)


class _ObservedChat:
    def __init__(self, model: ChatModel, observers: RunObservers, run_id: str) -> None:
        self._model = model
        self._observers = observers
        self._run_id = run_id

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def provider(self) -> str:
        return self._model.provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def reply(self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS) -> Reply:
        began, clock = datetime.now(UTC), perf_counter()
        try:
            reply = await self._model.reply(messages, tools=tools, options=options)
        except BaseException as error:
            self._tell(began, clock, error=type(error).__name__)
            raise
        self._tell(began, clock, usage=reply.usage)
        return reply

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = (), options: ChatOptions = _NO_OPTIONS
    ) -> AsyncIterator[TextChunk | Reply]:
        began, clock = datetime.now(UTC), perf_counter()
        usage: Usage | None = None
        try:
            async for piece in self._model.stream(messages, tools=tools, options=options):
                if isinstance(piece, Reply):
                    usage = piece.usage
                yield piece
        except BaseException as error:
            self._tell(began, clock, error=type(error).__name__)
            raise
        self._tell(began, clock, usage=usage)

    def _tell(self, began: datetime, clock: float, *, usage: Usage | None = None, error: str | None = None) -> None:
        seconds = perf_counter() - clock
        self._observers.model_called(ModelCall(self._run_id, self.provider, self.name, began, seconds, usage, error))
