"""OpenAI's API against a server on loopback: answers, streams, tools, and every way a provider can fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from projects.errors import ProviderBusy, ProviderFailed, ProviderTimedOut
from projects.models.chat import ChatMessage, ChatModel, ChatOptions, ModelChoice, Reply, TextChunk, ToolCall, ToolSpec
from tests.model_server import Breaks, Busy, Calls, Fails, Garbage, Hangs, ModelServer, Received, Says, TooLong, model_server
from tests.projects.models.registries import models

NO_OPTIONS = ChatOptions()
HELLO = [ChatMessage("system", "Be brief."), ChatMessage("user", "Hi")]
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as running:
        yield running


async def ask(server: ModelServer, name: str, *, streams: bool, options: ChatOptions = NO_OPTIONS, **more: Any) -> list[TextChunk | Reply]:
    """What a model gives: the pieces of a stream, or the one reply."""
    async with models({"OPENAI_API_KEY": "sk-secret-of-the-test"}, openai_base_url=server.address) as run:
        model: ChatModel = await run.chat_model(ModelChoice(provider="OpenAI", model=name))
        if not streams:
            return [await model.reply(HELLO, options=options, **more)]
        return [item async for item in model.stream(HELLO, options=options, **more)]


@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_comes_with_its_usage_and_the_models_name(server: ModelServer, streams: bool) -> None:
    server.script("a-model", Says("Hello there you.", input_tokens=9, output_tokens=4))
    *pieces, reply = await ask(server, "a-model", streams=streams)
    assert isinstance(reply, Reply)
    assert (reply.text, reply.model, reply.finish_reason) == ("Hello there you.", "a-model", "stop")
    assert reply.usage is not None and reply.usage.to_dict() == {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    assert [piece.text for piece in pieces] == (["Hello ", "there ", "you."] if streams else [])
    (request,) = server.requests
    assert request.key == "sk-secret-of-the-test"
    assert request.messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("streams", [False, True])
async def test_tool_calls_come_parsed_and_a_call_that_is_no_json_says_so(server: ModelServer, streams: bool) -> None:
    server.script("a-model", Calls(("add", {"a": 1, "b": "é"}), ("add", "{not json")))
    reply = (await ask(server, "a-model", streams=streams, tools=[ADD]))[-1]
    assert isinstance(reply, Reply)
    first, second = reply.tool_calls
    assert (first.name, first.arguments, first.problem) == ("add", {"a": 1, "b": "é"}, None)
    assert second.arguments == {} and "{not json" in (second.problem or "")
    assert server.requests[0].tools == ["add"]


async def test_tool_turns_and_images_reach_the_model(server: ModelServer) -> None:
    turns = [
        ChatMessage("user", "What is this?", images=("data:image/png;base64,AAAA",)),
        ChatMessage("assistant", tool_calls=(ToolCall("call_1", "look", {"x": 1}),)),
        ChatMessage("tool", "a cat", tool_call_id="call_1"),
    ]
    async with models(openai_base_url=server.address) as run:
        await (await run.chat_model(ModelChoice(provider="OpenAI", model="a-model"))).reply(turns)
    user, assistant, tool = server.requests[-1].messages
    assert user["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert assistant["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"x": 1}'}
    assert tool == {"role": "tool", "tool_call_id": "call_1", "content": "a cat"}


@pytest.mark.parametrize("streams", [False, True])
async def test_an_error_of_the_provider_is_told_with_its_status_and_without_the_key(server: ModelServer, streams: bool) -> None:
    server.script("a-model", Fails(500, "Broken near sk-secret-of-the-test."))
    with pytest.raises(ProviderFailed, match=r"Broken near \*\*\*\*\*") as caught:
        await ask(server, "a-model", streams=streams)
    assert (caught.value.provider, caught.value.provider_status) == ("OpenAI", 500)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_busy_provider_is_told_with_the_seconds_to_wait(server: ModelServer, streams: bool) -> None:
    server.script("a-model", Busy(retry_after=7))
    with pytest.raises(ProviderBusy) as caught:
        await ask(server, "a-model", streams=streams)
    assert (caught.value.retry_after_seconds, caught.value.provider_status) == (7, 429)


async def test_a_quota_that_is_used_up_is_no_reason_to_wait(server: ModelServer) -> None:
    server.script("a-model", Fails(429, "You exceeded your current quota.", "insufficient_quota"))
    with pytest.raises(ProviderFailed) as caught:
        await ask(server, "a-model", streams=False)
    assert not isinstance(caught.value, ProviderBusy) and caught.value.provider_status == 429


@pytest.mark.parametrize("streams", [False, True])
async def test_a_text_that_is_too_long_is_told_as_that(server: ModelServer, streams: bool) -> None:
    server.script("a-model", TooLong())
    with pytest.raises(ProviderFailed, match=r"too long for a-model.*90210 tokens") as caught:
        await ask(server, "a-model", streams=streams)
    assert caught.value.provider_status == 400


@pytest.mark.parametrize(("streams", "after"), [(False, 0), (True, 0), (True, 2)])
async def test_a_provider_that_hangs_is_given_up_at_the_deadline(server: ModelServer, streams: bool, after: int) -> None:
    server.script("a-model", Hangs(after=after))
    with pytest.raises(ProviderTimedOut, match=r"within 0.3 s"):
        await ask(server, "a-model", streams=streams, options=ChatOptions(timeout_seconds=0.3))


@pytest.mark.parametrize("streams", [False, True])
async def test_half_an_answer_is_a_failure(server: ModelServer, streams: bool) -> None:
    server.script("a-model", Breaks(after=2))
    with pytest.raises(ProviderFailed, match="broke off"):
        await ask(server, "a-model", streams=streams)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("body", ["<html>A proxy's page</html>", '{"some": "json"}', "[1, 2]", "data: {oops\n\n", ""])
async def test_garbage_is_a_failure_and_no_answer(server: ModelServer, streams: bool, body: str) -> None:
    server.script("a-model", Garbage(body))
    with pytest.raises(ProviderFailed, match="no answer of a model") as caught:
        await ask(server, "a-model", streams=streams)
    assert caught.value.provider_status == 200


async def test_a_provider_that_is_not_there_is_told_as_unreachable(server: ModelServer) -> None:
    async with models(openai_base_url="http://127.0.0.1:9/v1") as run:
        model = await run.chat_model(ModelChoice(provider="OpenAI", model="a-model"))
        with pytest.raises(ProviderFailed, match="could not be reached") as caught:
            await model.reply(HELLO)
    assert caught.value.provider_status is None


async def test_what_a_model_refuses_of_a_request_is_left_out(server: ModelServer) -> None:
    def picky(request: Received) -> Says | Fails:
        for name in ("temperature", "max_tokens"):
            if name in request.body:
                return Fails(400, f"Unsupported parameter: '{name}' is not supported with this model.", "unsupported_parameter")
        return Says("Fine.")

    server.script("a-model", picky)
    (reply,) = await ask(server, "a-model", streams=False, options=ChatOptions(temperature=0.1, max_tokens=50))
    assert isinstance(reply, Reply) and reply.text == "Fine."
    assert server.requests[-1].body["max_completion_tokens"] == 50


async def test_a_call_that_is_cancelled_leaves_the_provider_alone(server: ModelServer) -> None:
    server.script("a-model", Hangs(after=1))
    async with models(openai_base_url=server.address) as run:
        model = await run.chat_model(ModelChoice(provider="OpenAI", model="a-model"))
        async with aclosing(model.stream(HELLO)) as items:  # type: ignore[type-var]
            assert await anext(items) == TextChunk("one ")
    # The server's own thread sees the connection close.
    assert await asyncio.to_thread(server.wait_until_idle, 5.0)


async def test_texts_become_vectors_in_their_order(server: ModelServer) -> None:
    async with models(openai_base_url=server.address) as run:
        model = await run.embedding_model(ModelChoice(provider="OpenAI", model="an-embedder", options={"dimensions": 4, "chunk_size": 2}))
        vectors = await model.embed(["a b", "c", "a b"])
    assert [len(vector) for vector in vectors] == [4, 4, 4] and vectors[0] == vectors[2] != vectors[1]
    assert [len(request.body["input"]) for request in server.requests] == [2, 1]


async def test_azure_is_asked_by_deployment(server: ModelServer) -> None:
    choice = ModelChoice(
        provider="Azure OpenAI",
        api_key="the-key",
        base_url=server.origin,
        options={"azure_deployment": "mine", "api_version": "2024-10-21"},
    )
    async with models(allowed=[f"127.0.0.1:{server.port}"]) as run:
        reply = await (await run.chat_model(choice)).reply(HELLO)
    assert reply.text == "mine heard: Hi"
    assert server.requests[0].key == "the-key"
