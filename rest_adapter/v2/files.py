"""A user's own files: upload and list."""

from typing import Any
from uuid import UUID

from starlette.requests import Request

from projects.access.caller import Caller
from projects.files import StoredFile
from projects.services import ProjectServices
from rest_adapter.routing import Answer, endpoint
from rest_adapter.uploads import uploaded_file
from rest_adapter.v1.models import Detail, Seconds, Wire

_TAG = "Files"


class FileUploaded(Wire):
    """`name` is without the ending; `path` is what flows name the file by."""

    id: UUID
    name: str
    path: str
    size: int
    provider: str | None


class FileRead(FileUploaded):
    user_id: UUID
    created_at: Seconds
    updated_at: Seconds


def file_uploaded(file: StoredFile) -> dict[str, Any]:
    stem, dot, _ = file.name.rpartition(".")
    return {"id": file.id, "name": stem if dot and stem else file.name, "path": file.path, "size": file.size_bytes, "provider": None}


def file_read(file: StoredFile) -> dict[str, Any]:
    return file_uploaded(file) | {"user_id": file.owner_id, "created_at": file.created_at, "updated_at": file.updated_at}


async def _upload(request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    async with uploaded_file(request) as upload:
        return file_uploaded(await services.files.save(caller, None, upload.name or "file", upload.pieces()))


async def _list(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    return [file_read(file) for file in await services.files.list_files(caller)]


_UPLOAD_ANSWERS = (
    Answer(201, FileUploaded),
    Answer(400, Detail, "A name that is more than a name."),
    Answer(413, Detail),
)


@endpoint("POST", "/api/v2/files", *_UPLOAD_ANSWERS, tag=_TAG, body_media_types=("multipart/form-data",))
async def upload_file(request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Keep a file of the caller's own, as the field `file` of a multipart form."""
    return await _upload(request, caller, services)


@endpoint("POST", "/api/v2/files/", *_UPLOAD_ANSWERS, tag=_TAG, body_media_types=("multipart/form-data",), is_listed=False)
async def upload_file_slash(request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The same, as some clients spell it."""
    return await _upload(request, caller, services)


@endpoint("GET", "/api/v2/files", Answer(200, list[FileRead]), tag=_TAG)
async def list_files(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The caller's own files, oldest first."""
    return await _list(caller, services)


@endpoint("GET", "/api/v2/files/", Answer(200, list[FileRead]), tag=_TAG, is_listed=False)
async def list_files_slash(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The same, as some clients spell it."""
    return await _list(caller, services)


ENDPOINTS = (upload_file, list_files, upload_file_slash, list_files_slash)
