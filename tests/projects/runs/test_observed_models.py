"""Calls of models as those who look on are told of them: times, tokens, failures, and nothing that was said."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from projects.models.chat import ChatMessage, ModelChoice, Reply, TextChunk, Usage
from projects.runs.observed_models import ObservedModels
from projects.runs.observers import ModelCall, RunObservers


class Chat:
    name = "small"
    provider = "Tests"
    own = "kept"

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure

    async def reply(self, messages: Sequence[ChatMessage], **options: Any) -> Reply:
        if self._failure is not None:
            raise self._failure
        return Reply("said", usage=Usage(3, 4))

    async def stream(self, messages: Sequence[ChatMessage], **options: Any) -> AsyncIterator[TextChunk | Reply]:
        yield TextChunk("sa")
        yield await self.reply(messages)


class Models:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def chat_model(self, choice: ModelChoice) -> Any:
        return self._chat

    async def embedding_model(self, choice: ModelChoice) -> Any:
        return "embeddings"


class Noting:
    def __init__(self) -> None:
        self.calls: list[ModelCall] = []

    def model_called(self, call: ModelCall) -> None:
        self.calls.append(call)


async def test_a_call_is_told_with_its_tokens_whether_it_streams_or_not() -> None:
    observers, noting = RunObservers(), Noting()
    with observers.watching(noting):  # type: ignore[arg-type]
        models = ObservedModels(Models(Chat()), observers, "run-1")
        model = await models.chat_model(ModelChoice())
        assert (await model.reply([ChatMessage("user", "hush")])).text == "said"
        assert [type(piece) async for piece in model.stream([ChatMessage("user", "hush")])] == [TextChunk, Reply]
    assert [(call.run_id, call.provider, call.model, call.usage, call.error) for call in noting.calls] == [
        ("run-1", "Tests", "small", Usage(3, 4), None)
    ] * 2
    assert all(call.duration_seconds >= 0 for call in noting.calls) and "hush" not in repr(noting.calls)
    embeddings: Any = await models.embedding_model(ModelChoice())
    assert (getattr(model, "own"), embeddings) == ("kept", "embeddings")  # noqa: B009


async def test_a_failing_call_is_told_by_its_kind() -> None:
    observers, noting = RunObservers(), Noting()
    with observers.watching(noting):  # type: ignore[arg-type]
        model = await ObservedModels(Models(Chat(ValueError("secret"))), observers, "run-1").chat_model(ModelChoice())
        with pytest.raises(ValueError, match="secret"):
            await model.reply([])
        with pytest.raises(ValueError, match="secret"):
            _ = [piece async for piece in model.stream([])]
    assert [call.error for call in noting.calls] == ["ValueError", "ValueError"] and "secret" not in repr(noting.calls)
