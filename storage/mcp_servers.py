"""Queries on the mcp_servers table. Configurations go in and out as ciphertext."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import McpServerRow


class McpServerRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: McpServerRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find_by_name(self, name: str, *, owner_id: str) -> McpServerRow | None:
        query = select(McpServerRow).where(McpServerRow.owner_id == owner_id, McpServerRow.name == name)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def list_owned(self, *, owner_id: str) -> Sequence[McpServerRow]:
        query = select(McpServerRow).where(McpServerRow.owner_id == owner_id).order_by(McpServerRow.created_at, McpServerRow.id)
        return (await self._session.execute(query)).scalars().all()

    async def count_owned(self, *, owner_id: str) -> int:
        query = select(func.count()).select_from(McpServerRow).where(McpServerRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one()

    async def delete_by_name(self, name: str, *, owner_id: str) -> bool:
        query = delete(McpServerRow).where(McpServerRow.owner_id == owner_id, McpServerRow.name == name).returning(McpServerRow.id)
        return (await self._session.execute(query)).scalar_one_or_none() is not None
