"""`/webhook-events`: whoever listens to a flow sees the runs that its webhooks start."""

import json
from typing import Any

from projects.runs.events import STOPPING_TOPIC
from rest_adapter.v1 import webhooks
from tests import flow_documents as flows
from tests.application import Application
from tests.live_requests import LiveRequest, live_request
from tests.rest_adapter.test_run_stream import make


def hooked(*between: dict[str, Any]) -> dict[str, Any]:
    """A webhook into a chat output, by way of one component."""
    hook = flows.node("Webhook", "Webhook-w", {"data": ""}, outputs=("output_data",))
    if not between:
        edges = [flows.edge("Webhook-w", "ChatOutput-out", "input_value", output="output_data")]
        return flows.document([hook, flows.chat_output()], edges)
    id = between[0]["id"]
    text = flows.node(
        "TypeConverterComponent",
        "TypeConverterComponent-t",
        {"input_data": {"value": "", "type": "other"}, "output_type": "Message"},
        outputs=("message_output",),
    )
    edges = [
        flows.edge("Webhook-w", "TypeConverterComponent-t", "input_data", output="output_data"),
        flows.edge("TypeConverterComponent-t", id, "text", output="message_output"),
        flows.edge(id, "ChatOutput-out", "input_value"),
    ]
    return flows.document([hook, text, *between, flows.chat_output()], edges)


def events_of(text: bytes) -> list[tuple[str, Any]]:
    frames = []
    for frame in text.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n", 1)
        frames.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return frames


async def connected(live: LiveRequest) -> Any:
    ((name, data),) = events_of(await live.until(b"\n\n"))
    assert name == "connected"
    return data


async def test_a_listener_sees_the_run_from_its_plan_to_its_end(application: Application) -> None:
    flow_id = await make(application, hooked(), endpoint_name="golden-hook")
    async with live_request(application, "GET", "/api/v1/webhook-events/golden-hook") as live:
        assert (live.status, live.headers["content-type"], live.headers["cache-control"]) == (
            200,
            "text/event-stream; charset=utf-8",
            "no-cache",
        )
        assert await connected(live) == {"flow_id": flow_id, "flow_name": "made for a test"}
        run_id = (await application.http.post("/api/v1/webhook/golden-hook", json={"from": "a test"})).json()["run_id"]
        events = events_of(await live.until(b"event: end\n"))
    assert [name for name, _ in events] == [
        "vertices_sorted",
        "build_start",
        "end_vertex",
        "build_start",
        "add_message",
        "end_vertex",
        "end",
    ]
    data = [data for _, data in events]
    assert data[0] == {"ids": ["Webhook-w", "ChatOutput-out"], "to_run": ["Webhook-w", "ChatOutput-out"], "run_id": run_id}
    assert data[1] == {"id": "Webhook-w"}
    build = data[2]["build_data"]
    assert (build["id"], build["valid"], build["next_vertices_ids"]) == ("Webhook-w", True, ["ChatOutput-out"])
    assert set(build) == {
        "id",
        "valid",
        "params",
        "data",
        "artifacts",
        "timestamp",
        "messages",
        "inactivated_vertices",
        "next_vertices_ids",
        "top_level_vertices",
    }
    assert build["data"]["outputs"]["output_data"] == {"message": {"from": "a test"}, "type": "object"}
    assert (data[4]["run_id"], data[6]) == (run_id, {"run_id": run_id, "success": True})


async def test_tokens_and_failures_are_told_too(application: Application) -> None:
    words = flows.node("HeadwaterTestStream", "HeadwaterTestStream-s", {"text": {"value": "", "input_types": ["Message"]}})
    failing = flows.node("HeadwaterTestFail", "HeadwaterTestFail-f", {"text": {"value": "", "input_types": ["Message"]}, "reason": "dry"})
    streaming, broken = await make(application, hooked(words)), await make(application, hooked(failing))
    async with live_request(application, "GET", f"/api/v1/webhook-events/{streaming}") as live:
        await connected(live)
        await application.http.post(f"/api/v1/webhook/{streaming}", json={"a": "b c"})
        assert "token" in [name for name, _ in events_of(await live.until(b"event: end\n"))]
    async with live_request(application, "GET", f"/api/v1/webhook-events/{broken}") as live:
        await connected(live)
        await application.http.post(f"/api/v1/webhook/{broken}", json={"a": "b"})
        events = events_of(await live.until(b"event: end\n"))
    told = dict(events)
    assert (told["error"]["text"], told["end"]["success"], told["end_vertex"]["build_data"]["valid"]) == ("dry\n", False, False)


async def test_only_webhooks_of_this_flow_are_told_and_only_to_its_owner(application: Application) -> None:
    flow_id, other = await make(application, hooked()), await make(application, hooked())
    assert (await application.stranger.get(f"/api/v1/webhook-events/{flow_id}")).status_code == 404
    async with live_request(application, "GET", f"/api/v1/webhook-events/{flow_id}") as live:
        await connected(live)
        await application.http.post(f"/api/v1/run/{flow_id}", json={})
        await application.http.post(f"/api/v1/webhook/{other}", json={})
        await application.services.invocations.wait_until_idle()
        run_id = (await application.http.post(f"/api/v1/webhook/{flow_id}", json={})).json()["run_id"]
        name, data = events_of(await live.until(b"event: end\n"))[0]
        assert (name, data["run_id"]) == ("vertices_sorted", run_id)


async def test_a_silent_stream_beats_and_ends_with_the_server(application: Application, monkeypatch: Any) -> None:
    monkeypatch.setattr(webhooks, "HEARTBEAT_SECONDS", 0.01)
    flow_id = await make(application, hooked())
    async with live_request(application, "GET", f"/api/v1/webhook-events/{flow_id}") as live:
        assert b"event: heartbeat\n" in await live.until(b"event: heartbeat\n")
        application.services.events.publish_here(STOPPING_TOPIC, None)
        await live.rest()
        assert live.is_complete


async def test_a_webhook_goes_on_when_its_caller_leaves(application: Application) -> None:
    waiting = flows.node(
        "HeadwaterTestWait",
        "HeadwaterTestWait-w",
        {"text": {"value": "", "input_types": ["Message"]}, "seconds": {"value": 0.1}},
    )
    flow_id = await make(application, hooked(waiting))
    async with live_request(application, "POST", f"/api/v1/webhook/{flow_id}", json={"a": 1}) as live:
        run_id = json.loads(await live.rest())["run_id"]
    await application.services.invocations.wait_until_idle()
    assert (await application.http.get(f"/api/v1/runs/{run_id}")).json()["state"] == "completed"
