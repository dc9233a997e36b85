"""Files that users upload: their bytes in the blob store under generated keys, their names only ever shown."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from projects.access.caller import Caller
from projects.errors import Conflict, NotFound, TooLarge, Unavailable
from projects.file_names import clean_name, free_file_name, media_type_of
from projects.kept_text import find_uuid
from projects.storage_paths import StoragePath, find_storage_path
from projects.unit_of_work import reading, writing
from storage.blobs import BlobNotFound, BlobStore, BlobStoreUnavailable, BlobTooLarge, new_blob_key
from storage.database import Database, MissingReference
from storage.files import FileRepository
from storage.flows import FlowRepository
from storage.ids import new_id
from storage.tables import FileRow

_LOOKED_UP_AT_ONCE = 500


class FileLimits(BaseModel):
    """How much may be kept."""

    file_bytes: int = Field(default=1024 * 1024 * 1024, gt=0, description="The largest file that is kept, in bytes")
    user_bytes: int = Field(default=10 * 1024 * 1024 * 1024, gt=0, description="What one user may keep in all, in bytes")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`name` is what the user called it, made clean; `path` how documents and messages name it (`storage_paths.py`), and that stays
    when the name changes. `flow_id` is set for files of one flow."""

    id: str
    owner_id: str
    flow_id: str | None
    name: str
    path: str
    media_type: str
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    blob_key: str = field(repr=False)

    @property
    def version(self) -> str:
        """Another one for other bytes."""
        return sha256(self.blob_key.encode()).hexdigest()[:32]

    @classmethod
    def from_row(cls, row: FileRow) -> "StoredFile":
        return cls(
            id=row.id,
            owner_id=row.owner_id,
            flow_id=row.flow_id,
            name=row.name,
            path=row.path or str(StoragePath(row.flow_id or row.owner_id, row.name)),
            media_type=row.media_type,
            size_bytes=row.size_bytes,
            created_at=row.created_at,
            updated_at=row.updated_at,
            blob_key=row.blob_key,
        )


