"""Logins. A session is good while it is neither revoked nor past its end."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import SessionRow, UserRow


class SessionRepository:
    """Every query on sessions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_with_user(self, session_id: str) -> tuple[SessionRow, UserRow] | None:
        query = select(SessionRow, UserRow).join(UserRow, UserRow.id == SessionRow.user_id).where(SessionRow.id == session_id)
        found = (await self._session.execute(query)).one_or_none()
        return None if found is None else (found[0], found[1])

    async def add(self, row: SessionRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def rotate(self, session_id: str, *, old_refresh_id: str, new_refresh_id: str, expires_at: datetime) -> bool:
        """Exchange the refresh token, once: of two who try with the same old one, one succeeds."""
        change = (
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.refresh_id == old_refresh_id, SessionRow.revoked_at.is_(None))
            .values(refresh_id=new_refresh_id, expires_at=expires_at)
            .returning(SessionRow.id)
        )
        return (await self._session.execute(change)).first() is not None

    async def revoke(self, session_id: str, *, revoked_at: datetime) -> bool:
        change = (
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.revoked_at.is_(None))
            .values(revoked_at=revoked_at)
            .returning(SessionRow.id)
        )
        return (await self._session.execute(change)).first() is not None

    async def revoke_all(self, *, user_id: str, revoked_at: datetime, but: str | None = None) -> None:
        change = update(SessionRow).where(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None)).values(revoked_at=revoked_at)
        if but is not None:
            change = change.where(SessionRow.id != but)
        await self._session.execute(change)

    async def delete_ended(self, *, user_id: str, before: datetime) -> None:
        """Forget sessions whose tokens are worthless by time."""
        await self._session.execute(delete(SessionRow).where(SessionRow.user_id == user_id, SessionRow.expires_at < before))
