"""A user's own files: keep, list, download, rename and delete them, one or several at once."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from projects.access.caller import Caller
from projects.errors import FieldProblem, InvalidInput, NotFound, TooLarge
from projects.file_names import MAX_NAME_BYTES
from projects.files import StoredFile
from projects.services import ProjectServices
from rest_adapter.downloads import BINARY, ZIP, archive_answer, file_answer
from rest_adapter.errors import BadRequest, JsonResponse
from rest_adapter.routing import Answer, endpoint
from rest_adapter.uploads import MULTIPART, checked_name, uploaded_file
from rest_adapter.v1.files import PARTS
from rest_adapter.v1.models import Detail, Ids, Instant, Said, Wire, instant_text

_TAG = "Files"
MAX_TEXT_BYTES = 16 * 1024 * 1024  # of a file that is answered as one JSON text


class FileUploaded(Wire):
    """`name` is without the ending; `path` is what flows name the file by, and stays when the name changes."""

    id: UUID
    name: str
    path: str
    size: int
    provider: str | None


class FileRead(FileUploaded):
    user_id: UUID
    created_at: Instant
    updated_at: Instant


class FileDeleted(Wire):
    detail: str


class UploadQuery(Wire):
    """`append`: put it at the end of the file of this name. `ephemeral` changes nothing: whatever is kept is listed."""

    append: bool = False
    ephemeral: bool = False


class DownloadQuery(Wire):
    return_content: bool = False


class RenameQuery(Wire):
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES)]


def file_uploaded(file: StoredFile) -> dict[str, Any]:
    return {"id": file.id, "name": _stem(file), "path": file.path, "size": file.size_bytes, "provider": None}


def file_read(file: StoredFile) -> dict[str, Any]:
    moments = {"created_at": instant_text(file.created_at), "updated_at": instant_text(file.updated_at)}
    return file_uploaded(file) | {"user_id": file.owner_id, **moments}


def _stem(file: StoredFile) -> str:
    return file.name.rpartition(".")[0] or file.name


async def _upload(query: UploadQuery, request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    async with uploaded_file(request) as upload:
        name = upload.name or "file"
        if query.append:
            return file_uploaded(await services.files.append(caller, name, upload.pieces()))
        return file_uploaded(await services.files.save(caller, None, name, upload.pieces()))


async def _list(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    return [file_read(file) for file in await services.files.list_files(caller)]


async def _delete_all(caller: Caller, services: ProjectServices) -> dict[str, str]:
    return {"message": f"All {await services.files.delete_own(caller)} files deleted successfully"}


_UPLOAD_ANSWERS = (
    Answer(201, FileUploaded),
    Answer(400, Detail, "A name that is more than a name, or a form that cannot be read."),
    Answer(409, Detail, "The file to append to was changed meanwhile."),
    Answer(413, Detail),
    Answer(415, Detail, "No multipart form."),
)


@endpoint("POST", "/api/v2/files", *_UPLOAD_ANSWERS, tag=_TAG, body_media_types=(MULTIPART,))
async def upload_file(query: UploadQuery, request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Keep a file of the caller's own, as the field `file` of a multipart form."""
    return await _upload(query, request, caller, services)


