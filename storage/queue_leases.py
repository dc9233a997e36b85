"""The queue of runs: rows of the runs table that are `queued`, and leases on those that a process has taken.

Above: `projects/runs/queue.py`. On PostgreSQL several processes take runs at once without waiting for each other; SQLite has one writer.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import Moment, RunRow


class QueueLeases:
    """Housekeeping over all owners: the caller acts for each run's own owner."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take(self, *, lease_owner: str, lease_expires_at: datetime, now: datetime, limit: int) -> Sequence[RunRow]:
        """At most so many queued runs whose time has come, the oldest first; they are `running` and this process's from now on."""
        chosen = (
            select(RunRow.id)
            .where(RunRow.state == "queued", or_(RunRow.available_at.is_(None), RunRow.available_at <= now))
            .order_by(RunRow.created_at, RunRow.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        query = (
            update(RunRow)
            .where(RunRow.id.in_(chosen.scalar_subquery()), RunRow.state == "queued")
            .values(
                state="running",
                lease_owner=lease_owner,
                lease_expires_at=lease_expires_at,
                available_at=None,
                started_at=func.coalesce(RunRow.started_at, literal(now, Moment())),
            )
            .returning(RunRow)
            .execution_options(synchronize_session=False)
        )
        return sorted((await self._session.execute(query)).scalars(), key=lambda row: (row.created_at, row.id))

    async def count_queued(self) -> int:
        query = select(func.count()).select_from(RunRow).where(RunRow.state == "queued")
        return (await self._session.execute(query)).scalar_one()

    async def list_lease_owners(self) -> Sequence[str]:
        """The processes that running runs belong to."""
        query = select(RunRow.lease_owner).where(RunRow.state == "running", RunRow.lease_owner.is_not(None)).distinct()
        return [owner for owner in (await self._session.execute(query)).scalars() if owner is not None]

    async def list_left_behind(
        self, *, now: datetime, dead_lease_owners: Collection[str], limit: int, let_go: Collection[str] = (), lease_owner: str = ""
    ) -> Sequence[RunRow]:
        """`running` runs whose lease is over or missing, whose process is known to be dead, or that `lease_owner` has `let_go`."""
        is_left: list[ColumnElement[bool]] = [RunRow.lease_expires_at.is_(None), RunRow.lease_expires_at <= now]
        if dead_lease_owners:
            is_left.append(RunRow.lease_owner.in_(dead_lease_owners))
        if let_go:
            is_left.append(and_(RunRow.id.in_(let_go), RunRow.lease_owner == lease_owner))
        query = select(RunRow).where(RunRow.state == "running", or_(*is_left)).order_by(RunRow.created_at).limit(limit)
        return (await self._session.execute(query)).scalars().all()

    async def put_back(self, row: RunRow, *, checkpoint: str, available_at: datetime | None) -> bool:
        """Back into the queue for one attempt more. False when the run has changed hands or ended since `row` was read."""
        values = {
            "state": "queued",
            "attempt": RunRow.attempt + 1,
            "lease_owner": None,
            "lease_expires_at": None,
            "available_at": available_at,
            "checkpoint": checkpoint,
        }
        return await self._change(row, values)

    async def end(self, row: RunRow, *, state: str, error: str, finished_at: datetime) -> bool:
        """The same for a run that ends here instead."""
        values = {
            "state": state,
            "error": error,
            "finished_at": finished_at,
            "lease_expires_at": None,
            "request": None,
            "checkpoint": None,
        }
        return await self._change(row, values)

    async def _change(self, row: RunRow, values: dict[str, Any]) -> bool:
        query = (
            update(RunRow)
            .where(
                RunRow.id == row.id,
                RunRow.owner_id == row.owner_id,
                RunRow.state == "running",
                RunRow.lease_owner.is_not_distinct_from(row.lease_owner),
                RunRow.lease_expires_at.is_not_distinct_from(row.lease_expires_at),
                RunRow.attempt == row.attempt,
            )
            .values(values)
            .returning(RunRow.id)
            .execution_options(synchronize_session=False)
        )
        return (await self._session.execute(query)).scalar_one_or_none() is not None
