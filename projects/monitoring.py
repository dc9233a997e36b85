"""What runs left behind, for looking at: runs, the builds of their vertices, and what went in and came out of each."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from projects.access.caller import Caller
from projects.errors import NotFound
from projects.kept_text import can_be_kept, find_uuid, refused
from projects.unit_of_work import reading, writing
from storage.database import Database
from storage.runs import RunRepository
from storage.tables import RunRow, TransactionRow, VertexBuildRow
from storage.transactions import TransactionRepository
from storage.vertex_builds import VertexBuildRepository

MAX_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Run:
    """`result` and `error` are the JSON values that were kept."""

    id: str
    owner_id: str
    principal: str
    kind: str
    project_id: str | None
    flow_id: str
    flow_version: int
    session_id: str
    state: str
    attempt: int
    idempotency_key: str | None
    result: Any
    error: dict[str, Any] | None
    warnings: list[str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def from_row(cls, row: RunRow) -> "Run":
        return cls(
            id=row.id,
            owner_id=row.owner_id,
            principal=row.principal,
            kind=row.kind,
            project_id=row.project_id,
            flow_id=row.flow_id,
            flow_version=row.flow_version,
            session_id=row.session_id,
            state=row.state,
            attempt=row.attempt,
            idempotency_key=row.idempotency_key,
            result=None if row.result is None else from_json(row.result),
            error=None if row.error is None else from_json(row.error),
            warnings=[] if row.warnings is None else from_json(row.warnings),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


@dataclass(frozen=True, slots=True)
class VertexBuild:
    """What one vertex produced in one run."""

    id: str
    flow_id: str
    run_id: str
    vertex_id: str
    is_valid: bool
    params: str | None
    data: dict[str, Any]
    artifacts: Any
    duration_seconds: float
    created_at: datetime

    @classmethod
    def from_row(cls, row: VertexBuildRow) -> "VertexBuild":
        return cls(
            id=row.id,
            flow_id=row.flow_id,
            run_id=row.run_id,
            vertex_id=row.vertex_id,
            is_valid=row.is_valid,
            params=row.params,
            data=from_json(row.data),
            artifacts=from_json(row.artifacts),
            duration_seconds=row.duration_seconds,
            created_at=row.created_at,
        )


@dataclass(frozen=True, slots=True)
class VertexTransaction:
    """What went in and came out of one vertex in one run; secrets were masked before it was kept."""

    id: str
    flow_id: str
    run_id: str
    vertex_id: str
    target_id: str | None
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    status: str
    error: str | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: TransactionRow) -> "VertexTransaction":
        return cls(
            id=row.id,
            flow_id=row.flow_id,
            run_id=row.run_id,
            vertex_id=row.vertex_id,
            target_id=row.target_id,
            inputs=from_json(row.inputs),
            outputs=from_json(row.outputs),
            status=row.status,
            error=row.error,
            created_at=row.created_at,
        )


class MonitoringService:
    """Reads only what is the caller's: a foreign flow looks like one that never ran."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_run(self, caller: Caller, run_id: str) -> Run:
        """Raises NotFound, also for somebody else's run."""
        known = find_uuid(run_id)
        row = None
        if known is not None:
            async with reading(self._database) as session:
                row = await RunRepository(session).find(known, owner_id=caller.user_id)
        if row is None:
            raise NotFound("run", run_id)
        return Run.from_row(row)

    async def list_runs(
        self,
        caller: Caller,
        *,
        flow_id: str | None = None,
        project_id: str | None = None,
        session_id: str | None = None,
        states: Collection[str] | None = None,
        page: int = 1,
        size: int = 50,
    ) -> tuple[list[Run], int]:
        """Newest first, and how many there are in all."""
        _check_page(page, size)
        known_flow_id = None if flow_id is None else find_uuid(flow_id)
        known_project_id = None if project_id is None else find_uuid(project_id)
        if (flow_id is not None and known_flow_id is None) or (project_id is not None and known_project_id is None):
            return [], 0
        if not all(can_be_kept(text) for text in (session_id, *(states or ())) if text is not None):
            return [], 0
        async with reading(self._database) as session:
            rows, total = await RunRepository(session).list_owned(
                owner_id=caller.user_id,
                flow_id=known_flow_id,
                project_id=known_project_id,
                session_id=session_id,
                states=states,
                limit=size,
                offset=(page - 1) * size,
            )
        return [Run.from_row(row) for row in rows], total

    async def list_builds(self, caller: Caller, flow_id: str) -> list[VertexBuild]:
        """The newest build of each vertex of the flow, in the order they were made."""
        known = find_uuid(flow_id)
        if known is None:
            return []
        async with reading(self._database) as session:
            rows = await VertexBuildRepository(session).list_newest_of_each_vertex(known, owner_id=caller.user_id)
        return [VertexBuild.from_row(row) for row in rows]

    async def delete_builds(self, caller: Caller, flow_id: str) -> int:
        """Forget the flow's builds; how many there were."""
        known = find_uuid(flow_id)
        if known is None:
            return 0
        async with writing(self._database) as session:
            return await VertexBuildRepository(session).delete_of_flow(known, owner_id=caller.user_id)

    async def list_transactions(
        self, caller: Caller, flow_id: str, *, page: int = 1, size: int = 50
    ) -> tuple[list[VertexTransaction], int]:
        """Newest first, and how many there are in all."""
        _check_page(page, size)
        known = find_uuid(flow_id)
        if known is None:
            return [], 0
        async with reading(self._database) as session:
            rows, total = await TransactionRepository(session).page(known, owner_id=caller.user_id, limit=size, offset=(page - 1) * size)
        return [VertexTransaction.from_row(row) for row in rows], total


def _check_page(page: int, size: int) -> None:
    if not 1 <= page < 2**31:
        raise refused("page", "The first page is 1.", kind="greater_than_equal")
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise refused("size", f"A page has 1 to {MAX_PAGE_SIZE} entries.", kind="less_than_equal" if size > 1 else "greater_than_equal")
