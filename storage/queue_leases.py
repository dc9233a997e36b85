"""The queue of runs: rows of the runs table that are `queued`, and leases on those that a process has taken.

Above: `projects/runs/queue.py`. On SQLite each process looks for what it may take; on PostgreSQL `queue_procrastinate.py` tells it.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import DatabaseSettings, connect_sqlite, explain
from storage.tables import HAS_NOT_ENDED, Moment, RunRow, to_microseconds


class QueueLeases:
    """Housekeeping over all owners: the caller acts for each run's own owner."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take(self, *, lease_owner: str, lease_expires_at: datetime, now: datetime, limit: int) -> Sequence[RunRow]:
        """At most so many queued runs whose time has come, the oldest first; they are `running` and this process's from now on."""
        chosen = (
            select(RunRow.id)
            .where(HAS_NOT_ENDED, RunRow.state == "queued", or_(RunRow.available_at.is_(None), RunRow.available_at <= now))
            .order_by(RunRow.created_at, RunRow.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        values = _taken(lease_owner, lease_expires_at, now)
        query = update(RunRow).where(RunRow.id.in_(chosen.scalar_subquery()), RunRow.state == "queued").values(values).returning(RunRow)
        taken = await self._session.execute(query.execution_options(synchronize_session=False))
        return sorted(taken.scalars(), key=lambda row: (row.created_at, row.id))

    async def take_one(self, run_id: str, *, lease_owner: str, lease_expires_at: datetime, now: datetime) -> RunRow | None:
        """This run, if it is queued; None when it was taken, cancelled or deleted meanwhile."""
        values = _taken(lease_owner, lease_expires_at, now)
        query = update(RunRow).where(RunRow.id == run_id, RunRow.state == "queued").values(values).returning(RunRow)
        return (await self._session.execute(query.execution_options(synchronize_session=False))).scalar_one_or_none()

    async def count_queued(self) -> int:
        query = select(func.count()).select_from(RunRow).where(HAS_NOT_ENDED, RunRow.state == "queued")
        return (await self._session.execute(query)).scalar_one()

    async def list_lease_owners(self) -> Sequence[str]:
        """The processes that running runs belong to."""
        query = select(RunRow.lease_owner).where(HAS_NOT_ENDED, RunRow.state == "running", RunRow.lease_owner.is_not(None)).distinct()
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
        query = select(RunRow).where(HAS_NOT_ENDED, RunRow.state == "running", or_(*is_left)).order_by(RunRow.created_at).limit(limit)
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


def _taken(lease_owner: str, lease_expires_at: datetime, now: datetime) -> dict[str, Any]:
    return {
        "state": "running",
        "lease_owner": lease_owner,
        "lease_expires_at": lease_expires_at,
        "available_at": None,
        "started_at": func.coalesce(RunRow.started_at, literal(now, Moment())),
    }


@dataclass(frozen=True, slots=True)
class Glance:
    """What there is to do now."""

    waits_for_a_process: bool  # a queued run whose time has come
    is_to_be_stopped: bool  # a run of this process
    may_be_left_behind: bool  # a run that is no longer, or never was, this process's


class QueueGlances:
    """Looks at a SQLite database in the event loop: microseconds, where a session in its thread takes milliseconds. Leave it to close."""

    QUERY = """
        SELECT EXISTS (SELECT 1 FROM runs WHERE finished_at IS NULL AND state = 'queued'
                       AND (available_at IS NULL OR available_at <= :now)),
               EXISTS (SELECT 1 FROM runs WHERE finished_at IS NULL AND state = 'running'
                       AND lease_owner = :me AND is_cancel_requested),
               EXISTS (SELECT 1 FROM runs WHERE finished_at IS NULL AND state = 'running'
                       AND (lease_owner IS NOT :me OR lease_expires_at IS NULL OR lease_expires_at <= :now))
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._connection = connect_sqlite(settings)
        self._connection.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        self._connection.close()

    def look(self, *, lease_owner: str, now: datetime) -> Glance:
        """Raises DatabaseUnavailable."""
        try:
            # fetchall: a statement left open would hold its snapshot, and then nothing new is ever seen.
            rows = self._connection.execute(self.QUERY, {"me": lease_owner, "now": to_microseconds(now)}).fetchall()
        except sqlite3.Error as error:
            raise explain(error) or error from error
        return Glance(*map(bool, rows[0]))
