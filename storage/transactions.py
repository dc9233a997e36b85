"""Queries on the transactions table. Rows are inserted by the run writer, secrets already masked."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import TransactionRow


class TransactionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def page(self, flow_id: str, *, owner_id: str, limit: int, offset: int) -> tuple[Sequence[TransactionRow], int]:
        """Newest first, and how many there are in all."""
        conditions = (TransactionRow.owner_id == owner_id, TransactionRow.flow_id == flow_id)
        total = (await self._session.execute(select(func.count()).select_from(TransactionRow).where(*conditions))).scalar_one()
        query = select(TransactionRow).where(*conditions).order_by(TransactionRow.created_at.desc(), TransactionRow.id.desc())
        return (await self._session.execute(query.limit(limit).offset(offset))).scalars().all(), total
