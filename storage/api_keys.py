"""API keys, as hashes. Their uses are counted by the run writer."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import ApiKeyRow, UserRow


class ApiKeyRepository:
    """Every query on API keys."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_by_hash_with_user(self, key_hash: str) -> tuple[ApiKeyRow, UserRow] | None:
        query = select(ApiKeyRow, UserRow).join(UserRow, UserRow.id == ApiKeyRow.user_id).where(ApiKeyRow.key_hash == key_hash)
        found = (await self._session.execute(query)).one_or_none()
        return None if found is None else (found[0], found[1])

    async def list_owned(self, *, owner_id: str) -> Sequence[ApiKeyRow]:
        """Oldest first."""
        query = select(ApiKeyRow).where(ApiKeyRow.user_id == owner_id).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        return (await self._session.execute(query)).scalars().all()

    async def add(self, row: ApiKeyRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def delete(self, key_id: str, *, owner_id: str) -> bool:
        change = delete(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.user_id == owner_id).returning(ApiKeyRow.id)
        return (await self._session.execute(change)).first() is not None
