"""One uploaded file of a multipart form, in pieces. Starlette keeps what is larger than a megabyte on the disk meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.requests import Request

from projects.errors import InvalidInput
from projects.storage_paths import is_plain_name
from rest_adapter.errors import BadRequest

PIECE_BYTES = 1024 * 1024
MAX_NAME_BYTES = 255
_MISSING = "No file: send it as the field `file` of a multipart form."


@dataclass(frozen=True, slots=True)
class Upload:
    """`name` is what the client called it; empty when it named none."""

    name: str
    file: UploadFile

    async def pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.file.read(PIECE_BYTES):
            yield piece


@asynccontextmanager
async def uploaded_file(request: Request) -> AsyncIterator[Upload]:
    """The form's `file`. A name that is more than a name is refused, not mended: its sender meant something else."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidInput(_MISSING)
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidInput(_MISSING)
        name = file.filename or ""
        if name and (not is_plain_name(name) or ".." in name or len(name.encode()) > MAX_NAME_BYTES):
            raise BadRequest("The file's name must be a name alone: no folders, no `..`, no control characters, at most 255 bytes.")
        yield Upload(name, file)
