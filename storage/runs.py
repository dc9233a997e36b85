"""Queries on the runs table. New runs are inserted by the run writer; states change only by compare-and-set."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.tables import HAS_NOT_ENDED, FlowRow, RunRow

FINAL_STATES = frozenset({"completed", "failed", "cancelled", "interrupted"})
OPEN_STATES = frozenset({"queued", "running", "waiting"})


class RunRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, run_id: str, *, owner_id: str) -> RunRow | None:
        query = select(RunRow).where(RunRow.id == run_id, RunRow.owner_id == owner_id)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def find_with_flow_name(self, run_id: str, *, owner_id: str) -> tuple[RunRow, str] | None:
        query = select(RunRow, FlowRow.name).join(FlowRow, FlowRow.id == RunRow.flow_id)
        found = (await self._session.execute(query.where(RunRow.id == run_id, RunRow.owner_id == owner_id))).one_or_none()
        return None if found is None else (found[0], found[1])

    async def list_before(
        self,
        *,
        owner_id: str,
        limit: int,
        before: tuple[datetime, str] | None = None,
        flow_id: str | None = None,
        project_id: str | None = None,
        session_id: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        principal: str | None = None,
    ) -> Sequence[tuple[RunRow, str]]:
        """Newest first, with the names of their flows; `before` is the moment and the id of the last run of the page before."""
        query = select(RunRow, FlowRow.name).join(FlowRow, FlowRow.id == RunRow.flow_id).where(RunRow.owner_id == owner_id)
        for column, wanted in (
            (RunRow.flow_id, flow_id),
            (RunRow.project_id, project_id),
            (RunRow.session_id, session_id),
            (RunRow.state, state),
            (RunRow.kind, kind),
            (RunRow.principal, principal),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        if before is not None:
            moment, id = before
            query = query.where(or_(RunRow.created_at < moment, and_(RunRow.created_at == moment, RunRow.id < id)))
        query = query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit)
        return [(row, name) for row, name in (await self._session.execute(query)).all()]

    async def claim_waiting(
        self, run_id: str, *, owner_id: str, questions: str, lease_owner: str, lease_expires_at: datetime, checkpoint: str
    ) -> bool:
        """Take a waiting run, which asks just these questions, to go on with it. Of several who try, one is told True."""
        return await self._change_waiting(
            run_id,
            owner_id=owner_id,
            questions=questions,
            values={
                "state": "running",
                "attempt": RunRow.attempt + 1,
                "lease_owner": lease_owner,
                "lease_expires_at": lease_expires_at,
                "questions": None,
                "available_at": None,
                "checkpoint": checkpoint,
            },
        )

    async def answer_some(
        self,
        run_id: str,
        *,
        owner_id: str,
        questions: str,
        left: str,
        checkpoint: str,
        available_at: datetime | None,
    ) -> bool:
        """Keep the answers to some of the questions; the run goes on waiting for the rest. False when the questions have changed."""
        values = {"questions": left, "checkpoint": checkpoint, "available_at": available_at}
        return await self._change_waiting(run_id, owner_id=owner_id, questions=questions, values=values)

    async def _change_waiting(self, run_id: str, *, owner_id: str, questions: str, values: dict[str, Any]) -> bool:
        query = (
            update(RunRow)
            .where(RunRow.id == run_id, RunRow.owner_id == owner_id, RunRow.state == "waiting", RunRow.questions == questions)
            .values(values)
            .returning(RunRow.id)
            .execution_options(synchronize_session=False)
        )
        return (await self._session.execute(query)).scalar_one_or_none() is not None

    async def request_cancel(self, run_id: str, *, owner_id: str) -> bool:
        """Have the process that runs it stop the run; False when it is not going on anywhere."""
        query = (
            update(RunRow)
            .where(RunRow.id == run_id, RunRow.owner_id == owner_id, RunRow.state == "running")
            .values(is_cancel_requested=True)
            .returning(RunRow.id)
            .execution_options(synchronize_session=False)
        )
        return (await self._session.execute(query)).scalar_one_or_none() is not None

    async def list_to_cancel(self, *, lease_owner: str) -> Sequence[str]:
        """Ids of runs of this process that somebody asked to stop by way of another one. Housekeeping over all owners."""
        query = select(RunRow.id).where(
            HAS_NOT_ENDED, RunRow.state == "running", RunRow.lease_owner == lease_owner, RunRow.is_cancel_requested.is_(True)
        )
        return (await self._session.execute(query)).scalars().all()

    async def list_expired(self, *, now: datetime, limit: int) -> Sequence[RunRow]:
        """Waiting runs with a question whose time is over. Housekeeping over all owners."""
        query = (
            select(RunRow)
            .where(HAS_NOT_ENDED, RunRow.state == "waiting", RunRow.available_at <= now)
            .order_by(RunRow.available_at)
            .limit(limit)
        )
        return (await self._session.execute(query)).scalars().all()

    async def find_by_idempotency_key(self, idempotency_key: str, *, owner_id: str, principal: str) -> RunRow | None:
        query = select(RunRow).where(RunRow.owner_id == owner_id, RunRow.principal == principal, RunRow.idempotency_key == idempotency_key)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def release_idempotency_key(self, run_id: str, *, owner_id: str) -> None:
        """Let the key be used for another run."""
        query = update(RunRow).where(RunRow.id == run_id, RunRow.owner_id == owner_id).values(idempotency_key=None)
        await self._session.execute(query.execution_options(synchronize_session=False))

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
            .values(
                state=state,
                finished_at=finished_at,
                result=result,
                error=error,
                lease_expires_at=None,
                questions=None,
                checkpoint=None,
                request=None,
                available_at=None,
            )
            .returning(RunRow.id)
            .execution_options(synchronize_session=False)
        )
        return (await self._session.execute(query)).scalar_one_or_none() is not None
