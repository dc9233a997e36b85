"""Builds: a run followed vertex by vertex, of one's own flow or of a public one; and the older way of building one vertex a request."""

from enum import StrEnum
from typing import Any, Literal
from uuid import UUID, uuid4

from pydantic import ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from projects.access.caller import Caller
from projects.builds import MAX_CLIENT_ID_LENGTH, BuildJob, BuildRequest, Visitor
from projects.engine.events import LogAdded, RunEvent, TokenAdded
from projects.engine.values import Message, jsonable
from projects.errors import HeadwaterError, NotFound, NotPermitted
from projects.services import ProjectServices
from rest_adapter import json_body
from rest_adapter.errors import BadRequest
from rest_adapter.event_stream import NDJSON, EventStream, Frames, Framing, ndjson_frame, sse_frame
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.build_shapes import Frames as BuildFrames
from rest_adapter.v1.build_shapes import vertex_build
from rest_adapter.v1.models import Detail, Wire
from rest_adapter.v1.request_headers import call_depth

_TAG = "Build"
POLL_SECONDS = 10.0  # a poll that finds nothing new answers empty after so long


class EventDelivery(StrEnum):
    STREAMING = "streaming"
    DIRECT = "direct"
    POLLING = "polling"


class BuildQuery(Wire):
    stop_component_id: str | None = Field(default=None, description="Build only this component and what it depends on.")
    start_component_id: str | None = Field(default=None, description="Build from this component on, with what that needs.")
    log_builds: bool = Field(default=True, description="Whether /monitor/builds keeps what each component built.")
    flow_name: str | None = None
    event_delivery: EventDelivery = EventDelivery.POLLING


class EventsQuery(Wire):
    event_delivery: EventDelivery = EventDelivery.STREAMING
    offset: int | None = Field(default=None, ge=0, le=1_000_000_000, description="Read from this event on; 0 is the first.")


class StepsQuery(Wire):
    stop_component_id: str | None = None
    start_component_id: str | None = None


class BuildInputs(Wire):
    model_config = ConfigDict(extra="forbid")

    components: list[str] | None = None
    input_value: str | None = None
    session: str | None = None
    type: Literal["chat", "text", "any"] | None = "any"
    client_request_time: int | None = None


class GraphData(Wire):
    """A flow's graph as the editor has it."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    viewport: dict[str, Any] | None = None


class PublicBuildBody(Wire):
    inputs: BuildInputs | None = None
    files: list[str] | None = Field(default=None, max_length=1_000)


class BuildBody(PublicBuildBody):
    data: GraphData | None = Field(default=None, description="Built instead of the stored graph.")


class JobStarted(Wire):
    job_id: UUID


class Cancelled(Wire):
    success: bool
    message: str


class Steps(Wire):
    ids: list[str]
    run_id: UUID
    vertices_to_run: list[str]


class VertexBuilt(Wire):
    id: str
    inactivated_vertices: list[str]
    next_vertices_ids: list[str]
    top_level_vertices: list[str]
    valid: bool
    params: str | None
    data: dict[str, Any]
    timestamp: str


async def _read_optional(request: Request) -> Any:
    raw = await request.body()
    return json_body.read_json(raw) if raw.strip() else {}


async def _read_graph(request: Request) -> Any:
    raw = await request.body()
    return json_body.read_json(raw) if raw.strip() else None


def _request(body: PublicBuildBody, query: BuildQuery, request: Request, *, data: GraphData | None = None) -> BuildRequest:
    inputs = body.inputs
    return BuildRequest(
        input_value=None if inputs is None else inputs.input_value,
        session_id=None if inputs is None else inputs.session,
        files=tuple(body.files or ()),
        document=None if data is None else _document(data),
        start=query.start_component_id or None,
        stop=query.stop_component_id or None,
        depth=call_depth(request),
        keeps_builds=query.log_builds,
    )


def _document(data: GraphData) -> bytes:
    return to_json({"nodes": data.nodes, "edges": data.edges})


def _started(job: BuildJob, query: BuildQuery, services: ProjectServices) -> Any:
    if query.event_delivery is EventDelivery.DIRECT:
        return _stream(job, services)
    return {"job_id": job.id}


def _stream(job: BuildJob, services: ProjectServices, offset: int = 0) -> EventStream:
    """The events as they come. When the last who follows a build leaves, it is stopped."""
    frames = Frames()

    async def work() -> None:
        position = offset
        job.followers += 1
        try:
            while found := await job.next(position):
                position += len(found)
                await frames.put(b"".join(found))
        finally:
            job.followers -= 1
            if not job.followers:
                await services.builds.cancel(job)

    return EventStream(frames, work, framing=Framing.NDJSON, media_type=NDJSON)


async def _events(job: BuildJob, query: EventsQuery, services: ProjectServices) -> Response:
    if query.event_delivery is not EventDelivery.POLLING:
        return _stream(job, services, query.offset or 0)
    found, after = await job.poll(POLL_SECONDS, query.offset)
    if not found and job.is_over:
        found = [ndjson_frame("end", {})]  # there is nothing more to wait for
    # An empty line more between two events than in a stream, as clients that poll know it (seen with Langflow 1.13).
    return Response(b"\n".join(found), media_type=NDJSON, headers={"x-headwater-next-offset": str(after)})


async def _cancel(job: BuildJob, services: ProjectServices) -> dict[str, Any]:
    was_over = job.is_over
    await services.builds.cancel(job)
    return {"success": True, "message": "The build is over already." if was_over else "The build was asked to stop."}


_START_ANSWERS = (
    Answer(200, JobStarted, "The build's id; with event_delivery=direct the events themselves, as NDJSON."),
    Answer(404, Detail),
    Answer(429, Detail, "Too many builds."),
    Answer(503, Detail, "Too many runs at once."),
)
_EVENTS_ANSWERS = (
    Answer(200, None, "A JSON object an event, each followed by an empty line.", media_type=NDJSON),
    Answer(404, Detail),
)


@endpoint("POST", "/api/v1/build/{flow_id}/flow", *_START_ANSWERS, tag=_TAG, read_body=_read_optional)
async def build_flow(flow_id: UUID, query: BuildQuery, body: BuildBody, caller: Caller, services: ProjectServices, request: Request) -> Any:
    """Build a flow, or a graph that is sent along, and follow it event by event."""
    is_followed = query.event_delivery is EventDelivery.DIRECT
    asked = _request(body, query, request, data=body.data)
    job = await services.builds.start(caller, str(flow_id), asked, BuildFrames, is_followed=is_followed)
    return _started(job, query, services)


@endpoint("GET", "/api/v1/build/{job_id}/events", *_EVENTS_ANSWERS, tag=_TAG)
async def read_build_events(job_id: str, query: EventsQuery, caller: Caller, services: ProjectServices) -> Response:
    """What a build has told: streamed from its start, or what is new since the last poll. Leaving a stream stops the build."""
    return await _events(services.builds.get(caller, job_id), query, services)


@endpoint("POST", "/api/v1/build/{job_id}/cancel", Answer(200, Cancelled), Answer(404, Detail), tag=_TAG)
async def cancel_build(job_id: str, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Stop a build; one that is over stays as it is."""
    return await _cancel(services.builds.get(caller, job_id), services)


