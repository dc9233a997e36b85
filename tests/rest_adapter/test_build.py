"""Builds: their events and how they are delivered, cancelled and read again; parts of a flow; graphs that are sent along."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from headwater_test_components import Wait

from projects import builds
from tests import flow_documents as flows
from tests.application import Application

NOBODYS = "00000000-0000-4000-8000-000000000000"
HELLO = {"inputs": {"input_value": "hello", "session": "s1"}}
BUILD_KEYS = ["id", "inactivated_vertices", "next_vertices_ids", "top_level_vertices", "valid", "params", "data", "timestamp"]
DATA_KEYS = ["results", "outputs", "logs", "message", "artifacts", "timedelta", "duration", "used_frozen_result", "token_usage"]
MESSAGE_KEYS = [
    "text_key", "data", "default_value", "sender", "sender_name", "files", "session_id", "context_id", "run_id",
    "timestamp", "flow_id", "error", "edit", "properties", "category", "content_blocks", "duration", "session_metadata", "text", "id",
]  # fmt: skip


def prompted() -> dict[str, Any]:
    return flows.document(
        [flows.chat_input(), flows.prompt("Prompt-p", "You said: {text}", "text"), flows.chat_output()],
        [
            flows.edge("ChatInput-in", "Prompt-p", "text"),
            flows.edge("Prompt-p", "ChatOutput-out", "input_value", output="prompt"),
        ],
    )


def waiting(seconds: float = 60) -> dict[str, Any]:
    node = flows.node("HeadwaterTestWait", "Wait-w", {"text": "", "seconds": seconds}, display_name="Wait")
    edges = [flows.edge("ChatInput-in", "Wait-w", "text"), flows.edge("Wait-w", "ChatOutput-out", "input_value")]
    return flows.document([flows.chat_input(), node, flows.chat_output()], edges)


def failing() -> dict[str, Any]:
    node = flows.node("HeadwaterTestFail", "Fail-f", {"text": "", "reason": "no luck"}, display_name="Fail")
    edges = [flows.edge("ChatInput-in", "Fail-f", "text"), flows.edge("Fail-f", "ChatOutput-out", "input_value")]
    return flows.document([flows.chat_input(), node, flows.chat_output()], edges)


def streaming() -> dict[str, Any]:
    node = flows.node("HeadwaterTestStream", "Stream-s", {"text": ""}, display_name="Stream")
    edges = [flows.edge("ChatInput-in", "Stream-s", "text"), flows.edge("Stream-s", "ChatOutput-out", "input_value")]
    return flows.document([flows.chat_input(), node, flows.chat_output()], edges)


async def made(application: Application, document: dict[str, Any], **keys: Any) -> str:
    answer = await application.http.post("/api/v1/flows/", json={"name": "f", "data": document, **keys})
    return str(answer.json()["id"])


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.split("\n") if line.strip()]


async def direct(application: Application, flow_id: str, **options: Any) -> list[dict[str, Any]]:
    query = {"event_delivery": "direct", **options.pop("params", {})}
    return events_of(await application.http.post(f"/api/v1/build/{flow_id}/flow", params=query, json=options.get("json", HELLO)))


async def started(application: Application, flow_id: str, **options: Any) -> str:
    answer = await application.http.post(f"/api/v1/build/{flow_id}/flow", json=HELLO, **options)
    assert (answer.status_code, list(answer.json())) == (200, ["job_id"])
    return str(answer.json()["job_id"])


def names_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def built(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {event["data"]["build_data"]["id"]: event["data"]["build_data"] for event in events if event["event"] == "end_vertex"}


async def test_a_build_tells_each_vertex_with_the_keys_that_the_editor_reads(application: Application) -> None:
    events = await direct(application, await made(application, prompted()))
    assert names_of(events) == [
        "vertices_sorted", "build_start", "add_message", "end_vertex", "end_vertex", "add_message", "end_vertex", "end",
    ]  # fmt: skip
    assert events[0]["data"] == {"ids": ["ChatInput-in"], "to_run": ["ChatInput-in", "Prompt-p", "ChatOutput-out"]}
    assert events[1]["data"] == {}
    message = events[2]["data"]
    assert list(message) == MESSAGE_KEYS
    assert (message["text"], message["sender"], message["session_id"], message["data"]["id"]) == ("hello", "User", "s1", message["id"])
    first = events[3]["data"]
    assert (list(first), list(first["build_data"]), list(first["build_data"]["data"])) == (
        ["build_data", "output_meta"],
        BUILD_KEYS,
        DATA_KEYS,
    )
    assert first["output_meta"] == {
        "component_id": "ChatInput-in",
        "display_name": "Chat Input",
        "vertex_type": "ChatInput",
        "is_output": False,
        "is_terminal": False,
        "output_types": ["Message"],
    }
    build = first["build_data"]
    assert build["params"] == "- Files: []\n  Message: hello\n  Sender: User\n  Sender Name: User\n  Type: object\n"
    assert (build["valid"], build["next_vertices_ids"], build["top_level_vertices"]) == (True, ["Prompt-p"], ["Prompt-p"])
    data = build["data"]
    assert data["message"] == data["artifacts"] == {
        "message": "hello", "sender": "User", "sender_name": "User", "files": [], "type": "object",
    }  # fmt: skip
    assert (data["outputs"], data["logs"]) == ({"message": {"message": "hello", "type": "text"}}, {"message": []})
    assert data["results"]["message"]["text"] == "hello" and data["duration"].endswith(" ms") and isinstance(data["timedelta"], float)
    prompt = events[4]["data"]
    assert (prompt["output_meta"]["vertex_type"], prompt["build_data"]["params"]) == ("Prompt Template", "None")
    assert prompt["build_data"]["data"]["results"] == {}
    assert prompt["build_data"]["data"]["artifacts"] == {"prompt": {"repr": "You said: hello", "raw": "You said: hello", "type": "text"}}
    assert events[6]["data"]["output_meta"]["is_terminal"] and list(events[7]["data"]) == ["build_duration"]


async def test_a_failing_component_is_an_error_then_an_invalid_vertex_then_the_end(application: Application) -> None:
    events = await direct(application, await made(application, failing()))
    assert names_of(events)[-3:] == ["error", "end_vertex", "end"]
    error, vertex = events[-3]["data"], events[-2]["data"]["build_data"]
    assert list(error) == MESSAGE_KEYS
    assert (error["text"], error["sender"], error["category"], error["error"]) == ("no luck\n", "Fail", "error", True)
    assert (error["properties"]["text_color"], error["properties"]["icon"]) == ("red", "error")
    leaf = error["content_blocks"][0]["contents"][0]
    assert set(leaf) == {"type", "duration", "header", "component", "field", "reason", "solution", "code", "traceback"}
    assert (vertex["valid"], vertex["params"]) == (False, "no luck")
    assert vertex["data"]["outputs"] == {"message": {"message": {"errorMessage": "no luck", "stackTrace": ""}, "type": "error"}}


async def test_a_flow_that_cannot_run_tells_an_error_and_nothing_else(application: Application) -> None:
    document = flows.document([flows.chat_input(), flows.node("NeverHeardOf", "N-1")], [flows.edge("ChatInput-in", "N-1", "x")])
    events = await direct(application, await made(application, document))
    assert names_of(events) == ["error"] and "N-1" in events[0]["data"]["text"]


async def test_tokens_and_both_states_of_a_streamed_message_are_told(application: Application) -> None:
    flow_id = await made(application, streaming())
    events = await direct(application, flow_id, json={"inputs": {"input_value": "one two"}})
    tokens = [event["data"] for event in events if event["event"] == "token"]
    said = [event["data"] for event in events if event["event"] == "add_message" and event["data"]["sender"] == "Machine"]
    assert [token["chunk"] for token in tokens] == ["one", "two"]
    assert [each["properties"]["state"] for each in said] == ["partial", "complete"]
    assert {each["id"] for each in said} == {token["id"] for token in tokens}
    assert said[-1]["session_id"] == flow_id  # without a session it is the flow's own


async def test_a_part_of_a_flow_is_built(application: Application) -> None:
    flow_id = await made(application, prompted())
    upto = await direct(application, flow_id, params={"stop_component_id": "Prompt-p"})
    assert list(built(upto)) == ["ChatInput-in", "Prompt-p"]
    assert built(upto)["Prompt-p"]["next_vertices_ids"] == []
    onwards = await direct(application, flow_id, params={"start_component_id": "ChatOutput-out"})
    assert list(built(onwards)) == ["ChatInput-in", "Prompt-p", "ChatOutput-out"]
    for name in ("start_component_id", "stop_component_id"):
        answer = await application.http.post(f"/api/v1/build/{flow_id}/flow", params={name: "Nope-1"}, json=HELLO)
        assert answer.status_code == 422 and "Nope-1" in answer.text


async def test_a_build_runs_every_vertex_also_those_that_the_chat_does_not_reach(application: Application) -> None:
    document = flows.echo()
    document["nodes"].append(flows.text_input("TextInput-alone", text="apart"))
    events = await direct(application, await made(application, document))
    assert set(built(events)) == {"ChatInput-in", "ChatOutput-out", "TextInput-alone"}


async def test_a_graph_that_is_sent_along_is_built_instead_of_the_stored_one(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    events = await direct(application, flow_id, json={**HELLO, "data": prompted(), "message": "no such key"})
    assert built(events)["ChatOutput-out"]["data"]["message"]["message"] == "You said: hello"
    stored = (await application.http.get(f"/api/v1/flows/{flow_id}")).json()["data"]
    assert len(stored["nodes"]) == 2
    run = (await application.http.get("/api/v1/runs", params={"kind": "build"})).json()["runs"][0]
    assert (run["flow_id"], run["state"], run["session_id"]) == (flow_id, "completed", "s1")


async def test_code_in_a_graph_that_is_sent_along_never_runs(application: Application, tmp_path: Any) -> None:
    mark = tmp_path / "ran"
    node = flows.node("CustomThing", "Custom-1", edited=True)
    node["data"]["node"]["template"]["code"]["value"] = f"open({str(mark)!r}, 'w').close()"
    document = flows.document([flows.chat_input(), node], [flows.edge("ChatInput-in", "Custom-1", "x")])
    events = await direct(application, await made(application, flows.echo()), json={"data": document})
    assert names_of(events) == ["error"] and "Custom-1" in events[0]["data"]["text"]
    assert not mark.exists()


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"data": {"nodes": []}}, ["body", "data", "edges"]),
        ({"inputs": {"input_value": "x", "surprise": 1}}, ["body", "inputs", "surprise"]),
        ({"inputs": {"session": 5}}, ["body", "inputs", "session"]),
        ({"files": "a"}, ["body", "files"]),
    ],
)
async def test_a_wrong_body_is_422_with_its_place(application: Application, body: Any, place: list[str]) -> None:
    answer = await application.http.post(f"/api/v1/build/{await made(application, flows.echo())}/flow", json=body)
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == place


async def test_a_polled_build_brings_each_event_once_then_its_end(application: Application) -> None:
    job = await started(application, await made(application, prompted()))
    path, query = f"/api/v1/build/{job}/events", {"event_delivery": "polling"}
    seen: list[str] = []
    while "end" not in seen:
        answer = await application.http.get(path, params=query)
        seen += names_of(events_of(answer))
        assert "content-length" in answer.headers
    assert seen == [
        "vertices_sorted", "build_start", "add_message", "end_vertex", "end_vertex", "add_message", "end_vertex", "end",
    ]  # fmt: skip
    for _ in range(2):  # nothing more to wait for, and it says so each time
        assert events_of(await application.http.get(path, params=query)) == [{"event": "end", "data": {}}]
    assert (await application.http.get(path, params=query)).text == '{"event":"end","data":{}}\n\n'
    again = await application.http.get(path, params={**query, "offset": "0"})
    assert names_of(events_of(again)) == seen and again.headers["x-headwater-next-offset"] == "8"
    assert again.text.count("}\n\n\n{") == 7


async def test_a_streamed_build_can_be_read_again_from_the_start(application: Application) -> None:
    job = await started(application, await made(application, prompted()), params={"event_delivery": "streaming"})
    first = await application.http.get(f"/api/v1/build/{job}/events")
    second = await application.http.get(f"/api/v1/build/{job}/events", params={"event_delivery": "direct"})
    assert first.text == second.text and first.text.count("\n\n") == 8 and first.text.endswith("\n\n")
    rest = await application.http.get(f"/api/v1/build/{job}/events", params={"offset": "7"})
    assert names_of(events_of(rest)) == ["end"]


async def test_a_poll_that_finds_nothing_new_comes_back_empty() -> None:
    job = builds.BuildJob("own:x", None, "f")  # type: ignore[arg-type]
    assert await job.poll(0) == ([], 0)
    job.add([b"a"])
    assert await job.poll(0) == ([b"a"], 1)
    assert await job.poll(0) == ([], 1)
    assert await job.poll(0, 0) == ([b"a"], 1)
    waiting_poll = asyncio.ensure_future(job.poll(60))
    await asyncio.sleep(0)
    job.add([b"b"])
    assert await waiting_poll == ([b"b"], 2)
    job.end()
    assert await job.poll(60) == ([], 2)


def test_what_a_build_keeps_is_bounded_and_its_end_is_always_kept() -> None:
    job = builds.BuildJob("own:x", None, "f")  # type: ignore[arg-type]
    big = b"x" * (builds.MAX_CHATTER_BYTES + 1)
    job.add([big])
    job.add([b"token"], is_chatter=True)
    job.add([b"vertex"])
    for _ in range(4):
        job.add([big])
    job.add([b"late"])
    job.add([b"end"], is_end=True)
    assert job.read(0) == [big, b"vertex", big, big, big, b"end"]


async def test_a_build_is_cancelled_and_says_so_also_when_it_is_over(application: Application) -> None:
    flow_id = await made(application, waiting())
    job = await started(application, flow_id)
    path = f"/api/v1/build/{job}"
    while not Wait.started[flow_id]:
        await application.http.get(f"{path}/events", params={"event_delivery": "polling"})
    for _ in range(2):
        answer = await application.http.post(f"{path}/cancel")
        assert (answer.status_code, list(answer.json()), answer.json()["success"]) == (200, ["success", "message"], True)
        events = events_of(await application.http.get(f"{path}/events"))  # which waits for its end
    assert names_of(events)[-2:] == ["error", "end"] and Wait.ended[flow_id] == 1
    assert (await application.http.get(f"/api/v1/runs/{job}")).json()["state"] == "cancelled"


async def test_leaving_a_stream_stops_the_build_and_its_events_stay(application: Application) -> None:
    flow_id = await made(application, waiting())
    job = await started(application, flow_id)
    kept = application.services.builds.get(application.caller, job)
    reading = asyncio.ensure_future(application.http.get(f"/api/v1/build/{job}/events"))
    seen = 0
    while not Wait.started[flow_id]:
        seen += len(await kept.next(seen))
        await asyncio.sleep(0)  # the component begins after the event before it
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    while not kept.is_over:
        await kept.next(len(kept.read(0)))
    assert Wait.ended[flow_id] == 1
    assert names_of(events_of(await application.http.get(f"/api/v1/build/{job}/events")))[-1] == "end"


async def test_somebody_elses_flow_and_build_are_missing(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    answer = await application.stranger.post(f"/api/v1/build/{flow_id}/flow", json=HELLO)
    assert (answer.status_code, list(answer.json())) == (404, ["detail"])
    job = await started(application, flow_id)
    for client, prefix in (
        (application.stranger, "build"),
        (application.http, "build_public_tmp"),
        (application.nobody, "build_public_tmp"),
    ):
        client.cookies.set("client_id", "c1")
        assert (await client.get(f"/api/v1/{prefix}/{job}/events")).status_code == 404
        assert (await client.post(f"/api/v1/{prefix}/{job}/cancel")).status_code == 404


async def test_two_sessions_of_one_flow_do_not_share_their_history(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    for session in ("a", "b"):
        await direct(application, flow_id, json={"inputs": {"input_value": f"in {session}", "session": session}})
    for session in ("a", "b"):
        found = (await application.http.get("/api/v1/monitor/messages", params={"session_id": session, "flow_id": flow_id})).json()
        assert [each["text"] for each in found] == [f"in {session}"] * 2


# --- vertex by vertex


async def test_a_flow_is_built_vertex_by_vertex_each_of_them_once(application: Application) -> None:
    flow_id = await made(application, prompted())
    plan = (await application.http.post(f"/api/v1/build/{flow_id}/vertices")).json()
    assert list(plan) == ["ids", "run_id", "vertices_to_run"]
    assert (plan["ids"], plan["vertices_to_run"]) == (["ChatInput-in"], ["ChatInput-in", "Prompt-p", "ChatOutput-out"])
    first = await application.http.post(f"/api/v1/build/{flow_id}/vertices/ChatInput-in", json=HELLO)
    assert (first.status_code, list(first.json())) == (200, BUILD_KEYS)
    assert (first.json()["valid"], first.json()["next_vertices_ids"]) == (True, ["Prompt-p"])
    await application.http.post(f"/api/v1/build/{flow_id}/vertices/Prompt-p", json={})
    last = (await application.http.post(f"/api/v1/build/{flow_id}/vertices/ChatOutput-out", json=HELLO)).json()
    assert last["data"]["message"]["message"] == "You said: hello" and last["next_vertices_ids"] == []
    found = (await application.http.get("/api/v1/monitor/messages", params={"session_id": "s1"})).json()
    assert [each["text"] for each in found] == ["hello", "You said: hello"]  # the input was stored once


async def test_one_vertex_can_be_asked_for_alone_and_brings_what_it_needs(application: Application) -> None:
    flow_id = await made(application, failing())
    failed = await application.http.post(f"/api/v1/build/{flow_id}/vertices/Fail-f", json=HELLO)
    assert (failed.status_code, failed.json()["valid"], failed.json()["params"]) == (200, False, "no luck")
    unknown = await application.http.post(f"/api/v1/build/{flow_id}/vertices/Nope-1", json={})
    assert unknown.status_code == 404 and "Nope-1" in unknown.json()["detail"]


async def test_vertices_are_planned_for_a_graph_that_is_sent_along(application: Application) -> None:
    flow_id = await made(application, flows.echo())
    path = f"/api/v1/build/{flow_id}/vertices"
    plan = (await application.http.post(path, json=prompted(), params={"stop_component_id": "Prompt-p"})).json()
    assert plan["vertices_to_run"] == ["ChatInput-in", "Prompt-p"]
    assert (await application.http.post(f"{path}/Prompt-p", json=HELLO)).json()["valid"]
    missing = (await application.http.post(path, json={})).json()["detail"]
    assert [(entry["type"], entry["loc"]) for entry in missing] == [("missing", ["body", "nodes"]), ("missing", ["body", "edges"])]


@pytest.mark.parametrize(
    ("document", "vertex", "told"),
    [
        (streaming, "Stream-s", [("message", {"chunk": "one"}), ("message", {"chunk": "two"})]),
        (prompted, "Prompt-p", [("message", {"chunk": "You said: one two"})]),
        (failing, "Fail-f", [("error", {"error": "no luck"})]),
    ],
)
async def test_one_vertex_is_streamed_as_server_sent_events(application: Application, document: Any, vertex: str, told: Any) -> None:
    flow_id = await made(application, document())
    await application.http.post(f"/api/v1/build/{flow_id}/vertices/ChatInput-in", json={"inputs": {"input_value": "one two"}})
    answer = await application.http.get(f"/api/v1/build/{flow_id}/{vertex}/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = [frame.split("\n") for frame in answer.text.strip().split("\n\n")]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in frames]
    assert events[:-1] == told and events[-1][0] == "close"


@pytest.mark.parametrize(
    ("method", "path", "status", "keys"),
    [
        ("GET", f"/api/v1/build/{NOBODYS}/events", 404, ["detail"]),
        ("POST", f"/api/v1/build/{NOBODYS}/cancel", 404, ["detail"]),
        ("POST", f"/api/v1/build/{NOBODYS}/flow", 404, ["detail"]),
        ("POST", f"/api/v1/build/{NOBODYS}/vertices", 404, ["detail"]),
        ("POST", f"/api/v1/build/{NOBODYS}/vertices/x", 404, ["detail"]),
        ("GET", f"/api/v1/build/{NOBODYS}/x/stream", 404, ["detail"]),
        ("GET", f"/api/v1/build_public_tmp/{NOBODYS}/events", 404, ["detail"]),
        ("POST", f"/api/v1/build_public_tmp/{NOBODYS}/cancel", 404, ["detail"]),
    ],
)
async def test_what_is_not_there_is_404(application: Application, method: str, path: str, status: int, keys: list[str]) -> None:
    answer = await application.http.request(method, path)
    assert (answer.status_code, list(answer.json())) == (status, keys)


async def test_an_unknown_delivery_is_422_with_its_place(application: Application) -> None:
    answer = await application.http.post(f"/api/v1/build/{uuid4()}/flow", params={"event_delivery": "smoke"}, json={})
    entry = answer.json()["detail"][0]
    assert (answer.status_code, entry["type"], entry["loc"], "ctx" in entry) == (422, "enum", ["query", "event_delivery"], True)
