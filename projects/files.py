"""Files that users upload: their bytes in the blob store under generated keys, their names only ever shown."""

import unicodedata
from collections.abc import AsyncIterable, AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.errors import NotFound, TooLarge, Unavailable
from projects.free_names import free_name
from projects.kept_text import find_uuid
from projects.storage_paths import StoragePath, find_storage_path
from projects.unit_of_work import reading, writing
from storage.blobs import BlobNotFound, BlobStore, BlobStoreUnavailable, BlobTooLarge, new_blob_key
from storage.database import Database, MissingReference
from storage.files import FileRepository
from storage.flows import FlowRepository
from storage.ids import new_id
from storage.tables import FileRow

MAX_NAME_BYTES = 255

# A fixed table: the machine's own one differs from machine to machine, and decides what a browser does with a download.
_MEDIA_TYPES = {
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "zip": "application/zip",
    "tar": "application/x-tar",
    "gz": "application/gzip",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xml": "application/xml",
    "yaml": "application/x-yaml",
    "yml": "application/x-yaml",
}
_DEVICE_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


class FileLimits(BaseModel):
    """How much may be kept."""

    file_bytes: int = Field(default=1024 * 1024 * 1024, gt=0, description="The largest file that is kept, in bytes")
    user_bytes: int = Field(default=10 * 1024 * 1024 * 1024, gt=0, description="What one user may keep in all, in bytes")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`name` is what the user called it, made clean. `flow_id` is set for files of one flow."""

    id: str
    owner_id: str
    flow_id: str | None
    name: str
    media_type: str
    size_bytes: int
    created_at: datetime
    updated_at: datetime

    @property
    def path(self) -> str:
        """How documents and messages name it (`storage_paths.py`)."""
        return str(StoragePath(self.flow_id or self.owner_id, self.name))

    @classmethod
    def from_row(cls, row: FileRow) -> "StoredFile":
        return cls(
            id=row.id,
            owner_id=row.owner_id,
            flow_id=row.flow_id,
            name=row.name,
            media_type=row.media_type,
            size_bytes=row.size_bytes,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class FileService:
    """Every file belongs to one user, and perhaps to one flow of that user's."""

    def __init__(self, database: Database, blobs: BlobStore, limits: FileLimits) -> None:
        self._database = database
        self._blobs = blobs
        self._limits = limits

    async def save(self, caller: Caller, flow_id: str | None, name: str, chunks: AsyncIterable[bytes]) -> StoredFile:
        """Keep a stream of bytes under this name, or under `name (n)` when there is one. Raises NotFound (the flow), TooLarge, Unavailable.

        When it raises, nothing is kept.
        """
        return await self._keep(caller.user_id, flow_id, name, chunks, in_place=False)

    async def put(self, owner_id: str, flow_id: str, name: str, content: bytes) -> StoredFile:
        """Keep a file of a flow in place of one of the same name. Raises as `save`."""
        return await self._keep(owner_id, flow_id, name, _one(content), in_place=True)

    async def _keep(self, owner_id: str, flow_id: str | None, name: str, chunks: AsyncIterable[bytes], *, in_place: bool) -> StoredFile:
        known_flow_id = None
        async with reading(self._database) as session:
            if flow_id is not None:
                known_flow_id = await _flow_id(session, flow_id, owner_id=owner_id)
            room = self._limits.user_bytes - await FileRepository(session).sum_sizes(owner_id=owner_id)
        limit = min(self._limits.file_bytes, room)
        if limit <= 0:
            raise TooLarge(f"Your files take all of the {self._limits.user_bytes:,} bytes that you may keep; delete some first.")
        key = new_blob_key()
        try:
            size = await self._blobs.write(key, chunks, limit_bytes=limit)
        except BlobTooLarge as error:
            raise TooLarge(f"The file is larger than the {error.limit_bytes:,} bytes that may still be kept.") from error
        except BlobStoreUnavailable as error:
            raise Unavailable("The file could not be stored now; try again later.") from error
        clean, now = clean_name(name), datetime.now(UTC)
        row = FileRow(
            id=new_id(),
            owner_id=owner_id,
            flow_id=known_flow_id,
            name=clean,
            blob_key=key,
            media_type=media_type_of(clean),
            size_bytes=size,
            created_at=now,
            updated_at=now,
        )
        try:
            async with writing(self._database) as session:
                files = FileRepository(session)
                # Several uploads at once may each have fitted when they began.
                await files.lock_owner(owner_id=owner_id)
                replaced: list[str] = []
                if in_place:
                    replaced = await files.delete_named(clean, owner_id=owner_id, flow_id=known_flow_id)
                else:
                    row.name = _free_name(clean, await files.list_names(owner_id=owner_id, flow_id=known_flow_id))
                await files.add(row)
                if await files.sum_sizes(owner_id=owner_id) > self._limits.user_bytes:
                    raise TooLarge(f"Your files would take more than the {self._limits.user_bytes:,} bytes that you may keep.")
        except MissingReference as error:
            await self._discard(key)
            raise NotFound("flow", flow_id or "") from error
        except BaseException:
            await self._discard(key)
            raise
        for old in replaced:
            await self._discard(old)
        return StoredFile.from_row(row)

    async def read(self, owner_id: str, path_or_id: str, *, limit_bytes: int) -> bytes:
        """A whole file of the owner's, by storage path or id. Raises NotFound, TooLarge, Unavailable."""
        async with reading(self._database) as session:
            files = FileRepository(session)
            if (file_id := find_uuid(path_or_id)) is not None:
                row = await files.find(file_id, owner_id=owner_id)
            elif (path := find_storage_path(path_or_id)) is not None:
                flow_id = None if path.scope_id == owner_id else path.scope_id
                row = await files.find_named(path.name, owner_id=owner_id, flow_id=flow_id)
            else:
                row = None
        if row is None:
            raise NotFound("file", path_or_id)
        if row.size_bytes > limit_bytes:
            raise TooLarge(f"{row.name} has {row.size_bytes:,} bytes; at most {limit_bytes:,} are read.")
        return b"".join([piece async for piece in self._pieces(row)])

    async def list_paths(self, owner_id: str, flow_id: str) -> list[str]:
        """Storage paths of one flow's files and of the owner's own, oldest first."""
        async with reading(self._database) as session:
            files = FileRepository(session)
            rows = [*await files.list_owned(owner_id=owner_id, flow_id=flow_id), *await files.list_owned(owner_id=owner_id)]
        return [StoredFile.from_row(row).path for row in rows]

    async def open(self, caller: Caller, file_id: str) -> tuple[StoredFile, AsyncIterator[bytes]]:
        """The file and its bytes, in pieces. Raises NotFound."""
        async with reading(self._database) as session:
            row = await _get(FileRepository(session), file_id, owner_id=caller.user_id)
        return StoredFile.from_row(row), self._pieces(row)

    async def list_files(self, caller: Caller, *, flow_id: str | None = None) -> list[StoredFile]:
        """Oldest first: those of one flow (NotFound when it is not the caller's), or those that belong to no flow."""
        async with reading(self._database) as session:
            known = None if flow_id is None else await _flow_id(session, flow_id, owner_id=caller.user_id)
            rows = await FileRepository(session).list_owned(owner_id=caller.user_id, flow_id=known)
        return [StoredFile.from_row(row) for row in rows]

    async def delete(self, caller: Caller, file_id: str) -> None:
        """Raises NotFound."""
        known = find_uuid(file_id)
        async with writing(self._database) as session:
            key = None if known is None else await FileRepository(session).delete(known, owner_id=caller.user_id)
            if key is None:
                raise NotFound("file", file_id)
        await self._discard(key)

    async def delete_unreferenced_blobs(self, *, older_than_seconds: float = 86_400) -> int:
        """Bytes whose file went away with its flow, its owner or in a crash; how many blobs were deleted."""
        keys = [key async for key in self._blobs.list_keys(older_than_seconds=older_than_seconds)]
        deleted = 0
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            async with reading(self._database) as session:
                known = await FileRepository(session).list_known_blob_keys(some)
            for key in set(some) - known:
                await self._discard(key)
                deleted += 1
        return deleted

    async def _pieces(self, row: FileRow) -> AsyncIterator[bytes]:
        try:
            async for piece in self._blobs.read(row.blob_key):
                yield piece
        except BlobNotFound as error:
            raise NotFound("file", row.id) from error
        except BlobStoreUnavailable as error:
            raise Unavailable("The file cannot be read now; try again later.") from error

    async def _discard(self, key: str) -> None:
        # What stays behind is found by `delete_unreferenced_blobs`.
        with suppress(BlobStoreUnavailable):
            await self._blobs.delete(key)


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or `stem (n).ending`."""
    if name not in taken:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, ending = name, ""
    suffix = f".{ending}" if dot and ending else ""
    room = MAX_NAME_BYTES - len(suffix.encode()) - 12
    stem = stem.encode()[:room].decode(errors="ignore")
    stems = {other.removesuffix(suffix) for other in taken if other.endswith(suffix)}
    return free_name(stem, stems | {stem}) + suffix


def clean_name(name: str) -> str:
    """The name without folders, controls and direction marks, short enough for any file system; never empty."""
    last = name.replace("\\", "/").rpartition("/")[2]
    # Category C: controls, formats (direction overrides, zero width), surrogates, unassigned. Windows forbids the rest of the list.
    shown = "".join(character for character in last if unicodedata.category(character)[0] != "C" and character not in '<>:"|?*')
    shown = " ".join(shown.split()).rstrip(". ")
    stem, dot, extension = shown.rpartition(".")
    if not dot:
        stem, extension = shown, ""
    if stem.partition(".")[0].strip().lower() in _DEVICE_NAMES:
        stem = f"_{stem}"
    ending = f".{extension}" if dot else ""
    if len(ending.encode()) > 32:
        stem, ending = stem + ending, ""
    stem = stem.encode()[: MAX_NAME_BYTES - len(ending.encode())].decode(errors="ignore")
    return (stem + ending).strip(" ") if (stem + ending).strip(". ") else "file"


def media_type_of(name: str) -> str:
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


async def _flow_id(session: AsyncSession, flow_id: str, *, owner_id: str) -> str:
    known = find_uuid(flow_id)
    if known is None or await FlowRepository(session).find(known, owner_id=owner_id, with_document=False) is None:
        raise NotFound("flow", flow_id)
    return known


async def _get(files: FileRepository, file_id: str, *, owner_id: str) -> FileRow:
    known = find_uuid(file_id)
    row = None if known is None else await files.find(known, owner_id=owner_id)
    if row is None:
        raise NotFound("file", file_id)
    return row