def _visitor(request: Request, caller: Caller | None, information: ServerInformation) -> Visitor:
    """A user who logged in, or a browser by the id that it made up for itself."""
    address = request.client.host if request.client else ""
    if caller is not None and not information.auto_login:
        return Visitor(f"user:{caller.user_id}", address)
    client_id = request.cookies.get("client_id", "")
    if not client_id or len(client_id) > MAX_CLIENT_ID_LENGTH:
        raise BadRequest(f"Send a cookie client_id of at most {MAX_CLIENT_ID_LENGTH} characters: it tells your conversations from others'.")
    return Visitor(f"client:{client_id}", address)


@endpoint(
    "POST",
    "/api/v1/build_public_tmp/{flow_id}/flow",
    *_START_ANSWERS,
    Answer(400, Detail, "No client_id cookie, a file that is not the flow's, or a flow that visitors cannot run."),
    owner=OwnerRule.PUBLIC,
    tag=_TAG,
    read_body=_read_optional,
    statuses={NotPermitted: 400},
)
async def build_public_flow(
    flow_id: UUID,
    query: BuildQuery,
    body: PublicBuildBody,
    caller: Caller | None,
    services: ProjectServices,
    information: ServerInformation,
    request: Request,
) -> Any:
    """Build the stored graph of a flow that its owner opened to everybody, in sessions of the visitor's own."""
    visitor = _visitor(request, caller, information)
    is_followed = query.event_delivery is EventDelivery.DIRECT
    asked = _request(body, query, request)
    job = await services.builds.start_public(visitor, str(flow_id), asked, BuildFrames, is_followed=is_followed)
    return _started(job, query, services)


def _public_job(
    job_id: str, caller: Caller | None, services: ProjectServices, information: ServerInformation, request: Request
) -> BuildJob:
    try:
        return services.builds.get_public(_visitor(request, caller, information), job_id)
    except BadRequest:
        raise NotFound("job", job_id) from None


@endpoint("GET", "/api/v1/build_public_tmp/{job_id}/events", *_EVENTS_ANSWERS, owner=OwnerRule.PUBLIC, tag=_TAG)
async def read_public_build_events(
    job_id: str,
    query: EventsQuery,
    caller: Caller | None,
    services: ProjectServices,
    information: ServerInformation,
    request: Request,
) -> Response:
    """What a visitor's own build of a public flow has told."""
    return await _events(_public_job(job_id, caller, services, information, request), query, services)


