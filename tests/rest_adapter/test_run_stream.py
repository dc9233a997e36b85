"""`/run?stream=true`: what is told, in which order, when it leaves, and what happens when the client does."""

import asyncio
import json
from typing import Any

import pytest

from projects.engine.events import MessageAdded, TokenAdded
from projects.engine.values import Message
from rest_adapter.event_stream import EventStream, Frames, Framing, sse_frame
from rest_adapter.v1.run_events import RunEvents
from tests import flow_documents as flows
from tests.application import Application
from tests.live_requests import live_request

BOUND_SECONDS = 20


def through(type: str, id: str, **fields: Any) -> dict[str, Any]:
    """Chat input, one component of the tests, chat output."""
    node = flows.node(type, id, {"text": {"value": "", "input_types": ["Message"]}, **fields})
    edges = [flows.edge("ChatInput-in", id, "text"), flows.edge(id, "ChatOutput-out", "input_value")]
    return flows.document([flows.chat_input(), node, flows.chat_output()], edges)


async def make(application: Application, data: dict[str, Any], **further: Any) -> str:
    created = await application.http.post("/api/v1/flows/", json={"name": "made for a test", "data": data, **further})
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


def events_of(text: str) -> list[dict[str, Any]]:
    assert text.endswith("\n\n")
    return [json.loads(frame) for frame in text.split("\n\n")[:-1]]


async def stream(application: Application, flow_id: str, **body: Any) -> list[dict[str, Any]]:
    answer = await application.http.post(f"/api/v1/run/{flow_id}", params={"stream": "true"}, json=body)
    assert answer.status_code == 200, answer.text
    return events_of(answer.text)


