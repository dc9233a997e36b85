"""Queries on the files table; the bytes are in the blob store."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import FileRow, UserRow


class FileRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: FileRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find(self, file_id: str, *, owner_id: str) -> FileRow | None:
        query = select(FileRow).where(FileRow.id == file_id, FileRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_named(self, name: str, *, owner_id: str, flow_id: str | None) -> FileRow | None:
        """The newest of this name among one flow's files, or among those that belong to no flow."""
        query = select(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id, FileRow.name == name)
        return (await self._session.execute(query.order_by(FileRow.created_at.desc(), FileRow.id.desc()).limit(1))).scalar_one_or_none()

    async def list_names(self, *, owner_id: str, flow_id: str | None) -> set[str]:
        query = select(FileRow.name).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id)
        return set((await self._session.execute(query)).scalars())

    async def delete_named(self, name: str, *, owner_id: str, flow_id: str | None) -> list[str]:
        """The keys of the blobs that nothing refers to any more."""
        query = delete(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id, FileRow.name == name)
        return list((await self._session.execute(query.returning(FileRow.blob_key))).scalars())

    async def list_owned(self, *, owner_id: str, flow_id: str | None = None) -> Sequence[FileRow]:
        """Oldest first: those of one flow, or those that belong to no flow."""
        query = select(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id)
        return (await self._session.execute(query.order_by(FileRow.created_at, FileRow.id))).scalars().all()

    async def lock_owner(self, *, owner_id: str) -> None:
        """Until the transaction ends, nobody else who asks for the same gets on. SQLite has one writer and needs none of it."""
        await self._session.execute(select(UserRow.id).where(UserRow.id == owner_id).with_for_update(key_share=True))

    async def sum_sizes(self, *, owner_id: str) -> int:
        """How many bytes the owner keeps in all."""
        query = select(func.coalesce(func.sum(FileRow.size_bytes), 0)).where(FileRow.owner_id == owner_id)
        return int((await self._session.execute(query)).scalar_one())

    async def delete(self, file_id: str, *, owner_id: str) -> str | None:
        """The key of the blob that nothing refers to any more; None when there is no such file."""
        query = delete(FileRow).where(FileRow.id == file_id, FileRow.owner_id == owner_id).returning(FileRow.blob_key)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def list_known_blob_keys(self, blob_keys: Collection[str]) -> set[str]:
        """Which of these keys a file refers to. Housekeeping, so it looks at all owners."""
        query = select(FileRow.blob_key).where(FileRow.blob_key.in_(blob_keys))
        return set((await self._session.execute(query)).scalars())
