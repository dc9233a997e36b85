"""The project that takes what names no other: each user has one as soon as it is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from projects.errors import NotFound
from projects.kept_text import find_uuid, json_text
from storage.ids import new_id
from storage.projects import ProjectRepository
from storage.tables import ProjectRow


@dataclass(frozen=True, slots=True)
class DefaultProject:
    """Its name and description, and the `auth_settings` that any new project starts with when none are given."""

    name: str = "Starter Project"
    description: str = "Your first flows. Each of them can be called as a tool."
    auth_settings: Mapping[str, Any] | None = None

    async def find(self, session: AsyncSession, *, owner_id: str) -> ProjectRow | None:
        """The one of this name, or the user's oldest when it was renamed or deleted."""
        projects = ProjectRepository(session)
        return await projects.find_by_name(self.name, owner_id=owner_id) or await projects.find_oldest(owner_id=owner_id)

    async def ensure(self, session: AsyncSession, *, owner_id: str) -> ProjectRow:
        """The same, made now for a user who has no project at all. Needs a write transaction."""
        if (row := await self.find(session, owner_id=owner_id)) is not None:
            return row
        now = datetime.now(UTC)
        row = ProjectRow(
            id=new_id(),
            owner_id=owner_id,
            parent_id=None,
            name=self.name,
            description=self.description,
            auth_settings=None if self.auth_settings is None else json_text(dict(self.auth_settings), "auth_settings"),
            created_at=now,
            updated_at=now,
        )
        await ProjectRepository(session).add(row)
        return row


async def find_project(session: AsyncSession, project_id: str | None, *, owner_id: str) -> ProjectRow | None:
    """None for a missing project, for somebody else's, and for what is no id at all."""
    known = None if project_id is None else find_uuid(project_id)
    return None if known is None else await ProjectRepository(session).find(known, owner_id=owner_id)


async def get_project(session: AsyncSession, project_id: str, *, owner_id: str) -> ProjectRow:
    """The same, but raises NotFound."""
    row = await find_project(session, project_id, owner_id=owner_id)
    if row is None:
        raise NotFound("project", project_id)
    return row
