"""Running a flow and waiting for it, in one piece or event by event (`/run`), or once for each of several inputs (`/run/advanced`)."""

from typing import Any, Literal

from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from projects.access.caller import Caller
from projects.engine.events import RunEvent
from projects.errors import HeadwaterError, NotFound
from projects.invocation import Invocation, InvocationResult
from projects.services import ProjectServices
from rest_adapter import json_body
from rest_adapter.errors import JsonResponse
from rest_adapter.event_stream import EVENT_STREAM, EventStream, Frames, Framing, ndjson_frame
from rest_adapter.presence import while_present
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.background_runs import question_shape
from rest_adapter.v1.models import Detail, Wire
from rest_adapter.v1.request_headers import IDEMPOTENCY_KEY, RUN_ID_HEADER, call_depth, idempotency_key, request_variables
from rest_adapter.v1.run_events import RunEvents, WireEvent
from rest_adapter.v1.run_shapes import run_response


class RunRequest(Wire):
    """Every field is optional, and null is the same as left out. Unknown fields are ignored; a field of the wrong type is refused."""

    input_value: str | None = None
    input_type: Literal["chat", "text", "any"] | None = "chat"
    output_type: Literal["chat", "text", "any", "debug"] | None = "chat"
    output_component: str | None = Field(default="", description="Id or display name of the one vertex whose result is wanted.")
    tweaks: dict[str, Any] | None = Field(default=None, description="Node id, display name or field name → the change for this run.")
    session_id: str | None = Field(default=None, description="Whose history this belongs to; the flow's id when it is not given.")
    user_id: str | None = None


class RunQuery(Wire):
    stream: bool = False


class ResultData(Wire):
    """What one vertex produced."""

    results: dict[str, Any]
    artifacts: dict[str, Any]
    outputs: dict[str, Any]
    logs: dict[str, list[Any]]
    messages: list[dict[str, Any]]
    timedelta: float | None
    duration: str | None
    component_display_name: str
    component_id: str
    used_frozen_result: bool
    token_usage: dict[str, int] | None


class RunOutputs(Wire):
    inputs: dict[str, Any]
    outputs: list[ResultData]


class RunResponse(Wire):
    session_id: str
    outputs: list[RunOutputs]
    warnings: list[str] | None = Field(default=None, description="There only when something in the request had no effect.")


async def read_run_body(request: Request) -> Any:
    """The request's fields: JSON under any content type, the same fields as a multipart form, or nothing at all."""
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        async with request.form(max_files=0, max_fields=20, max_part_size=16 * 1024 * 1024) as form:
            fields: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str)}
        if "tweaks" in fields:
            fields["tweaks"] = json_body.read_json(fields["tweaks"])
        return fields
    raw = await request.body()
    if not raw:
        return {}
    body = json_body.read_json(raw)
    if isinstance(body, dict) and "input_request" in body:
        return body["input_request"]
    return body


async def _read_optional_body(request: Request) -> Any:
    raw = await request.body()
    return json_body.read_json(raw) if raw else {}


@endpoint(
    "POST",
    "/api/v1/run/{flow_id_or_name}",
    Answer(
        200,
        RunResponse,
        "The run ended; its header x-headwater-run-id names it. With `stream`, its events as they come, the last with this.",
        stream_media_type=EVENT_STREAM,
    ),
    Answer(400, Detail, "The input is given twice, or the run waits for a person: its id is told."),
    Answer(404, Detail),
    Answer(409, Detail, "The run was cancelled, or that of the Idempotency-Key is still going on."),
    Answer(429, Detail, "Too many calls of this credential."),
    Answer(500, Detail, "A component failed: the detail is a JSON text with message, component_id and component_type."),
    Answer(502, Detail, "The provider of a model failed."),
    Answer(503, Detail, "Too many runs at once, or the provider of a model is busy."),
    Answer(504, Detail, "The provider of a model did not answer in time."),
    tag="Run",
    body_media_types=("application/json", "multipart/form-data"),
    read_body=read_run_body,
    request_headers=(IDEMPOTENCY_KEY,),
)
async def run_flow(
    flow_id_or_name: str, query: RunQuery, body: RunRequest, caller: Caller, services: ProjectServices, request: Request
) -> Response:
    """Run a flow, by id or endpoint name, and wait for its outputs, or follow it with `stream`.

    The run is cancelled when the client goes away, unless there is an `Idempotency-Key`: then the same request again gets its answer.
    """
    invocation = Invocation(
        input_value=body.input_value,
        input_type=body.input_type or "chat",
        output_type=body.output_type or "chat",
        output_component=body.output_component or "",
        tweaks=body.tweaks,
        session_id=body.session_id,
        request_variables=request_variables(request),
        depth=call_depth(request),
        request_key=idempotency_key(request, "run", flow_id_or_name, body.model_dump(exclude_unset=True)),
    )
    if query.stream:
        return await stream_run(caller, flow_id_or_name, invocation, services)
    result = await while_present(request, services.invocations.invoke(caller, flow_id_or_name, invocation))
    if result.questions:
        return JsonResponse({"detail": what_it_waits_for(result)}, 400, headers={RUN_ID_HEADER: result.run_id})
    return JsonResponse(run_response(result), headers={RUN_ID_HEADER: result.run_id})


