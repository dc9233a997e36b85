"""Users. `username_key` is the case-folded name; the caller folds it."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import UserRow


class UserRepository:
    """Every query on users."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, user_id: str) -> UserRow | None:
        return await self._session.get(UserRow, user_id)

    async def find_by_username_key(self, username_key: str) -> UserRow | None:
        return (await self._session.execute(select(UserRow).where(UserRow.username_key == username_key))).scalar_one_or_none()

    async def find_first_superuser(self) -> UserRow | None:
        """The oldest one that may act."""
        query = select(UserRow).where(UserRow.is_superuser, UserRow.is_active).order_by(UserRow.created_at, UserRow.id).limit(1)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def list_all(self) -> Sequence[UserRow]:
        return (await self._session.execute(select(UserRow).order_by(UserRow.username_key))).scalars().all()

    async def page(self, *, key_contains: str | None, username_key: str | None, offset: int, limit: int) -> tuple[Sequence[UserRow], int]:
        """By name, and how many there are in all. A filter that is None does not filter."""
        conditions = []
        if key_contains is not None:
            conditions.append(UserRow.username_key.contains(key_contains, autoescape=True))
        if username_key is not None:
            conditions.append(UserRow.username_key == username_key)
        total = (await self._session.execute(select(func.count()).select_from(UserRow).where(*conditions))).scalar_one()
        query = select(UserRow).where(*conditions).order_by(UserRow.username_key, UserRow.id).offset(offset).limit(limit)
        return (await self._session.execute(query)).scalars().all(), total

    async def add(self, row: UserRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def delete(self, user_id: str) -> bool:
        """With everything the user owns."""
        return bool((await self._session.execute(delete(UserRow).where(UserRow.id == user_id).returning(UserRow.id))).first())
