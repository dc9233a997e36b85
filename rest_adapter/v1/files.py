"""Files of flows: upload one, to be named in a flow, a tweak or a chat message."""

from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.requests import Request

from projects.access.caller import Caller
from projects.services import ProjectServices
from rest_adapter.routing import Answer, endpoint
from rest_adapter.uploads import uploaded_file
from rest_adapter.v1.models import Detail, Wire

_TAG = "Files"


class Uploaded(Wire):
    """`file_path` is what a Read File node or a chat message names the file by."""

    flowId: UUID
    file_path: str


class FileNames(Wire):
    files: list[str]


@endpoint(
    "POST",
    "/api/v1/files/upload/{flow_id}",
    Answer(201, Uploaded),
    Answer(400, Detail, "A name that is more than a name."),
    Answer(404, Detail),
    Answer(413, Detail),
    tag=_TAG,
    body_media_types=("multipart/form-data",),
)
async def upload_flow_file(flow_id: UUID, request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Keep a file of one flow, as the field `file` of a multipart form."""
    flow = await services.flows.get(caller, str(flow_id))
    async with uploaded_file(request) as upload:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        file = await services.files.save(caller, flow.id, f"{stamp}_{upload.name or 'file'}", upload.pieces())
    return {"flowId": flow.id, "file_path": file.path}


@endpoint("GET", "/api/v1/files/list/{flow_id}", Answer(200, FileNames), Answer(404, Detail), tag=_TAG)
async def list_flow_files(flow_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The names of one flow's files."""
    return {"files": [file.name for file in await services.files.list_files(caller, flow_id=str(flow_id))]}


ENDPOINTS = (upload_flow_file, list_flow_files)
