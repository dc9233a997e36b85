"""Queries on the runs table. New runs are inserted by the run writer; states change only by compare-and-set."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import RunRow

FINAL_STATES = frozenset({"completed", "failed", "cancelled", "interrupted"})
OPEN_STATES = frozenset({"queued", "running", "waiting"})


class RunRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, run_id: str, *, owner_id: str) -> RunRow | None:
        query = select(RunRow).where(RunRow.id == run_id, RunRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_by_idempotency_key(self, idempotency_key: str, *, owner_id: str, principal: str) -> RunRow | None:
        query = select(RunRow).where(RunRow.owner_id == owner_id, RunRow.principal == principal, RunRow.idempotency_key == idempotency_key)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def list_owned(
        self,
        *,
        owner_id: str,
        limit: int,
        offset: int = 0,
        flow_id: str | None = None,
        project_id: str | None = None,
        session_id: str | None = None,
        states: Collection[str] | None = None,
    ) -> tuple[Sequence[RunRow], int]:
        """Newest first, and how many there are in all."""
        conditions: list[ColumnElement[bool]] = [RunRow.owner_id == owner_id]
        if flow_id is not None:
            conditions.append(RunRow.flow_id == flow_id)
        if project_id is not None:
            conditions.append(RunRow.project_id == project_id)
        if session_id is not None:
            conditions.append(RunRow.session_id == session_id)
        if states is not None:
            conditions.append(RunRow.state.in_(states))
        total = (await self._session.execute(select(func.count()).select_from(RunRow).where(*conditions))).scalar_one()
        query = select(RunRow).where(*conditions).order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit).offset(offset)
        return (await self._session.execute(query)).scalars().all(), total

    async def settle(
        self,
        run_id: str,
        *,
        owner_id: str,
        state: str,
        only_from: Collection[str] = OPEN_STATES,
        finished_at: datetime | None = None,
        result: str | None = None,
        error: str | None = None,
    ) -> bool:
        """Compare-and-set: False when the run is not in one of `only_from`, so a final state never changes."""
        query = (
            update(RunRow)
            .where(RunRow.id == run_id, RunRow.owner_id == owner_id, RunRow.state.in_(set(only_from) - FINAL_STATES))
            .values(state=state, finished_at=finished_at, result=result, error=error, lease_expires_at=None)
            .returning(RunRow.id)
            .execution_options(synchronize_session=False)
        )
        return (await self._session.execute(query)).scalar_one_or_none() is not None

    async def list_lease_owners(self) -> Sequence[str]:
        """The processes that unfinished runs belong to. Housekeeping, so it looks at all owners."""
        query = select(RunRow.lease_owner).where(RunRow.state.in_(("queued", "running")), RunRow.lease_owner.is_not(None)).distinct()
        return [owner for owner in (await self._session.execute(query)).scalars() if owner is not None]

    async def interrupt_left_behind(
        self,
        *,
        lease_owner: str,
        now: datetime,
        error: str,
        queued_kinds: Collection[str] = (),
        dead_lease_owners: Collection[str] = (),
        is_only_process: bool = False,
    ) -> Sequence[str]:
        """End as `interrupted` what no living process runs any more; returns the runs' ids. Housekeeping over all owners.

        Left behind is a `running` run, or a `queued` one of `queued_kinds`, that is not `lease_owner`'s and whose lease is over
        or missing, or whose process is known to be dead, or any at all when this process is the only one on the database.
        """
        is_unfinished: ColumnElement[bool] = RunRow.state == "running"
        if queued_kinds:
            is_unfinished = or_(is_unfinished, and_(RunRow.state == "queued", RunRow.kind.in_(queued_kinds)))
        conditions = [is_unfinished, RunRow.lease_owner.is_distinct_from(lease_owner)]
        if not is_only_process:
            conditions.append(
                or_(
                    RunRow.lease_expires_at.is_(None),
                    RunRow.lease_expires_at <= now,
                    RunRow.lease_owner.in_(dead_lease_owners),
                )
            )
        values: dict[str, Any] = {"state": "interrupted", "finished_at": now, "error": error, "lease_expires_at": None}
        query = update(RunRow).where(*conditions).values(values).returning(RunRow.id).execution_options(synchronize_session=False)
        return (await self._session.execute(query)).scalars().all()
