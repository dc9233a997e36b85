"""Running a flow: and wait (`/run`), or in the background (`/webhook`), and looking at a run afterwards."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from starlette.requests import Request

from projects.access.caller import Caller
from projects.invocation import Invocation
from projects.services import ProjectServices
from rest_adapter import json_body
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.routing import Answer, endpoint
from rest_adapter.v1.models import Detail, Instant, Said, Wire
from rest_adapter.v1.run_shapes import run_response

_VARIABLE_PREFIX = b"x-langflow-global-var-"


class RunRequest(Wire):
    """Every field is optional. Unknown fields are ignored; a field of the wrong type is refused."""

    input_value: str | None = None
    input_type: Literal["chat", "text", "any"] = "chat"
    output_type: Literal["chat", "text", "any", "debug"] = "chat"
    output_component: str = Field(default="", description="Id or display name of the one vertex whose result is wanted.")
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


class WebhookAccepted(Wire):
    message: str
    status: str
    run_id: str


class RunRead(Wire):
    id: str
    flow_id: str
    session_id: str
    kind: str
    state: str
    attempt: int
    result: Any = None
    error: Any = None
    warnings: list[str] | None = None
    created_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None


async def _read_run_body(request: Request) -> Any:
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


def _request_variables(request: Request) -> dict[str, str]:
    """Variables for this run alone, sent as headers; names are upper-case."""
    return {
        name[len(_VARIABLE_PREFIX) :].decode("latin-1").upper(): value.decode("latin-1")
        for name, value in request.scope["headers"]
        if name.startswith(_VARIABLE_PREFIX)
    }


@endpoint(
    "POST",
    "/api/v1/run/{flow_id_or_name}",
    Answer(200, RunResponse, "The run ended; its header x-headwater-run-id names it."),
    Answer(400, Detail, "The input is given twice, or streaming was asked for."),
    Answer(404, Detail),
    Answer(409, Detail, "The run was cancelled."),
    Answer(500, Detail, "A component failed: the detail is a JSON text with message, component_id and component_type."),
    Answer(503, Detail, "Too many runs at once."),
    tag="Run",
    body_media_types=("application/json", "multipart/form-data"),
    read_body=_read_run_body,
)
async def run_flow(
    flow_id_or_name: str, query: RunQuery, body: RunRequest, caller: Caller, services: ProjectServices, request: Request
) -> JsonResponse:
    """Run a flow, by id or endpoint name, and wait for its outputs."""
    if query.stream:
        raise BadRequest("Streaming is not available yet: leave `stream` out and read the whole answer at the end of the run.")
    invocation = Invocation(
        input_value=body.input_value,
        input_type=body.input_type,
        output_type=body.output_type,
        output_component=body.output_component,
        tweaks=body.tweaks,
        session_id=body.session_id,
        request_variables=_request_variables(request),
    )
    result = await services.invocations.invoke(caller, flow_id_or_name, invocation)
    return JsonResponse(run_response(result), headers={"x-headwater-run-id": result.run_id})


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
    Answer(503, Detail, "Too many runs at once."),
    tag="Run",
    body_media_types=("application/json", "text/plain"),
    read_body=_read_payload,
)
async def call_webhook(flow_id_or_name: str, body: str, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Hand a payload to a flow's Webhook components and run the flow in the background."""
    run_id = await services.invocations.start(caller, flow_id_or_name, Invocation(input_value="", kind="webhook", webhook_body=body))
    return {"message": "Task started in the background", "status": "in progress", "run_id": run_id}


@endpoint("GET", "/api/v1/runs/{run_id}", Answer(200, RunRead), Answer(404, Detail), tag="Run")
async def read_run(run_id: UUID, caller: Caller, services: ProjectServices) -> RunRead:
    """How a run stands or how it ended, its result or its error."""
    return RunRead.model_validate(await services.monitoring.get_run(caller, str(run_id)))


@endpoint("POST", "/api/v1/runs/{run_id}/cancel", Answer(202, Said), Answer(404, Detail, "No such run is going on."), tag="Run")
async def cancel_run(run_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Ask a run that is going on to stop."""
    await services.invocations.cancel(caller, str(run_id))
    return {"message": "The run was asked to stop."}


HOT_ENDPOINTS = (run_flow, call_webhook)
ENDPOINTS = (read_run, cancel_run)
