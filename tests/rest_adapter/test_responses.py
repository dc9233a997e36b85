"""`/responses` as clients of Langflow know it: its object, its chunks, and failures that come with status 200."""

import json
from typing import Any

import pytest

from tests import flow_documents as flows
from tests.application import Application
from tests.rest_adapter.test_run_stream import make, through

PATH = "/api/v1/responses"
KEYS = [
    *("id", "object", "created_at", "status", "error", "incomplete_details", "instructions", "max_output_tokens", "model", "output"),
    *("parallel_tool_calls", "previous_response_id", "reasoning", "store", "temperature", "text", "tool_choice", "tools", "top_p"),
    *("truncation", "usage", "user", "metadata"),
]


def frames_of(text: str) -> list[tuple[str | None, Any]]:
    """(event, data) of each server-sent event."""
    assert text.endswith("\n\n")
    frames: list[tuple[str | None, Any]] = []
    for frame in text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in frame.split("\n"))
        data = lines["data"]
        frames.append((lines.get("event"), data if data == "[DONE]" else json.loads(data)))
    return frames


async def test_the_object_has_every_key_in_order(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(PATH, json={"model": flow_id, "input": "hi", "background": True, "include": ["tool_call.results"]})
    body = answer.json()
    assert (answer.status_code, list(body)) == (200, KEYS)
    part = {"type": "output_text", "text": "hi", "annotations": []}
    message = {"type": "message", "id": f"msg_{body['id']}", "status": "completed", "role": "assistant", "content": [part]}
    assert (body["object"], body["status"], body["model"], body["usage"]) == ("response", "completed", flow_id, None)
    assert body["output"] == [message]
    assert (body["reasoning"], body["text"], body["tools"]) == ({"effort": None, "summary": None}, {"format": {"type": "text"}}, [])
    assert isinstance(body["created_at"], int)


async def test_the_previous_response_is_the_session_and_the_id(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    body = (await application.http.post(PATH, json={"model": flow_id, "input": "again", "previous_response_id": "my-prev-1"})).json()
    assert (body["id"], body["previous_response_id"], body["output"][0]["id"]) == ("my-prev-1", "my-prev-1", "msg_my-prev-1")
    sessions = (await application.http.get("/api/v1/monitor/messages/sessions", params={"flow_id": flow_id})).json()
    assert sessions == ["my-prev-1"]


async def test_a_stream_is_chunks_then_the_completed_event_then_done(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestStream", "HeadwaterTestStream-s"))
    answer = await application.http.post(PATH, json={"model": flow_id, "input": "one two", "stream": True})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    *chunks, completed, done = frames_of(answer.text)
    assert [list(chunk) for _, chunk in chunks] == [["id", "object", "created", "model", "delta", "status", "finish_reason"]] * 4
    assert {(event, chunk["object"], chunk["model"]) for event, chunk in chunks} == {(None, "response.chunk", flow_id)}
    assert [chunk["delta"] for _, chunk in chunks] == [{"content": ""}, {"content": "one"}, {"content": "two"}, {}]
    assert (chunks[-1][1]["status"], chunks[-1][1]["finish_reason"]) == ("completed", "stop")
    event, data = completed
    assert (event, data["type"]) == ("response.completed", "response.completed")
    assert list(data["response"]) == ["id", "object", "created_at", "status", "model", "usage"]
    assert {chunk["id"] for _, chunk in chunks} == {data["response"]["id"]}
    assert done == (None, "[DONE]")


async def test_what_was_not_streamed_by_its_component_comes_in_one_piece(application: Application) -> None:
    silent = flows.document(
        [flows.chat_input(), flows.chat_output(should_store_message={"value": False})],
        [flows.edge("ChatInput-in", "ChatOutput-out", "input_value")],
    )
    for document in (flows.echo(), silent):
        flow_id = await make(application, document)
        answer = await application.http.post(PATH, json={"model": flow_id, "input": "hello", "stream": True})
        texts = [data["delta"].get("content") for _, data in frames_of(answer.text) if isinstance(data, dict) and "delta" in data]
        assert texts == ["", "hello", None]


async def test_a_failing_component_is_an_error_with_status_200_and_a_failed_chunk(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestFail", "HeadwaterTestFail-f", reason="dry"))
    answer = await application.http.post(PATH, json={"model": flow_id, "input": "x"})
    error = answer.json()["error"]
    assert (answer.status_code, list(answer.json()), set(error), error["type"]) == (200, ["error"], {"message", "type"}, "processing_error")
    assert "dry" in error["message"]
    stream = await application.http.post(PATH, json={"model": flow_id, "input": "x", "stream": True})
    (_, first), (_, last), done = frames_of(stream.text)
    assert (first["delta"], last["delta"], last["status"], last["finish_reason"]) == (
        {"content": ""},
        {"content": "dry"},
        "failed",
        "error",
    )
    assert done == (None, "[DONE]")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_no_flow_can_serve_is_an_error_with_a_code(application: Application, stream: bool) -> None:
    flow_id = await make(application, flows.echo())
    no_chat = await make(application, flows.document([flows.text_input(), flows.text_output()], []))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"model": "nope"}, "flow_not_found"),
        ({"model": no_chat}, "invalid_flow_request"),
        ({"model": flow_id, "tools": []}, "tools_not_supported"),
    ]
    for body, code in cases:
        answer = await application.http.post(PATH, json={"input": "x", "stream": stream, **body})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()["error"]
        assert (error["type"], error["code"], bool(error["message"])) == ("invalid_request_error", code, True)
    (error,) = (await application.stranger.post(PATH, json={"model": flow_id, "input": "x"})).json().values()
    assert error["code"] == "flow_not_found"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"input": "x"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": [{"role": "user", "content": "x"}]}, "input"),
        ({"model": "m", "input": "x", "stream": "maybe"}, "stream"),
    ],
)
async def test_a_wrong_value_is_refused_with_its_place(application: Application, body: dict[str, Any], place: str) -> None:
    answer = await application.http.post(PATH, json=body)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", place])