async def stream_run(caller: Caller, flow_id_or_name: str, invocation: Invocation, services: ProjectServices) -> EventStream:
    """The run's events; the last is `end` with the whole result, `error` with a text, or `human_input_required`."""
    prepared = await services.prepared_flows.resolve(caller.user_id, flow_id_or_name)
    frames, events = Frames(), RunEvents(prepared.flow.id)

    async def put(told: list[WireEvent]) -> None:
        if told:
            await frames.put(b"".join(ndjson_frame(name, data) for name, data in told))

    async def on_event(event: RunEvent) -> None:
        await put(events.of(event))

    handle = await services.invocations.open(caller, prepared, invocation, on_event=on_event)

    async def work() -> None:
        try:
            result = await handle.outcome()
        except HeadwaterError as error:
            await put([*events.left(), ("error", {"error": error.message})])
        except Exception:
            # A boundary: the reason is in the log with the run, and the client is told that there is no more to come.
            await put([*events.left(), ("error", {"error": "The server failed to run this flow; its log has the reason."})])
        else:
            last = ("human_input_required", what_it_waits_for(result)) if result.questions else ("end", {"result": run_response(result)})
            await put([*events.left(), last])

    # The label is Langflow's: an event stream by name, JSON objects and empty lines by content.
    return EventStream(frames, work, framing=Framing.NDJSON, headers={RUN_ID_HEADER: handle.run_id})


def what_it_waits_for(result: InvocationResult) -> dict[str, Any]:
    """A run that waits for a person is no answer to this request, but it is not lost: where and how to go on with it."""
    return {
        "error": "Input required",
        "code": "INPUT_REQUIRED",
        "message": (
            "The flow waits for a person, which this route cannot. The run is kept: answer its questions with "
            f"POST /api/v1/runs/{result.run_id}/answers and read its outputs with GET /api/v1/runs/{result.run_id}."
        ),
        "run_id": result.run_id,
        "questions": [question_shape(question).model_dump(mode="json", by_alias=True) for question in result.questions],
    }


class AdvancedInput(Wire):
    """One run's input."""

    model_config = ConfigDict(extra="forbid")

    components: list[str] | None = Field(default=None, description="Ids or display names: only these inputs take the value.")
    input_value: str | None = None
    session: str | None = None
    type: Literal["chat", "text", "any"] | None = "any"
    client_request_time: int | None = None


class AdvancedRequest(Wire):
    inputs: list[AdvancedInput] | None = Field(default=None, max_length=100, description="A run for each, one after the other.")
    outputs: list[str] | None = Field(default=None, description="Ids or display names of the wanted vertices; none: all outputs.")
    tweaks: dict[str, Any] | None = None
    stream: bool = Field(default=False, description="Taken and without effect: the answer comes in one piece.")
    session_id: str | None = Field(default=None, description="A session that this flow has run in before.")


@endpoint(
    "POST",
    "/api/v1/run/advanced/{flow_id_or_name}",
    Answer(200, RunResponse, "An entry for each input; the header x-headwater-run-id names the runs."),
    Answer(400, Detail, "A run waits for a person: its id is told."),
    Answer(404, Detail, "No such flow, or it never ran in this session."),
    Answer(409, Detail, "A run was cancelled, or that of the Idempotency-Key is still going on."),
    Answer(429, Detail, "Too many calls of this credential."),
    Answer(500, Detail, "A component failed: the detail is a JSON text with message, component_id and component_type."),
    Answer(502, Detail, "The provider of a model failed."),
    Answer(503, Detail, "Too many runs at once, or the provider of a model is busy."),
    Answer(504, Detail, "The provider of a model did not answer in time."),
    tag="Run",
    body_media_types=("application/json",),
    read_body=_read_optional_body,
    request_headers=(IDEMPOTENCY_KEY,),
)
async def run_flow_advanced(
    flow_id_or_name: str, body: AdvancedRequest, caller: Caller, services: ProjectServices, request: Request
) -> Response:
    """Run a flow once for each of several inputs, and wait for all outputs."""
    prepared = await services.prepared_flows.resolve(caller.user_id, flow_id_or_name)
    flow_id = prepared.flow.id
    if body.session_id is not None and not await services.runs.list_runs(caller, flow_id=flow_id, session_id=body.session_id, limit=1):
        raise NotFound("session", body.session_id)
    key = idempotency_key(request, "run/advanced", flow_id_or_name, body.model_dump(exclude_unset=True))

    async def run_all() -> list[InvocationResult]:
        results: list[InvocationResult] = []
        for place, given in enumerate(body.inputs or [AdvancedInput()]):
            invocation = Invocation(
                input_value=given.input_value or "",
                input_type=given.type or "any",
                input_components=tuple(given.components or ()),
                output_type="any",
                output_components=tuple(body.outputs or ()),
                tweaks=body.tweaks,
                session_id=given.session or body.session_id,
                request_variables=request_variables(request),
                depth=call_depth(request),
                request_key=None if key is None else key.for_part(place),
            )
            results.append(await services.invocations.invoke_prepared(caller, prepared, invocation))
            if results[-1].questions:
                break
        return results

    results = await while_present(request, run_all())
    headers = {RUN_ID_HEADER: ", ".join(result.run_id for result in results)}
    if results[-1].questions:
        return JsonResponse({"detail": what_it_waits_for(results[-1])}, 400, headers=headers)
    answer = run_response(results[0]) | {"session_id": body.session_id or flow_id}
    for result in results[1:]:
        answer["outputs"] += run_response(result)["outputs"]
    if warnings := list(dict.fromkeys(warning for result in results for warning in result.warnings)):
        answer["warnings"] = warnings
    return JsonResponse(answer, headers=headers)


HOT_ENDPOINTS = (run_flow,)
ENDPOINTS = (run_flow_advanced,)
