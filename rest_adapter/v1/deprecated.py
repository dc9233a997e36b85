"""Addresses of Langflow's past. They say what to use instead; the operator may let the two that ran flows run them again."""

from typing import Any
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from projects.access.caller import Caller
from projects.errors import CredentialsMissing, FieldProblem, InvalidInput, NotFound
from projects.kept_text import find_uuid
from projects.services import ProjectServices
from rest_adapter import errors
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.information import ServerInformation
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.uploads import MULTIPART
from rest_adapter.v1 import background_runs, files, runs
from rest_adapter.v1.background_runs import RunRead
from rest_adapter.v1.files import Uploaded
from rest_adapter.v1.models import Detail
from rest_adapter.v1.runs import RunQuery, RunRequest, RunResponse

_TAG = "Deprecated"
_RUN = "POST /api/v1/run/{flow id or endpoint name}"
_USE = f"Use {_RUN} instead"
_SWITCH = "HEADWATER_RUN_DEPRECATED_ROUTES"
_RUN_ANSWERS = (
    Answer(200, RunResponse, f"Only when the operator set {_SWITCH}: as /run."),
    Answer(400, Detail, "The address is deprecated."),
    Answer(404, Detail),
)


async def _as_run(
    flow_id: str, caller: Caller, services: ProjectServices, information: ServerInformation, request: Request, name: str
) -> Response:
    if not information.run_deprecated_routes:
        raise BadRequest(f"/{name} is deprecated and runs nothing here. {_USE}; the operator can switch /{name} on with {_SWITCH}.")
    try:
        body = RunRequest.model_validate(await runs.read_run_body(request))
    except ValidationError as error:
        return JsonResponse({"detail": errors.validation_entries(error, "body")}, 422)
    answer: Response = await runs.run_flow.handler(
        flow_id_or_name=flow_id, query=RunQuery(), body=body, caller=caller, services=services, request=request
    )
    return answer


@endpoint("POST", "/api/v1/process/{flow_id}", *_RUN_ANSWERS, tag=_TAG, replaced_by=_RUN)
async def process_flow(
    flow_id: str, caller: Caller, services: ProjectServices, information: ServerInformation, request: Request
) -> Response:
    """Deprecated: use POST /api/v1/run/{flow_id_or_name}. Answers 400, unless the operator lets it do what /run does."""
    return await _as_run(flow_id, caller, services, information, request, "process")


@endpoint("POST", "/api/v1/predict/{flow_id}", *_RUN_ANSWERS, tag=_TAG, replaced_by=_RUN)
async def predict_flow(
    flow_id: str, caller: Caller, services: ProjectServices, information: ServerInformation, request: Request
) -> Response:
    """Deprecated: use POST /api/v1/run/{flow_id_or_name}. Answers 400, unless the operator lets it do what /run does."""
    return await _as_run(flow_id, caller, services, information, request, "predict")


@endpoint(
    "GET",
    "/api/v1/task/{task_id}",
    Answer(200, RunRead, f"Only when the operator set {_SWITCH}: the run of this id."),
    Answer(400, Detail, "The address is deprecated."),
    Answer(404, Detail),
    owner=OwnerRule.CALLER,
    tag=_TAG,
    replaced_by="GET /api/v1/runs/{run_id}",
)
async def read_task(task_id: str, caller: Caller | None, services: ProjectServices, information: ServerInformation) -> dict[str, Any]:
    """Deprecated: use GET /api/v1/runs/{run_id}. Answers 400, unless the operator lets it show the state of a run."""
    if not information.run_deprecated_routes:
        raise BadRequest(f"/task is deprecated and shows nothing here. Use GET /api/v1/runs/{{run id}} instead, or have {_SWITCH} set.")
    if caller is None:
        raise CredentialsMissing()
    run_id = find_uuid(task_id)
    if run_id is None:
        raise NotFound("task", task_id)
    return await background_runs.run_shape(services, caller, run_id)


@endpoint(
    "POST",
    "/api/v1/upload/{flow_id}",
    Answer(201, Uploaded),
    Answer(400, Detail, "A name that is more than a name, or a form that cannot be read."),
    Answer(404, Detail),
    Answer(413, Detail),
    Answer(415, Detail, "No multipart form."),
    tag=_TAG,
    body_media_types=(MULTIPART,),
    replaced_by="POST /api/v1/files/upload/{flow_id}",
)
async def upload_file_of_flow(flow_id: UUID, request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Deprecated: use POST /api/v1/files/upload/{flow_id}. Keeps a file of one flow; its path is what the flow names it by."""
    if "content-type" not in request.headers:
        raise InvalidInput(
            "Send the file as the field `file` of a multipart form.", problems=[FieldProblem(("file",), "Field required", "missing")]
        )
    kept: dict[str, Any] = await files.upload_flow_file.handler(flow_id=flow_id, request=request, caller=caller, services=services)
    return kept


ENDPOINTS = (process_flow, predict_flow, read_task, upload_file_of_flow)