@endpoint(
    "POST",
    "/api/v1/build_public_tmp/{job_id}/cancel",
    Answer(200, Cancelled),
    Answer(404, Detail),
    owner=OwnerRule.PUBLIC,
    tag=_TAG,
)
async def cancel_public_build(
    job_id: str, caller: Caller | None, services: ProjectServices, information: ServerInformation, request: Request
) -> dict[str, Any]:
    """Stop a visitor's own build of a public flow."""
    return await _cancel(_public_job(job_id, caller, services, information, request), services)


@endpoint(
    "POST",
    "/api/v1/build/{flow_id}/vertices",
    Answer(200, Steps),
    Answer(404, Detail),
    tag=_TAG,
    read_body=_read_graph,
    replaced_by="POST /api/v1/build/{flow_id}/flow",
)
async def plan_vertices(
    flow_id: UUID, query: StepsQuery, body: GraphData | None, caller: Caller, services: ProjectServices
) -> dict[str, Any]:
    """What is to be built, for clients that build vertex by vertex; what they built before is forgotten."""
    asked = BuildRequest(
        document=None if body is None else _document(body), start=query.start_component_id or None, stop=query.stop_component_id or None
    )
    steps = await services.builds.plan_steps(caller, str(flow_id), asked, str(uuid4()))
    order = steps.order
    return {"ids": [order.ids[position] for position in order.first], "run_id": steps.run_id, "vertices_to_run": list(order.ids)}


@endpoint(
    "POST",
    "/api/v1/build/{flow_id}/vertices/{vertex_id}",
    Answer(200, VertexBuilt, "Also for a component that failed: `valid` is false then."),
    Answer(404, Detail),
    Answer(503, Detail, "Too many runs at once."),
    tag=_TAG,
    read_body=_read_optional,
    replaced_by="POST /api/v1/build/{flow_id}/flow",
)
async def build_vertex(
    flow_id: UUID, vertex_id: str, body: PublicBuildBody, caller: Caller, services: ProjectServices, request: Request
) -> dict[str, Any]:
    """Build one vertex, and before it what it needs and was not built yet."""
    asked = _request(body, BuildQuery(), request)
    steps, outcome = await services.builds.build_vertex(caller, str(flow_id), vertex_id, asked)
    return vertex_build(outcome.result, steps.prepared.graph, flow_id=str(flow_id), excluded=outcome.excluded, following=outcome.next)


@endpoint(
    "GET",
    "/api/v1/build/{flow_id}/{vertex_id}/stream",
    Answer(200, None, "Events message, error and close.", media_type="text/event-stream"),
    Answer(404, Detail),
    tag=_TAG,
    replaced_by="POST /api/v1/build/{flow_id}/flow",
)
async def stream_vertex(flow_id: UUID, vertex_id: str, caller: Caller, services: ProjectServices, request: Request) -> EventStream:
    """Build one vertex and send its text as it comes."""
    prepared = await services.prepared_flows.resolve(caller.user_id, str(flow_id))
    frames = Frames()
    asked = BuildRequest(depth=call_depth(request))

    async def work() -> None:
        try:
            await _send_vertex(services, caller, prepared.flow.id, vertex_id, asked, frames)
        except HeadwaterError as error:
            await frames.put(sse_frame({"error": error.message}, "error"))
        finally:
            await frames.put(sse_frame({"message": "Stream closed"}, "close"))

    return EventStream(frames, work, framing=Framing.SSE)


async def _send_vertex(
    services: ProjectServices, caller: Caller, flow_id: str, vertex_id: str, asked: BuildRequest, frames: Frames
) -> None:
    """Its text piece by piece; in one piece when it came at once."""
    has_streamed = False

    async def tell(event: RunEvent) -> None:
        nonlocal has_streamed
        match event:
            case TokenAdded(chunk=chunk):
                has_streamed = True
                await frames.put(sse_frame({"chunk": chunk}, "message"))
            case LogAdded(entry=entry):
                await frames.put(sse_frame({"message": entry.get("message", "")}, "message"))
            case _:
                pass

    _, outcome = await services.builds.build_vertex(caller, flow_id, vertex_id, asked, on_event=tell)
    result = outcome.result
    if result.error is not None:
        await frames.put(sse_frame({"error": result.error}, "error"))
    elif not has_streamed:
        value = next(iter(result.outputs.values()), "")
        await frames.put(sse_frame({"chunk": value.text if isinstance(value, Message) else jsonable(value)}, "message"))


ENDPOINTS = (
    build_flow,
    read_build_events,
    cancel_build,
    plan_vertices,
    build_vertex,
    stream_vertex,
    build_public_flow,
    read_public_build_events,
    cancel_public_build,
)
