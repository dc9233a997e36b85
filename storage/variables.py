"""Queries on the variables table. Values go in and out as ciphertext."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import VariableRow


class VariableRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, row: VariableRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def find(self, variable_id: str, *, owner_id: str) -> VariableRow | None:
        query = select(VariableRow).where(VariableRow.id == variable_id, VariableRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_by_name(self, name: str, *, owner_id: str) -> VariableRow | None:
        query = select(VariableRow).where(VariableRow.owner_id == owner_id, VariableRow.name == name)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def list_owned(self, *, owner_id: str) -> Sequence[VariableRow]:
        query = select(VariableRow).where(VariableRow.owner_id == owner_id).order_by(VariableRow.name, VariableRow.id)
        return (await self._session.execute(query)).scalars().all()

    async def delete(self, variable_id: str, *, owner_id: str) -> bool:
        query = delete(VariableRow).where(VariableRow.id == variable_id, VariableRow.owner_id == owner_id).returning(VariableRow.id)
        return (await self._session.execute(query)).scalar_one_or_none() is not None