async def test_a_credential_is_needed_and_may_be_a_bearer(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    body = {"model": flow_id, "input": "x"}
    assert (await application.nobody.post(PATH, json=body)).status_code == 403
    assert (await application.nobody.post(PATH, json=body, headers={"x-api-key": "sk-bad"})).status_code == 403
    assert (await application.nobody.post(PATH, json=body, headers={"Authorization": f"Bearer {application.key}"})).status_code == 200


async def test_headers_bring_variables_for_this_run(application: Application) -> None:
    greeting = flows.document(
        [flows.chat_input(), flows.prompt("Prompt-p", "{asked} {name}", "asked", "name"), flows.chat_output()],
        [flows.edge("ChatInput-in", "Prompt-p", "asked"), flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt")],
    )
    greeting["nodes"][1]["data"]["node"]["template"]["name"] |= {"value": "WHO", "load_from_db": True}
    flow_id = await make(application, greeting)
    headers = {"X-Langflow-Global-Var-Who": "Grace"}
    body = (await application.http.post(PATH, json={"model": flow_id, "input": "x"}, headers=headers)).json()
    assert body["output"][0]["content"][0]["text"] == "x Grace"


async def test_a_flow_that_waits_for_a_person_says_how_to_go_on(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestAsk", "HeadwaterTestAsk-a", names="city"))
    for stream in (False, True):
        answer = await application.http.post(PATH, json={"model": flow_id, "input": "x", "stream": stream})
        assert f"/api/v1/runs/{answer.headers['x-headwater-run-id']}/answers" in answer.text
    asked = await application.http.post(f"{PATH}?events=openai", json={"model": flow_id, "input": "x"})
    assert (asked.status_code, asked.json()["error"]["code"]) == (409, "input_required")
