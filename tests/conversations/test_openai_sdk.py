"""OpenAI's own client against this server, with its key where that client puts it: answers, streams, tools, histories and failures."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests import flow_documents as flows
from tests.agent_documents import agent
from tests.application import ADDRESS, Application, open_application
from tests.model_server import Calls, Fails, ModelServer, Says, model_server
from tests.rest_adapter.test_run_stream import make, through


@pytest.fixture
async def models() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest.fixture
async def application(tmp_path: Path, models: ModelServer) -> AsyncIterator[Application]:
    async with open_application(tmp_path, default_model="openai:a-model", openai_base_url=models.address) as opened:
        yield opened


@pytest.fixture
async def client(application: Application) -> AsyncIterator[openai.AsyncOpenAI]:
    transport = httpx2.ASGITransport(app=application.app, client=("127.0.0.1", 50_000))
    async with openai.AsyncOpenAI(
        base_url=f"{ADDRESS}/api/v1", api_key=application.key, http_client=httpx2.AsyncClient(transport=transport)
    ) as client:
        yield client


def chat(**fields: Any) -> dict[str, Any]:
    """Chat input, a language model, chat output."""
    model = flows.node("LanguageModelComponent", "LanguageModelComponent-m", {"input_value": "", **fields}, outputs=("text_output",))
    edges = [
        flows.edge("ChatInput-in", "LanguageModelComponent-m", "input_value"),
        flows.edge("LanguageModelComponent-m", "ChatOutput-out", "input_value", output="text_output"),
    ]
    return flows.document([flows.chat_input(), model, flows.chat_output()], edges)


def calculating() -> dict[str, Any]:
    """An agent with the calculator."""
    edges = [
        flows.edge("ChatInput-in", "Agent-x", "input_value"),
        flows.edge("Agent-x", "ChatOutput-out", "input_value", output="response"),
    ]
    return flows.document([flows.chat_input(), agent("Agent-x", add_calculator_tool=True), flows.chat_output()], edges)


def script_calculation(models: ModelServer) -> None:
    for model in ("a-model", "gpt-4o-mini"):
        models.script(model, Calls(("evaluate_expression", {"expression": "6*7"})), Says("It is 42."))


async def test_a_plain_answer_has_its_text_and_the_usage_that_was_counted(
    application: Application, client: openai.AsyncOpenAI, models: ModelServer
) -> None:
    models.script("a-model", Says("Fine, thanks."))
    flow_id = await make(application, chat(), endpoint_name="a-chat")
    for model in (flow_id, "a-chat"):
        response = await client.responses.create(model=model, input="How are you?")
        assert (response.output_text, response.status, response.model) == ("Fine, thanks.", "completed", model)
        assert response.usage is not None
        assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (7, 5, 12)
        assert response.output[0].id == f"msg_{response.id}"


async def test_a_stream_brings_typed_events_and_ends_with_the_whole_response(
    application: Application, client: openai.AsyncOpenAI, models: ModelServer
) -> None:
    models.script("a-model", Says("one two three"))
    flow_id = await make(application, chat())
    events = [event async for event in await client.responses.create(model=flow_id, input="count", stream=True)]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert ("".join(deltas), len(deltas) > 1) == ("one two three", True)
    assert [event.type for event in events if event.type != "response.output_text.delta"] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert (last.response.output_text, last.response.id) == ("one two three", getattr(events[0], "response").id)  # noqa: B009
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == 12


async def test_an_echo_is_streamed_too(application: Application, client: openai.AsyncOpenAI) -> None:
    flow_id = await make(application, flows.echo())
    events = [event async for event in await client.responses.create(model=flow_id, input="hello", stream=True)]
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["hello"]


async def test_the_stream_helper_of_the_client_reads_it(application: Application, client: openai.AsyncOpenAI) -> None:
    flow_id = await make(application, through("HeadwaterTestStream", "HeadwaterTestStream-s"))
    async with client.responses.stream(model=flow_id, input="one two") as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_response()
    assert final.output_text == "onetwo", "as it was streamed"


async def test_tool_calls_are_items_of_the_answer(application: Application, client: openai.AsyncOpenAI, models: ModelServer) -> None:
    flow_id = await make(application, calculating())
    script_calculation(models)
    call, message = (await client.responses.create(model=flow_id, input="6*7?")).output
    assert call.type == "function_call"
    assert (call.name, call.arguments, call.status, call.id) == ("evaluate_expression", '{"expression": "6*7"}', "completed", "fc_1")
    assert message.type == "message"
    script_calculation(models)
    body = {"model": flow_id, "input": "6*7?", "include": ["tool_call.results"]}
    call_with_result = (await application.http.post("/api/v1/responses", json=body)).json()["output"][0]
    assert call_with_result["type"] == "tool_call"
    assert (call_with_result["tool_name"], call_with_result["queries"]) == ("evaluate_expression", ["6*7"])
    assert "42" in str(call_with_result["results"])
    script_calculation(models)
    events = [event async for event in await client.responses.create(model=flow_id, input="6*7?", stream=True)]
    types = [event.type for event in events]
    assert types.count("response.function_call_arguments.done") == 1
    assert types.index("response.function_call_arguments.done") < types.index("response.output_text.done")
    last = events[-1]
    assert last.type == "response.completed"
    assert [item.type for item in last.response.output] == ["function_call", "message"]
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_previous_response_is_the_history_of_its_owner_alone(
    application: Application, client: openai.AsyncOpenAI, models: ModelServer
) -> None:
    flow_id = await make(application, calculating())
    for model in ("a-model", "gpt-4o-mini"):
        models.script(model, lambda request: Says(f"{len([m for m in request.messages if m['role'] == 'user'])} of you"))
    first = await client.responses.create(model=flow_id, input="My name is Ada.")
    second = await client.responses.create(model=flow_id, input="Who am I?", previous_response_id=first.id)
    assert (first.output_text, second.output_text) == ("1 of you", "2 of you")
    assert (second.id, second.previous_response_id) == (first.id, first.id)
    fresh = await client.responses.create(model=flow_id, input="Who am I?")
    assert (fresh.output_text, fresh.id != first.id) == ("1 of you", True)
    theirs = (await application.stranger.post("/api/v1/flows/", json={"name": "theirs", "data": calculating()})).json()["id"]
    body = {"model": theirs, "input": "Who am I?", "previous_response_id": first.id}
    answer = (await application.stranger.post("/api/v1/responses", json=body)).json()
    assert answer["output"][-1]["content"][0]["text"] == "1 of you"


async def test_failures_reach_this_client_by_their_status_and_are_not_tried_again(
    application: Application, client: openai.AsyncOpenAI, models: ModelServer
) -> None:
    failing = await make(application, through("HeadwaterTestFail", "HeadwaterTestFail-f", reason="dry"))
    with pytest.raises(openai.InternalServerError, match="dry"):
        await client.responses.create(model=failing, input="x")
    assert len(await application.services.runs.list_runs(application.caller, flow_id=failing)) == 1
    with pytest.raises(openai.NotFoundError) as missing:
        await client.responses.create(model="nothing", input="x", stream=True)
    assert missing.value.code == "flow_not_found"
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model=failing, input="x", tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}])
    assert refused.value.code == "tools_not_supported"
    with pytest.raises(openai.PermissionDeniedError):
        await client.with_options(api_key="sk-unknown").responses.create(model=failing, input="x")
    models.script("a-model", Fails(status=500))
    with pytest.raises(openai.APIStatusError):
        await client.responses.create(model=await make(application, chat()), input="x")
    events = [event async for event in await client.responses.create(model=failing, input="x", stream=True)]
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.message == "dry"


async def test_fifty_sessions_at_once_keep_to_themselves(application: Application) -> None:
    remembering = flows.document(
        [
            flows.chat_input(),
            flows.node("Memory", "Memory-m", {"n_messages": 100, "template": "{text}"}, outputs=("messages_text",)),
            flows.prompt("Prompt-p", "{asked}|{memory}", "asked", "memory"),
            flows.chat_output(),
        ],
        [
            flows.edge("ChatInput-in", "Prompt-p", "asked"),
            flows.edge("Memory-m", "Prompt-p", "memory", output="messages_text"),
            flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )
    mine = await make(application, remembering)
    theirs = (await application.stranger.post("/api/v1/flows/", json={"name": "theirs", "data": remembering})).json()["id"]

    async def ask(number: int, turn: str) -> str:
        http, flow_id, marker = (application.http, mine, f"mine-{number}.")
        if number % 5 == 0:
            http, flow_id, marker = (application.stranger, theirs, f"theirs-{number}.")
        body = {"input_value": f"{marker}{turn}", "session_id": f"session {number // 2}" if number % 5 == 0 else f"session {number}"}
        answer = await http.post(f"/api/v1/run/{flow_id}", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["outputs"][0]["outputs"][0]["messages"][0]["message"])

    numbers = range(50)
    for turn in ("first", "second"):
        said = await asyncio.gather(*(ask(number, turn) for number in numbers))
        for number, text in zip(numbers, said, strict=True):
            marker = f"theirs-{number}." if number % 5 == 0 else f"mine-{number}."
            assert text.startswith(marker)
            markers = set(text.replace("|", " ").replace("\n", " ").replace("first", " ").replace("second", " ").split())
            assert markers == {marker}, "nobody else's words"
            assert (turn == "second") == (f"{marker}first" in text.split("|", 1)[1]), "and their own from before"
