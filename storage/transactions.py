"""Queries on the transactions table. Rows are inserted by the run writer, secrets already masked."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
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

    async def trim(self, *, per_flow: int, limit: int) -> int:
        """Delete at most `limit` of the oldest transactions beyond this number; how many. Housekeeping over all owners."""
        deleted = 0
        # By flow and owner, as the index has it: nothing is sorted, however many rows there are.
        owned = (TransactionRow.flow_id, TransactionRow.owner_id)
        crowded = select(*owned).group_by(*owned).having(func.count() > per_flow)
        for flow_id, owner_id in (await self._session.execute(crowded)).all():
            old = (
                select(TransactionRow.id)
                .where(TransactionRow.owner_id == owner_id, TransactionRow.flow_id == flow_id)
                .order_by(TransactionRow.created_at.desc(), TransactionRow.id.desc())
                .offset(per_flow)
                .limit(limit - deleted)
            )
            query = delete(TransactionRow).where(TransactionRow.id.in_(old)).returning(TransactionRow.id)
            gone = await self._session.execute(query.execution_options(synchronize_session=False))
            deleted += len(gone.scalars().all())
            if deleted >= limit:
                break
        return deleted
