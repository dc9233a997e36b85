"""Files of flows: keep one, to be named in a flow, a tweak or a chat message; list, download, show and delete them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from projects.access.caller import Caller
from projects.errors import InvalidInput
from projects.file_names import media_type_of
from projects.services import ProjectServices
from rest_adapter.downloads import BINARY, file_answer
from rest_adapter.errors import BadRequest
from rest_adapter.routing import Answer, endpoint
from rest_adapter.uploads import MULTIPART, checked_name, uploaded_file
from rest_adapter.v1.models import Detail, Said, Wire

_TAG = "Files"
_BAD_NAME = Answer(400, Detail, "A name that is more than a name.")
PARTS = (
    Answer(206, media_type=BINARY, description="The one range of bytes that was asked for."),
    Answer(304, description="The caller has it already."),
    Answer(416, Detail, "The range begins after the end."),
)


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
    Answer(400, Detail, "A name that is more than a name, or a form that cannot be read."),
    Answer(404, Detail),
    Answer(413, Detail),
    Answer(415, Detail, "No multipart form."),
    tag=_TAG,
    body_media_types=(MULTIPART,),
)
async def upload_flow_file(flow_id: UUID, request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Keep a file of one flow, as the field `file` of a multipart form."""
    if "content-type" not in request.headers:
        raise InvalidInput(f"Content-Type must be {MULTIPART} with a boundary.")
    flow = await services.flows.get(caller, str(flow_id))
    async with uploaded_file(request) as upload:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        file = await services.files.save(caller, flow.id, f"{stamp}_{upload.name or 'file'}", upload.pieces())
    return {"flowId": flow.id, "file_path": file.path}


@endpoint(
    "GET", "/api/v1/files/download/{flow_id}/{file_name}", Answer(200, media_type=BINARY), *PARTS, _BAD_NAME, Answer(404, Detail), tag=_TAG
)
async def download_flow_file(flow_id: UUID, file_name: str, request: Request, caller: Caller, services: ProjectServices) -> Response:
    """The bytes of one flow's file, whole or the range that is asked for."""
    file = await services.files.get_of_flow(caller, str(flow_id), checked_name(file_name))
    return await file_answer(request, services.files, file)


@endpoint(
    "GET",
    "/api/v1/files/images/{flow_id}/{file_name}",
    Answer(200, media_type="image/*"),
    *PARTS,
    Answer(400, Detail, "A name that is more than a name, or a file that is no image by its name."),
    Answer(404, Detail),
    tag=_TAG,
)
async def show_flow_image(flow_id: UUID, file_name: str, request: Request, caller: Caller, services: ProjectServices) -> Response:
    """The same with an image's own type, for pages that show it."""
    media_type = media_type_of(checked_name(file_name))
    if not media_type.startswith("image/"):
        raise BadRequest(f"{file_name} is no image by its name; download it from /api/v1/files/download instead.")
    file = await services.files.get_of_flow(caller, str(flow_id), file_name)
    return await file_answer(request, services.files, file, media_type=media_type, disposition="attachment")


@endpoint("GET", "/api/v1/files/list/{flow_id}", Answer(200, FileNames), Answer(404, Detail), tag=_TAG)
async def list_flow_files(flow_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The names of one flow's files."""
    return {"files": [file.name for file in await services.files.list_files(caller, flow_id=str(flow_id))]}


@endpoint("DELETE", "/api/v1/files/delete/{flow_id}/{file_name}", Answer(200, Said), _BAD_NAME, Answer(404, Detail), tag=_TAG)
async def delete_flow_file(flow_id: UUID, file_name: str, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Delete one flow's file; one that is not there is as good as deleted."""
    await services.files.delete_of_flow(caller, str(flow_id), checked_name(file_name))
    return {"message": f"File {file_name} deleted successfully"}


ENDPOINTS = (upload_flow_file, download_flow_file, show_flow_image, list_flow_files, delete_flow_file)
