"""Queries on the files table; the bytes are in the blob store."""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import FileRow, FlowRow, UserRow


class FileRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: FileRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find(self, file_id: str, *, owner_id: str) -> FileRow | None:
        query = select(FileRow).where(FileRow.id == file_id, FileRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_at(self, path: str, name: str, *, owner_id: str, flow_id: str | None) -> FileRow | None:
        """By the storage path, of which `name` is the end, among one flow's files or those of no flow. A renamed file keeps its path."""
        is_there = or_(FileRow.path == path, and_(FileRow.path.is_(None), FileRow.name == name))
        query = select(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id, is_there)
        return (await self._session.execute(query.order_by(FileRow.created_at.desc(), FileRow.id.desc()).limit(1))).scalar_one_or_none()

    async def find_named(self, name: str, *, owner_id: str, flow_id: str | None) -> FileRow | None:
        """The newest that is shown under this name among one flow's files, or among those that belong to no flow."""
        query = select(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id, FileRow.name == name)
        return (await self._session.execute(query.order_by(FileRow.created_at.desc(), FileRow.id.desc()).limit(1))).scalar_one_or_none()

    async def list_names(self, *, owner_id: str, flow_id: str | None) -> set[str]:
        """The names that files are shown under, and those at the end of their paths."""
        query = select(FileRow.name, FileRow.path).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id)
        rows = (await self._session.execute(query)).all()
        return {row.name for row in rows} | {row.path.rpartition("/")[2] for row in rows if row.path is not None}

    async def list_by_ids(self, file_ids: Collection[str], *, owner_id: str) -> Sequence[FileRow]:
        """Those of them that exist, are the owner's and belong to no flow; oldest first."""
        query = select(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id.is_(None), FileRow.id.in_(file_ids))
        return (await self._session.execute(query.order_by(FileRow.created_at, FileRow.id))).scalars().all()

    async def delete_named(self, name: str, *, owner_id: str, flow_id: str | None) -> list[str]:
        """The keys of the blobs that nothing refers to any more."""
        query = delete(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id, FileRow.name == name)
        return list((await self._session.execute(query.returning(FileRow.blob_key))).scalars())

    async def list_owned(self, *, owner_id: str, flow_id: str | None = None) -> Sequence[FileRow]:
        """Oldest first: those of one flow, or those that belong to no flow."""
        query = select(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id == flow_id)
        return (await self._session.execute(query.order_by(FileRow.created_at, FileRow.id))).scalars().all()

    async def page_placed(
        self, *, owner_id: str, project_id: str | None, after_id: str, limit: int
    ) -> Sequence[tuple[FileRow, str | None]]:
        """Files with their flow's project, in the order of their ids: those of one project's flows, or with None all of the owner's."""
        query = _placed(owner_id).where(FileRow.id > after_id)
        if project_id is not None:
            query = query.where(FlowRow.project_id == project_id)
        return [(row[0], row[1]) for row in (await self._session.execute(query.order_by(FileRow.id).limit(limit))).all()]

    async def find_placed(self, file_id: str, *, owner_id: str) -> tuple[FileRow, str | None] | None:
        """One file with its flow's project; None for a missing one and for another's."""
        row = (await self._session.execute(_placed(owner_id).where(FileRow.id == file_id))).one_or_none()
        return None if row is None else (row[0], row[1])

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

    async def delete_owned(self, *, owner_id: str, file_ids: Collection[str] | None = None) -> list[str]:
        """The owner's files that belong to no flow, all or those of these ids; the keys of the blobs that nothing refers to any more."""
        query = delete(FileRow).where(FileRow.owner_id == owner_id, FileRow.flow_id.is_(None))
        if file_ids is not None:
            query = query.where(FileRow.id.in_(file_ids))
        return list((await self._session.execute(query.returning(FileRow.blob_key))).scalars())

    async def list_known_blob_keys(self, blob_keys: Collection[str]) -> set[str]:
        """Which of these keys a file refers to. Housekeeping, so it looks at all owners."""
        query = select(FileRow.blob_key).where(FileRow.blob_key.in_(blob_keys))
        return set((await self._session.execute(query)).scalars())


def _placed(owner_id: str) -> Select[FileRow, str | None]:
    query = select(FileRow, FlowRow.project_id).outerjoin(FlowRow, FlowRow.id == FileRow.flow_id)
    return query.where(FileRow.owner_id == owner_id)