class FileService:
    """Every file belongs to one user, and perhaps to one flow of that user's. `on_change` hears whose files became others.

    "Own" files are those that belong to no flow.
    """

    def __init__(self, database: Database, blobs: BlobStore, limits: FileLimits, *, on_change: Callable[[str], None] | None = None) -> None:
        self._database = database
        self._blobs = blobs
        self._limits = limits
        self._on_change = on_change
        self._arriving: Counter[str] = Counter()  # bytes of uploads that are going on, by owner

    # Keeping -------------------------------------------------------------------------------------------------------------------------

    async def save(self, caller: Caller, flow_id: str | None, name: str, chunks: AsyncIterable[bytes]) -> StoredFile:
        """Keep a stream of bytes under this name, or under `name (n)` when there is one. Raises NotFound (the flow), TooLarge, Unavailable.

        When it raises, nothing is kept.
        """
        return await self._keep(caller.user_id, flow_id, name, chunks, in_place=False)

    async def put(self, owner_id: str, flow_id: str, name: str, content: bytes) -> StoredFile:
        """Keep a file of a flow in place of one of the same name. Raises as `save`."""
        return await self._keep(owner_id, flow_id, name, _one(content), in_place=True)

    async def append(self, caller: Caller, name: str, chunks: AsyncIterable[bytes]) -> StoredFile:
        """Put a stream at the end of the caller's own file of this name; without such a file, `save` it.

        Raises as `save`, and Conflict when the file became another meanwhile; then it is as it was.
        """
        clean = clean_name(name)
        async with reading(self._database) as session:
            row = await FileRepository(session).find_named(clean, owner_id=caller.user_id, flow_id=None)
        if row is None:
            return await self.save(caller, None, name, chunks)
        before = StoredFile.from_row(row)
        addition = _joined(self.content(before), chunks)
        async with (
            self._written(before.owner_id, addition, freed=before.size_bytes) as (key, size),
            writing(self._database) as session,
        ):
            files = FileRepository(session)
            await files.lock_owner(owner_id=before.owner_id)
            found = await files.find(before.id, owner_id=before.owner_id)
            if found is None or found.blob_key != before.blob_key:
                raise Conflict(f"{before.name} was changed meanwhile; send the addition again.")
            found.blob_key, found.size_bytes, found.updated_at = key, size, datetime.now(UTC)
            await session.flush()
            await self._check_room(files, before.owner_id)
        self._tell(caller.user_id)
        await self._discard(before.blob_key)
        return StoredFile.from_row(found)

    async def _keep(self, owner_id: str, flow_id: str | None, name: str, chunks: AsyncIterable[bytes], *, in_place: bool) -> StoredFile:
        known_flow_id = None
        if flow_id is not None:
            async with reading(self._database) as session:
                known_flow_id = await _flow_id(session, flow_id, owner_id=owner_id)
        clean, now, replaced = clean_name(name), datetime.now(UTC), list[str]()
        async with self._written(owner_id, chunks) as (key, size):
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
                    if in_place:
                        replaced = await files.delete_named(clean, owner_id=owner_id, flow_id=known_flow_id)
                    else:
                        row.name = free_file_name(clean, await files.list_names(owner_id=owner_id, flow_id=known_flow_id))
                        row.media_type = media_type_of(row.name)
                    await files.add(row)
                    await self._check_room(files, owner_id)
            except MissingReference as error:
                raise NotFound("flow", flow_id or "") from error
        self._tell(owner_id)
        for old in replaced:
            await self._discard(old)
        return StoredFile.from_row(row)

    @asynccontextmanager
    async def _written(self, owner_id: str, chunks: AsyncIterable[bytes], *, freed: int = 0) -> AsyncIterator[tuple[str, int]]:
        """The key and the size of a new blob, which goes away again when the block raises. `freed`: bytes that it takes the place of."""
        async with reading(self._database) as session:
            kept = await FileRepository(session).sum_sizes(owner_id=owner_id) - freed
        room = self._limits.user_bytes - kept
        if room <= 0:
            raise TooLarge(f"Your files take all of the {self._limits.user_bytes:,} bytes that you may keep; delete some first.")
        key = new_blob_key()
        with self._arrival(owner_id, room) as counted:
            try:
                size = await self._blobs.write(key, counted(chunks), limit_bytes=self._limits.file_bytes)
            except BlobTooLarge as error:
                raise TooLarge(f"The file is larger than the {error.limit_bytes:,} bytes that one file may have.") from error
            except BlobStoreUnavailable as error:
                raise Unavailable("The file could not be stored now; try again later.") from error
            try:
                yield key, size
            except BaseException:
                await self._discard(key)
                raise

    @contextmanager
    def _arrival(self, owner_id: str, room: int) -> Iterator[Callable[[AsyncIterable[bytes]], AsyncIterator[bytes]]]:
        """What counts one upload's bytes: uploads of one owner share the room there is, so that many at once cannot fill the disk."""
        arrived = 0

        async def counted(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
            nonlocal arrived
            async for chunk in chunks:
                arrived += len(chunk)
                self._arriving[owner_id] += len(chunk)
                if self._arriving[owner_id] > room:
                    raise self._no_room()
                yield chunk

        try:
            yield counted
        finally:
            self._arriving[owner_id] -= arrived
            if not self._arriving[owner_id]:
                del self._arriving[owner_id]

    async def _check_room(self, files: FileRepository, owner_id: str) -> None:
        if await files.sum_sizes(owner_id=owner_id) > self._limits.user_bytes:
            raise self._no_room()

    def _no_room(self) -> TooLarge:
        return TooLarge(f"Your files would take more than the {self._limits.user_bytes:,} bytes that you may keep; delete some first.")

    # Looking up ----------------------------------------------------------------------------------------------------------------------

    async def find(self, owner_id: str, path_or_id: str) -> StoredFile | None:
        """A file of the owner's, by storage path or id."""
        async with reading(self._database) as session:
            files, row = FileRepository(session), None
            if (file_id := find_uuid(path_or_id)) is not None:
                row = await files.find(file_id, owner_id=owner_id)
            elif (path := find_storage_path(path_or_id)) is not None:
                flow_id = None if path.scope_id == owner_id else path.scope_id
                row = await files.find_at(str(path), path.name, owner_id=owner_id, flow_id=flow_id)
        return None if row is None else StoredFile.from_row(row)

    async def get_own(self, caller: Caller, file_id: str) -> StoredFile:
        """Raises NotFound."""
        found = await self.list_own(caller, [file_id])
        if not found:
            raise NotFound("file", file_id)
        return found[0]

    async def get_of_flow(self, caller: Caller, flow_id: str, name: str) -> StoredFile:
        """Raises NotFound, of the flow or the file."""
        async with reading(self._database) as session:
            known = await _flow_id(session, flow_id, owner_id=caller.user_id)
            row = await FileRepository(session).find_named(name, owner_id=caller.user_id, flow_id=known)
        if row is None:
            raise NotFound("file", name)
        return StoredFile.from_row(row)

    async def list_own(self, caller: Caller, file_ids: Sequence[str]) -> list[StoredFile]:
        """Those of the caller's own files, in the order asked for; others are passed over."""
        wanted = list(dict.fromkeys(known for each in file_ids if (known := find_uuid(each)) is not None))
        async with reading(self._database) as session:
            rows = await FileRepository(session).list_by_ids(wanted, owner_id=caller.user_id)
        found = {row.id: StoredFile.from_row(row) for row in rows}
        return [found[id] for id in wanted if id in found]

    async def list_files(self, caller: Caller, *, flow_id: str | None = None) -> list[StoredFile]:
        """Oldest first: those of one flow (NotFound when it is not the caller's), or the caller's own."""
        async with reading(self._database) as session:
            known = None if flow_id is None else await _flow_id(session, flow_id, owner_id=caller.user_id)
            rows = await FileRepository(session).list_owned(owner_id=caller.user_id, flow_id=known)
        return [StoredFile.from_row(row) for row in rows]

    async def list_paths(self, owner_id: str, flow_id: str) -> list[str]:
        """Storage paths of one flow's files and of the owner's own, oldest first."""
        async with reading(self._database) as session:
            files = FileRepository(session)
            rows = [*await files.list_owned(owner_id=owner_id, flow_id=flow_id), *await files.list_owned(owner_id=owner_id)]
        return [StoredFile.from_row(row).path for row in rows]

    # Reading -------------------------------------------------------------------------------------------------------------------------

    async def read(self, owner_id: str, path_or_id: str, *, limit_bytes: int) -> bytes:
        """A whole file of the owner's, by storage path or id. Raises NotFound, TooLarge, Unavailable."""
        file = await self.find(owner_id, path_or_id)
        if file is None:
            raise NotFound("file", path_or_id)
        if file.size_bytes > limit_bytes:
            raise TooLarge(f"{file.name} has {file.size_bytes:,} bytes; at most {limit_bytes:,} are read.")
        return b"".join([piece async for piece in self.content(file)])

    async def content(self, file: StoredFile, *, start: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that was looked up for its owner, from `start` on, in pieces. Raises NotFound, Unavailable."""
        try:
            async with aclosing(self._blobs.read(file.blob_key, start=start, length=length)) as pieces:
                async for piece in pieces:
                    yield piece
        except BlobNotFound as error:
            raise NotFound("file", file.id) from error
        except BlobStoreUnavailable as error:
            raise Unavailable("The file cannot be read now; try again later.") from error

    # Changing ------------------------------------------------------------------------------------------------------------------------

    async def rename(self, caller: Caller, file_id: str, stem: str) -> StoredFile:
        """Show one of the caller's own files under another name, its ending kept; its path stays. Raises NotFound."""
        known = find_uuid(file_id)
        async with writing(self._database) as session:
            rows = [] if known is None else await FileRepository(session).list_by_ids([known], owner_id=caller.user_id)
            if not rows:
                raise NotFound("file", file_id)
            row = rows[0]
            before, dot, ending = row.name.rpartition(".")
            row.path = StoredFile.from_row(row).path
            row.name = clean_name(f"{stem}.{ending}" if before and dot else stem)
            row.media_type = media_type_of(row.name)
            row.updated_at = datetime.now(UTC)
            await session.flush()
        self._tell(caller.user_id)
        return StoredFile.from_row(row)

    async def delete(self, caller: Caller, file_id: str) -> StoredFile:
        """One of the caller's own files; returns what it was. Raises NotFound."""
        file = await self.get_own(caller, file_id)
        if not await self.delete_own(caller, [file.id]):
            raise NotFound("file", file_id)
        return file

    async def delete_own(self, caller: Caller, file_ids: Sequence[str] | None = None) -> int:
        """The caller's own files, all or those of these ids; how many there were."""
        known = None if file_ids is None else [id for each in file_ids if (id := find_uuid(each)) is not None]
        async with writing(self._database) as session:
            keys = await FileRepository(session).delete_owned(owner_id=caller.user_id, file_ids=known)
        return await self._forget(caller.user_id, keys)

    async def delete_of_flow(self, caller: Caller, flow_id: str, name: str) -> int:
        """The files of one flow that are shown under this name; how many there were. Raises NotFound (the flow)."""
        async with writing(self._database) as session:
            known = await _flow_id(session, flow_id, owner_id=caller.user_id)
            keys = await FileRepository(session).delete_named(name, owner_id=caller.user_id, flow_id=known)
        return await self._forget(caller.user_id, keys)

    async def _forget(self, owner_id: str, keys: Sequence[str]) -> int:
        if keys:
            self._tell(owner_id)
        for key in keys:
            await self._discard(key)
        return len(keys)

    async def delete_unreferenced_blobs(self, *, older_than_seconds: float) -> int:
        """Bytes whose file went away with its flow, its owner or in a crash; how many blobs were deleted."""
        deleted = 0
        some: list[str] = []
        async for key in self._blobs.list_keys(older_than_seconds=older_than_seconds):
            some.append(key)
            if len(some) == _LOOKED_UP_AT_ONCE:
                deleted += await self._discard_unreferenced(some)
                some = []
        return deleted + await self._discard_unreferenced(some)

    async def _discard_unreferenced(self, keys: list[str]) -> int:
        async with reading(self._database) as session:
            unknown = set(keys) - await FileRepository(session).list_known_blob_keys(keys)
        for key in unknown:
            await self._discard(key)
        return len(unknown)

    def _tell(self, owner_id: str) -> None:
        if self._on_change is not None:
            self._on_change(owner_id)

    async def _discard(self, key: str) -> None:
        # What stays behind is found by `delete_unreferenced_blobs`.
        with suppress(BlobStoreUnavailable):
            await self._blobs.delete(key)


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _joined(*streams: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    for stream in streams:
        async for chunk in stream:
            yield chunk


async def _flow_id(session: AsyncSession, flow_id: str, *, owner_id: str) -> str:
    known = find_uuid(flow_id)
    if known is None or await FlowRepository(session).find(known, owner_id=owner_id, with_document=False) is None:
        raise NotFound("flow", flow_id)
    return known
