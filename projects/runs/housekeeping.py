"""What has to be done about runs from time to time: unanswered questions, requests to stop, and records beyond their bounds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from sqlalchemy.ext.asyncio import AsyncSession

from projects.errors import HeadwaterError
from projects.unit_of_work import reading, writing
from storage.database import Database
from storage.run_vertex_results import RunVertexResultRepository
from storage.runs import RunRepository
from storage.transactions import TransactionRepository
from storage.vertex_builds import VertexBuildRepository

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 2_000  # a transaction stays short whatever has gathered
PAUSE_SECONDS = 15.0
ROUNDS_BETWEEN_TRIMS = 4


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept of what runs leave behind. Counts are for each flow."""

    vertex_builds: int = 3_000
    vertex_builds_per_vertex: int = 50
    transactions: int = 3_000
    results: timedelta = timedelta(hours=24)  # typed results of runs that have ended


class Runs(Protocol):
    """What `InvocationService` does about single runs."""

    async def settle_expired(self, owner_id: str, run_id: str, *, now: datetime | None = None) -> None: ...

    def stop(self, run_id: str) -> None: ...


class RunHousekeeping:
    """One a process, which looks after things as long as it is entered. Several processes on one database do not hurt each other."""

    def __init__(
        self,
        database: Database,
        runs: Runs,
        list_expired: Callable[[datetime], Awaitable[list[tuple[str, str]]]],
        *,
        process_id: str,
        retention: Retention,
    ) -> None:
        self._database = database
        self._runs = runs
        self._list_expired = list_expired
        self._process_id = process_id
        self._retention = retention
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._look_after_things(), name="run housekeeping")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def settle(self, now: datetime | None = None) -> None:
        """Go on with the runs whose time for an answer is over at `now`, and stop those that were asked to stop elsewhere."""
        now = now or datetime.now(UTC)
        for owner_id, run_id in await self._list_expired(now):
            try:
                await self._runs.settle_expired(owner_id, run_id, now=now)
            except HeadwaterError as error:
                logger.info("Run %s is settled later: %s", run_id, error.message)
        async with reading(self._database) as session:
            to_stop = await RunRepository(session).list_to_cancel(lease_owner=self._process_id)
        for run_id in to_stop:
            self._runs.stop(run_id)

    async def trim(self, now: datetime | None = None) -> None:
        """Delete what is beyond the bounds, in portions."""
        kept = self._retention
        ended_before = (now or datetime.now(UTC)) - kept.results

        async def trim_builds(session: AsyncSession) -> int:
            most, of_vertex = kept.vertex_builds, kept.vertex_builds_per_vertex
            return await VertexBuildRepository(session).trim(per_flow=most, per_vertex=of_vertex, limit=ROWS_AT_ONCE)

        async def trim_transactions(session: AsyncSession) -> int:
            return await TransactionRepository(session).trim(per_flow=kept.transactions, limit=ROWS_AT_ONCE)

        async def forget_results(session: AsyncSession) -> int:
            return await RunVertexResultRepository(session).delete_of_ended_runs(ended_before=ended_before, limit=ROWS_AT_ONCE)

        for delete in (trim_builds, trim_transactions, forget_results):
            deleted = ROWS_AT_ONCE
            while deleted >= ROWS_AT_ONCE:
                async with writing(self._database) as session:
                    deleted = await delete(session)
                await asyncio.sleep(0)

    async def _look_after_things(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            rounds += 1
            try:
                await self.settle()
                if rounds % ROUNDS_BETWEEN_TRIMS == 0:
                    await self.trim()
            except HeadwaterError as error:
                logger.warning("Looking after runs is put off: %s", error.message)
            except Exception:  # A boundary: one round that fails must not end all later ones.
                logger.exception("Looking after runs failed")