@endpoint("POST", "/api/v2/files/", *_UPLOAD_ANSWERS, tag=_TAG, body_media_types=(MULTIPART,), is_listed=False)
async def upload_file_slash(query: UploadQuery, request: Request, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """The same, as some clients spell it."""
    return await _upload(query, request, caller, services)


@endpoint("GET", "/api/v2/files", Answer(200, list[FileRead]), tag=_TAG)
async def list_files(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The caller's own files, oldest first."""
    return await _list(caller, services)


@endpoint("GET", "/api/v2/files/", Answer(200, list[FileRead]), tag=_TAG, is_listed=False)
async def list_files_slash(caller: Caller, services: ProjectServices) -> list[dict[str, Any]]:
    """The same, as some clients spell it."""
    return await _list(caller, services)


@endpoint("DELETE", "/api/v2/files", Answer(200, Said), tag=_TAG)
async def delete_all_files(caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Delete all of the caller's own files; those of flows stay."""
    return await _delete_all(caller, services)


@endpoint("DELETE", "/api/v2/files/", Answer(200, Said), tag=_TAG, is_listed=False)
async def delete_all_files_slash(caller: Caller, services: ProjectServices) -> dict[str, str]:
    """The same, as some clients spell it."""
    return await _delete_all(caller, services)


@endpoint("POST", "/api/v2/files/batch/", Answer(200, media_type=ZIP), Answer(404, Detail, "None of them is there."), tag=_TAG)
async def download_files(body: Ids, caller: Caller, services: ProjectServices) -> Response:
    """Several files as one ZIP; ids that are not the caller's are passed over."""
    chosen = await services.files.list_own(caller, [str(id) for id in body])
    if not chosen:
        raise NotFound("file", ", ".join(str(id) for id in body[:3]) or "none was named")
    return archive_answer(services.files, chosen)


@endpoint("DELETE", "/api/v2/files/batch/", Answer(200, Said), Answer(404, Detail, "None of them is there."), tag=_TAG)
async def delete_files(body: Ids, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Delete several files; ids that are not the caller's are passed over."""
    count = await services.files.delete_own(caller, [str(id) for id in body])
    if not count:
        raise NotFound("file", ", ".join(str(id) for id in body[:3]) or "none was named")
    return {"message": f"{count} files deleted successfully"}


@endpoint("GET", "/api/v2/files/{file_id}", Answer(200, media_type=BINARY), *PARTS, Answer(404, Detail), Answer(413, Detail), tag=_TAG)
async def download_file(file_id: UUID, query: DownloadQuery, request: Request, caller: Caller, services: ProjectServices) -> Response:
    """The bytes of a file, whole or the range that is asked for; with `return_content` its text as a JSON text."""
    file = await services.files.get_own(caller, str(file_id))
    if not query.return_content:
        return await file_answer(request, services.files, file)
    if file.size_bytes > MAX_TEXT_BYTES:
        raise TooLarge(f"The file has {file.size_bytes:,} bytes; at most {MAX_TEXT_BYTES:,} are given as a text. Download it instead.")
    raw = await services.files.read(caller.user_id, file.id, limit_bytes=MAX_TEXT_BYTES)
    try:
        return JsonResponse(raw.decode())
    except UnicodeDecodeError:
        message = "The file is no text in UTF-8; leave return_content out to download its bytes."
        raise InvalidInput(message, problems=[FieldProblem(("query", "return_content"), message, "no_text")]) from None


@endpoint(
    "PUT",
    "/api/v2/files/{file_id}",
    Answer(200, FileUploaded),
    Answer(400, Detail, "A name that is more than a name."),
    Answer(404, Detail),
    tag=_TAG,
)
async def rename_file(file_id: UUID, query: RenameQuery, caller: Caller, services: ProjectServices) -> dict[str, Any]:
    """Give a file another name, without its ending; its path stays what flows know it by."""
    if not query.name.strip():
        raise BadRequest("The file's name must not be empty.")
    return file_uploaded(await services.files.rename(caller, str(file_id), checked_name(query.name)))


@endpoint("DELETE", "/api/v2/files/{file_id}", Answer(200, FileDeleted), Answer(404, Detail), tag=_TAG)
async def delete_file(file_id: UUID, caller: Caller, services: ProjectServices) -> dict[str, str]:
    """Delete a file."""
    file = await services.files.delete(caller, str(file_id))
    return {"detail": f"File {_stem(file)} deleted successfully"}


ENDPOINTS = (
    upload_file,
    list_files,
    delete_all_files,
    upload_file_slash,
    list_files_slash,
    delete_all_files_slash,
    download_files,
    delete_files,
    download_file,
    rename_file,
    delete_file,
)