async def until_ended(application: Application, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            await application.services.invocations.wait_until_idle()
            run: dict[str, Any] = (await application.http.get(f"/api/v1/runs/{run_id}")).json()
            if run.get("state") not in (None, "queued", "running"):
                return run
            await asyncio.sleep(0)


async def first_run(application: Application, flow_id: str) -> str:
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            if runs := await application.services.runs.list_runs(application.caller, flow_id=flow_id):
                return runs[0].id
            await asyncio.sleep(0)


async def test_an_echo_tells_both_messages_and_the_whole_result(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    answer = await application.http.post(f"/api/v1/run/{flow_id}?stream=true", json={"input_value": "hello", "session_id": "S"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    asked, answered, end = events_of(answer.text)
    assert [asked["event"], answered["event"], end["event"]] == ["add_message", "add_message", "end"]
    assert [event["data"]["sender"] for event in (asked, answered)] == ["User", "Machine"]
    assert answered["data"]["id"] == answered["data"]["data"]["id"]
    assert (end["data"]["result"]["session_id"], list(end["data"])) == ("S", ["result"])
    plain = (await application.http.post(f"/api/v1/run/{flow_id}", json={"input_value": "hello", "session_id": "S"})).json()
    (streamed,) = end["data"]["result"]["outputs"]
    assert streamed["inputs"] == plain["outputs"][0]["inputs"]
    assert list(streamed["outputs"][0]) == list(plain["outputs"][0]["outputs"][0])
    assert streamed["outputs"][0]["results"]["message"]["data"]["run_id"] == answer.headers["x-headwater-run-id"]


async def test_a_streamed_message_begins_with_its_first_piece_and_is_complete_once(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestStream", "HeadwaterTestStream-s"))
    events = await stream(application, flow_id, input_value="one two three")
    assert [event["event"] for event in events] == ["add_message", "add_message", "token", "token", "token", "add_message", "end"]
    begun, tokens, complete = events[1]["data"], [event["data"] for event in events[2:5]], events[5]["data"]
    assert (begun["properties"]["state"], begun["text"]) == ("partial", "one")
    assert tokens == [{"chunk": word, "id": begun["id"]} for word in ("one", "two", "three")]
    assert (complete["properties"]["state"], complete["text"], complete["id"]) == ("complete", "one two three", begun["id"])


async def test_the_first_token_leaves_before_the_last_is_made(application: Application) -> None:
    slow = through("HeadwaterTestStream", "HeadwaterTestStream-s")
    node = flows.node(
        "HeadwaterTestWait", "HeadwaterTestWait-w", {"text": {"value": "", "input_types": ["Message"]}, "seconds": {"value": 60.0}}
    )
    slow["nodes"].append(node)
    slow["edges"].append(flows.edge("HeadwaterTestStream-s", "HeadwaterTestWait-w", "text"))
    flow_id = await make(application, slow)
    async with live_request(application, "POST", f"/api/v1/run/{flow_id}?stream=true", json={"input_value": "one two"}) as live:
        assert b'"token"' in await live.until(b'"chunk":"one"')
        assert not live.is_complete


async def test_a_failing_component_ends_the_stream_with_two_errors_and_no_end(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestFail", "HeadwaterTestFail-f", reason="the well is dry"))
    events = await stream(application, flow_id, input_value="x")
    assert [event["event"] for event in events] == ["add_message", "error", "error"]
    told, last = events[1]["data"], events[2]["data"]
    assert (told["category"], told["error"], told["text"], told["sender"]) == ("error", True, "the well is dry\n", "HeadwaterTestFail")
    assert told["properties"]["text_color"] == told["data"]["properties"]["background_color"] == "red"
    (block,) = told["content_blocks"]
    assert (block["title"], block["contents"][0]["type"], block["contents"][0]["component"]) == ("Error", "error", "HeadwaterTestFail")
    assert list(last) == ["error"]
    assert "the well is dry" in last["error"]
    messages = (await application.http.get("/api/v1/monitor/messages", params={"flow_id": flow_id})).json()
    assert told["id"] in {message["id"] for message in messages}, "it is the message that the history keeps"


async def test_a_flow_that_waits_for_a_person_says_so_at_the_end(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestAsk", "HeadwaterTestAsk-a", names="city"))
    *_, last = await stream(application, flow_id, input_value="x")
    assert last["event"] == "human_input_required"
    assert (last["data"]["code"], last["data"]["questions"][0]["id"]) == ("INPUT_REQUIRED", "city")


async def test_what_is_wrong_before_the_start_is_an_ordinary_refusal(application: Application) -> None:
    flow_id = await make(application, flows.echo())
    for status, path, body in [
        (404, "/api/v1/run/nothing", {}),
        (422, f"/api/v1/run/{flow_id}", {"input_value": 3}),
        (422, f"/api/v1/run/{flow_id}", {"tweaks": {"ChatInput-in": {"code": "x"}}}),
        (400, f"/api/v1/run/{flow_id}", {"input_value": "a", "tweaks": {"ChatInput-in": {"input_value": "b"}}}),
    ]:
        answer = await application.http.post(path, params={"stream": "true"}, json=body)
        assert (answer.status_code, set(answer.json())) == (status, {"detail"})
    assert (await application.http.post(f"/api/v1/run/{flow_id}", params={"stream": "maybe"}, json={})).status_code == 422
    assert (await application.stranger.post(f"/api/v1/run/{flow_id}", params={"stream": "true"}, json={})).status_code == 404
    assert (await application.nobody.post(f"/api/v1/run/{flow_id}", params={"stream": "true"}, json={})).status_code == 403


@pytest.mark.parametrize("query", ["?stream=true", ""])
async def test_a_run_is_cancelled_when_its_client_leaves(application: Application, query: str) -> None:
    slow = through("HeadwaterTestWait", "HeadwaterTestWait-w", seconds=60.0)
    flow_id = await make(application, slow)
    target = f"/api/v1/run/{flow_id}{query}"
    async with live_request(application, "POST", target, json={"input_value": "x"}, wait_for_start=False):
        run_id = await first_run(application, flow_id)
    run = await until_ended(application, run_id)
    assert run["state"] == "cancelled"


async def test_a_client_that_does_not_read_slows_the_run_instead_of_filling_the_memory(application: Application) -> None:
    flow_id = await make(application, through("HeadwaterTestStream", "HeadwaterTestStream-s"))
    words = " ".join(f"w{number}" for number in range(500))
    async with live_request(application, "POST", f"/api/v1/run/{flow_id}?stream=true", json={"input_value": words}) as live:
        await live.until(b'"chunk":"w0"')
        live.room.clear()
        before = application.services.invocations.running_count
        for _ in range(200):
            await asyncio.sleep(0)
        assert (before, application.services.invocations.running_count) == (1, 1), "it waits for its reader"
        live.room.set()
        assert b'"event":"end"' in await live.rest()


async def test_a_message_that_is_not_kept_is_complete_when_its_output_is_done() -> None:
    events = RunEvents("flow")
    announced = Message(id="m", state="partial", sender="Machine")
    assert events.of(MessageAdded(announced)) == []
    assert [name for name, _ in events.of(TokenAdded("hi", "m"))] == ["add_message", "token"]
    assert events.of(MessageAdded(announced.copy(state="complete", text="hi"))) == []
    ((name, data),) = events.left()
    assert (name, data["text"], events.left()) == ("add_message", "hi", [])


class Reader:
    """An ASGI client that takes what it is sent; `hold` clears: it stops reading."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Any) -> None:
        await self.hold.wait()
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def test_silence_is_filled_with_what_changes_nothing() -> None:
    for framing, filler in ((Framing.SSE, b": keep-alive\n\n"), (Framing.NDJSON, b" ")):
        frames, reader = Frames(), Reader()

        async def work(frames: Frames = frames, reader: Reader = reader, filler: bytes = filler) -> None:
            async with asyncio.timeout(BOUND_SECONDS):
                while True:
                    if filler in reader.body:
                        break
                    await asyncio.sleep(0)
            await frames.put(sse_frame({"a": 1}))

        stream = EventStream(frames, work, framing=framing, keep_alive_seconds=0.001)
        await stream({"type": "http", "method": "POST"}, reader.receive, reader.send)
        assert reader.body.endswith(b'data: {"a":1}\n\n')


async def test_a_client_that_never_reads_is_taken_for_gone() -> None:
    frames, reader, ended = Frames(), Reader(), asyncio.Event()

    async def work() -> None:
        reader.hold.clear()
        try:
            while True:
                await frames.put(b"x")
        finally:
            ended.set()

    async with asyncio.timeout(BOUND_SECONDS):
        stream = EventStream(frames, work, framing=Framing.SSE, stalled_seconds=0.01)
        await stream({"type": "http", "method": "POST"}, reader.receive, reader.send)
    assert ended.is_set()
    assert not any(message.get("more_body") is False for message in reader.sent)


async def test_a_mistake_breaks_the_answer_off_and_a_head_request_runs_nothing() -> None:
    async def broken() -> None:
        raise RuntimeError("a mistake")

    reader = Reader()
    with pytest.raises(RuntimeError, match="a mistake"):
        await EventStream(Frames(), broken, framing=Framing.SSE)({"type": "http", "method": "GET"}, reader.receive, reader.send)
    headed = Reader()
    await EventStream(Frames(), broken, framing=Framing.SSE)({"type": "http", "method": "HEAD"}, headed.receive, headed.send)
    assert (headed.body, headed.sent[-1]["more_body"]) == (b"", False)
