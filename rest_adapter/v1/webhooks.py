"""Webhooks: a payload runs a flow in the background, and whoever follows the flow sees these runs as server-sent events."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request

from projects.access.caller import Caller
from projects.engine.events import InnerEvent, RunEnded, RunStarted, VertexFailed, VertexFinished, VertexStarted
from projects.flows.prepared import PreparedFlow
from projects.invocation import Invocation
from projects.runs.events import STOPPING_TOPIC, webhooks_topic
from projects.services import ProjectServices
from rest_adapter.errors import BadRequest
from rest_adapter.event_stream import EVENT_STREAM, EventStream, Frames, Framing, sse_frame
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.build_shapes import vertex_build
from rest_adapter.v1.models import Detail, Wire
from rest_adapter.v1.request_headers import IDEMPOTENCY_KEY, call_depth, idempotency_key
from rest_adapter.v1.run_events import RunEvents
from rest_adapter.v1.run_shapes import vertex_result

HEARTBEAT_SECONDS: Final = 30.0
MAX_FOLLOWED_RUNS: Final = 1_000


class WebhookAccepted(Wire):
    message: str
    status: str
    run_id: str


async def _read_payload(request: Request) -> str:
    """A webhook's payload as text. What is not JSON reaches the Webhook component as it stands."""
    payload = await request.body()
    if not payload:
        raise BadRequest("The request has no body: send the payload that the flow's Webhook component should read.")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise BadRequest("The payload is not UTF-8 text; binary payloads must be encoded, as base64 for example.") from None
    if "\x00" in text:
        raise BadRequest("The payload holds a NUL character, which cannot be kept.")
    return text


@endpoint(
    "POST",
    "/api/v1/webhook/{flow_id_or_name}",
    Answer(202, WebhookAccepted, "The run is recorded and goes on in the background."),
    Answer(400, Detail, "No payload."),
    Answer(404, Detail),
    Answer(409, Detail, "The Idempotency-Key cannot be used now."),
    Answer(429, Detail, "Too many calls of this credential."),
    Answer(503, Detail, "Too many runs at once."),
    tag="Run",
    body_media_types=("application/json", "text/plain"),
    read_body=_read_payload,
    request_headers=(IDEMPOTENCY_KEY,),
)
async def call_webhook(flow_id_or_name: str, body: str, caller: Caller, services: ProjectServices, request: Request) -> dict[str, str]:
    """Hand a payload to a flow's Webhook components and run the flow in the background."""
    key = idempotency_key(request, "webhook", flow_id_or_name, body)
    invocation = Invocation(input_value="", kind="webhook", webhook_body=body, depth=call_depth(request), request_key=key)
    run_id = await services.invocations.start(caller, flow_id_or_name, invocation)
    return {"message": "Task started in the background", "status": "in progress", "run_id": run_id}


@endpoint(
    "GET",
    "/api/v1/webhook-events/{flow_id_or_name}",
    Answer(200, None, "Server-sent events, for as long as somebody listens.", media_type=EVENT_STREAM),
    Answer(404, Detail),
    tag="Run",
)
async def follow_webhooks(flow_id_or_name: str, caller: Caller, services: ProjectServices) -> EventStream:
    """Follow the runs that webhooks start in a flow of the caller's.

    Events: connected, vertices_sorted, build_start, end_vertex, add_message, token, log, error, end, and heartbeat when nothing happens.
    """
    prepared = await services.prepared_flows.resolve(caller.user_id, flow_id_or_name)
    frames, runs = Frames(), _FollowedRuns(prepared)

    async def work() -> None:
        with services.events.subscribe(webhooks_topic(prepared.flow.id), STOPPING_TOPIC) as subscription:
            await frames.put(sse_frame({"flow_id": prepared.flow.id, "flow_name": prepared.flow.name}, "connected"))
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        told = await subscription.get()
                except TimeoutError:
                    await frames.put(sse_frame({"timestamp": datetime.now(UTC).timestamp()}, "heartbeat"))
                    continue
                if not isinstance(told, InnerEvent):
                    return  # the server stops
                for name, data in runs.events_of(told):
                    await frames.put(sse_frame(data, name))

    return EventStream(frames, work, framing=Framing.SSE)


class _FollowedRuns:
    """The events of a flow's runs, each run with its own messages on their way."""

    def __init__(self, prepared: PreparedFlow) -> None:
        self._graph = prepared.graph
        self._flow_id = prepared.flow.id
        self._runs: dict[str, RunEvents] = {}

    def events_of(self, told: InnerEvent) -> Sequence[tuple[str, dict[str, Any]]]:
        run_id, event = told.run_id, told.event
        run = self._runs.setdefault(run_id, RunEvents(self._flow_id))
        if len(self._runs) > MAX_FOLLOWED_RUNS:
            del self._runs[next(iter(self._runs))]
        match event:
            case RunStarted(to_run=to_run):
                return [("vertices_sorted", {"ids": list(to_run), "to_run": list(to_run), "run_id": run_id})]
            case VertexStarted(vertex_id=vertex_id):
                return [("build_start", {"id": vertex_id})]
            case VertexFinished() | VertexFailed():
                return [*run.of(event), ("end_vertex", {"build_data": self._build(event)})]
            case RunEnded(is_completed=is_completed):
                self._runs.pop(run_id, None)
                return [*run.left(), ("end", {"run_id": run_id, "success": is_completed})]
            case _:
                return run.of(event)

    def _build(self, event: VertexFinished | VertexFailed) -> dict[str, Any]:
        excluded, following = (event.excluded, event.next) if isinstance(event, VertexFinished) else ((), ())
        build = vertex_build(event.result, self._graph, flow_id=self._flow_id, excluded=excluded, following=following)
        data = build["data"]
        messages = [] if event.result.error else vertex_result(event.result, flow_id=self._flow_id)["messages"]
        shown = {name: data[name] for name in ("results", "outputs", "logs")} | {"messages": messages, "duration": data["duration"]}
        return {**build, "data": shown, "artifacts": data["artifacts"], "messages": messages}


HOT_ENDPOINTS = (call_webhook,)
ENDPOINTS = (follow_webhooks,)
