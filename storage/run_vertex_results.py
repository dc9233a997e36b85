"""Queries on what vertices gave in runs that wait or are looked at later. Rows are inserted by the run writer."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.runs import FINAL_STATES
from storage.tables import RunRow, RunVertexResultRow


class RunVertexResultRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_of_run(self, run_id: str, *, owner_id: str, vertex_ids: Collection[str] | None = None) -> Sequence[RunVertexResultRow]:
        """All of them, or those of these vertices, in no order."""
        query = (
            select(RunVertexResultRow)
            .join(RunRow, RunRow.id == RunVertexResultRow.run_id)
            .where(RunVertexResultRow.run_id == run_id, RunRow.owner_id == owner_id)
        )
        if vertex_ids is not None:
            query = query.where(RunVertexResultRow.vertex_id.in_(vertex_ids))
        return (await self._session.execute(query)).scalars().all()

    async def delete_of_ended_runs(self, *, ended_before: datetime, limit: int) -> int:
        """Forget at most `limit` results of runs that ended before that moment; how many. Housekeeping over all owners."""
        ended = (
            select(RunVertexResultRow.run_id, RunVertexResultRow.vertex_id)
            .join(RunRow, RunRow.id == RunVertexResultRow.run_id)
            .where(RunRow.state.in_(FINAL_STATES), RunRow.finished_at <= ended_before)
            .limit(limit)
        )
        found = (await self._session.execute(ended)).all()
        for run_id in {run_id for run_id, _ in found}:
            names = [vertex_id for of_run, vertex_id in found if of_run == run_id]
            await self._session.execute(
                delete(RunVertexResultRow).where(RunVertexResultRow.run_id == run_id, RunVertexResultRow.vertex_id.in_(names))
            )
        return len(found)
