"""Runs for looking at: those that go on now, those that wait, and those that are over."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from projects.access.caller import Caller
from projects.access.session_spaces import is_open_to
from projects.engine import snapshot
from projects.engine.events import VertexResult
from projects.engine.questions import Question
from projects.errors import InvalidInput, NotFound
from projects.kept_text import can_be_kept, find_uuid
from projects.runs import checkpoint as checkpoints
from projects.runs.live import LiveRun, LiveRuns, VertexTiming
from projects.runs.record import RunIdentity, RunState
from projects.unit_of_work import reading
from storage.database import Database
from storage.run_vertex_results import RunVertexResultRepository
from storage.runs import RunRepository
from storage.tables import RunRow
from storage.vertex_builds import VertexBuildRepository

MAX_LIMIT = 200

SettleExpired = Callable[[str, str], Awaitable[None]]  # owner, run: go on with it, because its time for an answer is over


@dataclass(frozen=True, slots=True)
class Run:
    """`error` and `result` are the JSON that was kept: {"code", "message", …} and {"outputs": {vertex id: {output: value}}}."""

    id: str
    kind: str
    principal: str  # who started it: `Caller.principal`
    project_id: str | None
    flow_id: str
    flow_name: str
    session_id: str
    state: RunState
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    warnings: tuple[str, ...] = ()
    error: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    questions: tuple[Question, ...] = ()  # not empty when it waits

    @classmethod
    def from_row(cls, row: RunRow, flow_name: str) -> "Run":
        return cls(
            id=row.id,
            kind=row.kind,
            principal=row.principal,
            project_id=row.project_id,
            flow_id=row.flow_id,
            flow_name=flow_name,
            session_id=row.session_id,
            state=RunState(row.state),
            attempt=row.attempt,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            warnings=tuple(checkpoints.warnings_from_text(row.warnings)),
            error=None if row.error is None else from_json(row.error),
            result=None if row.result is None else from_json(row.result),
            questions=checkpoints.questions_from_text(row.questions),
        )

    @classmethod
    def accepted(cls, identity: RunIdentity, flow_name: str, state: RunState, warnings: Sequence[str] = (), attempt: int = 1) -> "Run":
        """One that begins now, or waits for its turn."""
        return cls(
            id=identity.run_id,
            kind=identity.kind,
            principal=identity.principal,
            project_id=identity.project_id,
            flow_id=identity.flow_id,
            flow_name=flow_name,
            session_id=identity.session_id,
            state=state,
            attempt=attempt,
            created_at=identity.created_at,
            started_at=None if state is RunState.QUEUED else identity.created_at,
            finished_at=None,
            warnings=tuple(warnings),
        )

    @classmethod
    def from_live(cls, live: LiveRun) -> "Run":
        return cls.accepted(live.identity, live.flow_name, RunState.RUNNING, attempt=live.attempt)


class RunService:
    """Reads only what is the caller's: another's run is NotFound."""

    def __init__(self, database: Database, live: LiveRuns, settle_expired: SettleExpired) -> None:
        self._database = database
        self._live = live
        self._settle_expired = settle_expired

    async def get(self, caller: Caller, run_id: str) -> Run:
        """Raises NotFound. A run whose time for an answer is over goes on first."""
        known = _known(run_id)
        # Before the database is asked: a run that ends in between is in one of the two.
        live = self._live.find(known, owner_id=caller.user_id)
        return await self._shown(caller, run_id, live, await self._find(caller, known))

    async def _shown(self, caller: Caller, run_id: str, live: LiveRun | None, found: tuple[RunRow, str] | None) -> Run:
        if found is None:
            if live is None or not is_open_to(caller, live.identity.principal, live.identity.session_id):
                raise NotFound("run", run_id)
            return Run.from_live(live)
        row, flow_name = found
        if not is_open_to(caller, row.principal, row.session_id):
            raise NotFound("run", run_id)
        if row.state == RunState.WAITING and row.available_at is not None and row.available_at <= datetime.now(UTC):
            await self._settle_expired(caller.user_id, row.id)
            row, flow_name = await self._find(caller, row.id) or found
        return Run.from_row(row, flow_name)

    async def list_runs(
        self,
        caller: Caller,
        *,
        flow_id: str | None = None,
        project_id: str | None = None,
        session_id: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Newest first. `before` is the id of the last run of the page before; InvalidInput when there is none.

        Whoever is confined is told of the runs that the same principal started. Guests, who are nobody in particular, have no list: a
        run is theirs by its id, which a list would give away.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidInput(f"limit must be from 1 to {MAX_LIMIT}.")
        if caller.is_guest:
            return []
        principal = caller.principal if caller.is_confined else None
        wanted: dict[str, str | None] = {"session_id": session_id, "state": state, "kind": kind, "principal": principal}
        for name, value in (("flow_id", flow_id), ("project_id", project_id)):
            wanted[name] = None if value is None else find_uuid(value)
            if value is not None and wanted[name] is None:
                return []
        if not all(can_be_kept(value) for value in wanted.values() if value is not None):
            return []
        # Asked before the database for the same reason as in `get`.
        going_on = [] if before is not None else [live for live in self._live.of(caller.user_id) if _fits(live, wanted)]
        place = None if before is None else await self._place_of(caller, before)
        async with reading(self._database) as session:
            rows = await RunRepository(session).list_before(owner_id=caller.user_id, limit=limit, before=place, **wanted)
            written = {row.id for row, _ in rows}
        # Those that are not written yet are the newest; one that is written but missing here has changed its state or is on a later page.
        runs = [Run.from_row(row, name) for row, name in rows]
        young = [Run.from_live(live) for live in going_on if live.identity.run_id not in written]
        oldest = runs[-1].created_at if len(runs) == limit else None
        runs += [run for run in young if oldest is None or run.created_at >= oldest]
        return sorted(runs, key=lambda run: (run.created_at, run.id), reverse=True)[:limit]

    async def outputs(self, caller: Caller, run_id: str) -> tuple[VertexResult, ...]:
        """What a run in the background gave, or a waiting one has given so far, as the values they were, in the order of the run's result.

        They are kept for a while after its end; afterwards, and for runs that somebody waited for, there are none. Raises NotFound.
        """
        run = await self.get(caller, run_id)
        ids = list((run.result or {}).get("outputs", {}))
        if not ids:
            return ()
        async with reading(self._database) as session:
            rows = await RunVertexResultRepository(session).list_of_run(run.id, owner_id=caller.user_id, vertex_ids=ids)
        by_id = {row.vertex_id: row.content for row in rows}
        return tuple(_readable(by_id[id] for id in ids if id in by_id))

    async def get_with_vertices(self, caller: Caller, run_id: str) -> tuple[Run, list[VertexTiming]]:
        """The run, and how each building of a vertex went, in order; never older than the run's state. Raises as `get` does."""
        known = _known(run_id)
        live = self._live.find(known, owner_id=caller.user_id)
        if live is not None and live.attempt == 1:
            vertices = list(live.vertices)
            return await self.get(caller, run_id), vertices
        async with reading(self._database) as session:
            found = await RunRepository(session).find_with_flow_name(known, owner_id=caller.user_id)
            rows = await VertexBuildRepository(session).list_of_run(known, owner_id=caller.user_id) if found is not None else ()
        vertices = [
            VertexTiming(row.vertex_id, from_json(row.data).get("display_name", ""), row.created_at, row.duration_seconds, row.params)
            for row in rows
        ]
        if live is not None:
            # Of a run that has gone on, the first part is in the database.
            known_places = {(each.vertex_id, each.started_at) for each in vertices}
            vertices += [each for each in live.vertices if (each.vertex_id, each.started_at) not in known_places]
        return await self._shown(caller, run_id, live, found), vertices

    async def _find(self, caller: Caller, run_id: str) -> tuple[RunRow, str] | None:
        async with reading(self._database) as session:
            return await RunRepository(session).find_with_flow_name(run_id, owner_id=caller.user_id)

    async def _place_of(self, caller: Caller, run_id: str) -> tuple[datetime, str]:
        known = find_uuid(run_id)
        found = None if known is None else await self._find(caller, known)
        if found is None or not is_open_to(caller, found[0].principal, found[0].session_id):
            raise InvalidInput(f"before: there is no run {run_id}; name the last run of the page before.")
        return found[0].created_at, found[0].id


def _known(run_id: str) -> str:
    known = find_uuid(run_id)
    if known is None:
        raise NotFound("run", run_id)
    return known


def _fits(live: LiveRun, wanted: dict[str, str | None]) -> bool:
    identity = live.identity
    has = {
        "session_id": identity.session_id,
        "state": RunState.RUNNING.value,
        "kind": identity.kind,
        "principal": identity.principal,
        "flow_id": identity.flow_id,
        "project_id": identity.project_id,
    }
    return all(value is None or has[name] == value for name, value in wanted.items())


def _readable(texts: Iterator[str]) -> Iterator[VertexResult]:
    for text in texts:
        try:
            yield snapshot.result_from_text(text)
        except snapshot.Unreadable:
            continue  # kept by another version; the run's result has it as plain JSON
