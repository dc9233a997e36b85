"""Anthropic's and Google's own APIs, over their SDKs, against a server on loopback."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from projects.errors import ProviderBusy, ProviderFailed, ProviderTimedOut
from projects.models.chat import ChatMessage, ChatModel, ChatOptions, ModelChoice, Reply, TextChunk, ToolCall, ToolSpec
from tests.model_server import Breaks, Busy, Calls, Fails, Garbage, Hangs, ModelServer, Received, Says, model_server
from tests.projects.models.registries import models

PROVIDERS = ("Anthropic", "Google Generative AI")
NO_OPTIONS = ChatOptions()
TURNS = [
    ChatMessage("system", "Be brief."),
    ChatMessage("user", "What is 1 + 1?", images=("data:image/png;base64,AAAA",)),
    ChatMessage("assistant", tool_calls=(ToolCall("call_1", "add", {"a": 1}),)),
    ChatMessage("tool", "2", tool_call_id="call_1"),
]
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as running:
        yield running


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def ask(
    server: ModelServer, provider: str, *, streams: bool, options: ChatOptions = NO_OPTIONS, **more: Any
) -> list[TextChunk | Reply]:
    choice = ModelChoice(provider=provider, model="a-model", api_key="a-key-of-the-test", base_url=server.origin)
    async with models(allowed=[f"127.0.0.1:{server.port}"]) as run:
        model: ChatModel = await run.chat_model(choice)
        if not streams:
            return [await model.reply(TURNS, options=options, **more)]
        return [item async for item in model.stream(TURNS, options=options, **more)]


@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_comes_with_its_usage(server: ModelServer, provider: str, streams: bool) -> None:
    server.script("a-model", Says("Hello there you."))
    *pieces, reply = await ask(server, provider, streams=streams, tools=[ADD])
    assert isinstance(reply, Reply) and (reply.text, reply.model, reply.finish_reason) == ("Hello there you.", "a-model", "stop")
    assert reply.usage is not None and (reply.usage.input_tokens, reply.usage.output_tokens) == (7, 5)
    assert [piece.text for piece in pieces] == (["Hello ", "there ", "you."] if streams else [])


@pytest.mark.parametrize("streams", [False, True])
async def test_tool_calls_come_parsed(server: ModelServer, provider: str, streams: bool) -> None:
    server.script("a-model", Calls(("add", {"a": 1}), ("add", {"a": 2}), text="Let me see."))
    reply = (await ask(server, provider, streams=streams, tools=[ADD]))[-1]
    assert isinstance(reply, Reply) and reply.finish_reason == "tool_calls" and reply.text == "Let me see."
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("add", {"a": 1}), ("add", {"a": 2})]
    assert len({call.id for call in reply.tool_calls}) == 2


@pytest.mark.parametrize("streams", [False, True])
async def test_failures_are_told_as_such(server: ModelServer, provider: str, streams: bool) -> None:
    server.script("a-model", Fails(500), Busy(retry_after=4), Garbage(), Breaks(after=1))
    with pytest.raises(ProviderFailed) as failed:
        await ask(server, provider, streams=streams)
    assert failed.value.provider_status == 500
    with pytest.raises(ProviderBusy) as busy:
        await ask(server, provider, streams=streams)
    assert busy.value.retry_after_seconds == 4
    with pytest.raises(ProviderFailed, match="no answer of a model"):
        await ask(server, provider, streams=streams)
    if streams:
        with pytest.raises(ProviderFailed, match="broke off"):
            await ask(server, provider, streams=True)
    server.script("a-model", Hangs())
    with pytest.raises(ProviderTimedOut):
        await ask(server, provider, streams=streams, options=ChatOptions(timeout_seconds=0.3))


async def test_turns_are_written_as_each_api_wants_them(server: ModelServer) -> None:
    await ask(server, "Anthropic", streams=False)
    body = server.requests[-1].body
    assert body["system"] == "Be brief." and [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "call_1", "content": "2"}]
    assert server.requests[-1].key == "a-key-of-the-test"
    await ask(server, "Google Generative AI", streams=False)
    body = server.requests[-1].body
    assert body["systemInstruction"]["parts"][0]["text"] == "Be brief."
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    assert body["contents"][2]["parts"][0]["functionResponse"] == {"name": "add", "response": {"result": "2"}}


@pytest.mark.parametrize("streams", [False, True])
async def test_the_temperature_is_sent(server: ModelServer, provider: str, streams: bool) -> None:
    reply = (await ask(server, provider, streams=streams, options=ChatOptions(temperature=0.1, max_tokens=50, extra={"top_p": 0.9})))[-1]
    assert isinstance(reply, Reply)
    body = server.requests[-1].body
    sent = body["generationConfig"] if provider == "Google Generative AI" else body
    assert sent["temperature"] == 0.1


@pytest.mark.parametrize("streams", [False, True])
async def test_a_model_that_takes_no_temperature_is_asked_without(server: ModelServer, streams: bool) -> None:
    def picky(request: Received) -> Says | Fails:
        return Fails(400, "`temperature` is deprecated for this model.") if "temperature" in request.body else Says("Fine.")

    server.script("a-model", picky)
    reply = (await ask(server, "Anthropic", streams=streams, options=ChatOptions(temperature=0.1)))[-1]
    assert isinstance(reply, Reply) and reply.text == "Fine." and len(server.requests) == 2
