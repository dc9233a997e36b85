"""Queries on the projects table."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import ProjectRow, UserRow


class ProjectRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: ProjectRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find(self, project_id: str, *, owner_id: str) -> ProjectRow | None:
        query = select(ProjectRow).where(ProjectRow.id == project_id, ProjectRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_with_owner(self, project_id: str) -> tuple[ProjectRow, UserRow] | None:
        """The project of anybody: asked only to learn how its callers prove themselves, before it is known who calls."""
        query = select(ProjectRow, UserRow).join(UserRow, UserRow.id == ProjectRow.owner_id).where(ProjectRow.id == project_id)
        found = (await self._session.execute(query)).first()
        return None if found is None else (found[0], found[1])

    async def is_taken(self, project_id: str) -> bool:
        """Whether anybody has a project of this id: an id is unique among all of them."""
        return (await self._session.execute(select(ProjectRow.id).where(ProjectRow.id == project_id))).first() is not None

    async def find_by_name(self, name: str, *, owner_id: str) -> ProjectRow | None:
        query = select(ProjectRow).where(ProjectRow.owner_id == owner_id, ProjectRow.name == name)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_oldest(self, *, owner_id: str) -> ProjectRow | None:
        query = select(ProjectRow).where(ProjectRow.owner_id == owner_id).order_by(ProjectRow.created_at, ProjectRow.id).limit(1)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def list_owned(self, *, owner_id: str) -> Sequence[ProjectRow]:
        """Oldest first."""
        query = select(ProjectRow).where(ProjectRow.owner_id == owner_id).order_by(ProjectRow.created_at, ProjectRow.id)
        return (await self._session.execute(query)).scalars().all()

    async def list_names_starting(self, beginning: str, *, owner_id: str) -> Sequence[str]:
        """Names that start with exactly this text (no pattern characters)."""
        query = select(ProjectRow.name).where(ProjectRow.owner_id == owner_id, func.substr(ProjectRow.name, 1, len(beginning)) == beginning)
        return (await self._session.execute(query)).scalars().all()

    async def delete(self, project_id: str, *, owner_id: str) -> bool:
        """With its flows and everything of theirs. False when there is no such project."""
        query = delete(ProjectRow).where(ProjectRow.id == project_id, ProjectRow.owner_id == owner_id).returning(ProjectRow.id)
        return (await self._session.execute(query)).scalar_one_or_none() is not None
