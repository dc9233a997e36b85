"""The queue of runs in the background: bounded, in the application's database, shared by every process on it.

Above: `invocation.py` puts runs in (by committing them as `queued`) and runs what is taken out. Below: `storage/queue_leases.py`, and with
PostgreSQL `storage/queue_procrastinate.py`, which says whose turn it is in which process. Either way a run is one process's while its lease
lasts; what a dead process left behind goes back into the queue, or ends when its attempts are spent.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

from projects.errors import HeadwaterError, Unavailable
from projects.runs import checkpoint as checkpoints
from projects.runs.checkpoint import Checkpoint
from projects.runs.record import LEASE
from projects.unit_of_work import reading, writing
from storage.database import Database, DatabaseUnavailable
from storage.queue_leases import Glance, QueueGlances, QueueLeases
from storage.runs import RunRepository
from storage.tables import RunRow

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks for what other processes want; what this one puts in is taken at once
RECOVER_SECONDS = 5.0  # between two looks for what dead processes left behind
COUNT_SECONDS = 0.25  # for so long the length of the queue is taken to be what it was, but for what this process puts in
RETRY_AFTER_SECONDS = 5
_AT_ONCE = 100

RunTaken = Callable[[RunRow, Callable[[], None]], Awaitable[None]]
"""Begin a run in the background; the second is to be called once when it no longer takes up its place."""

DeadAmong = Callable[[Sequence[str]], Awaitable[Sequence[str]]]
"""Of these processes, by their ids, those that are known to have ended."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    places: int = 64  # runs in the background at once in this process; 0: it only accepts them
    max_queued: int = 10_000  # in all processes together
    max_attempts: int = 3  # of a run whose process ended in the middle of it


class Jobs(Protocol):
    """What says which queued runs are this process's to take, where processes do not look for them themselves."""

    def begin(self, run: Callable[[str], Awaitable[None]], *, places: int) -> None:
        """Call `run` with the ids of queued runs, at most `places` at once; one is over when it returns."""

    def stop(self) -> None:
        """Call it no more."""

    async def put_back(self, run_id: str) -> None:
        """It was given here and not taken."""

    async def mend(self) -> None:
        """Have every queued run be given to some process again, whatever has died meanwhile."""


async def nobody(process_ids: Sequence[str]) -> Sequence[str]:
    return ()


class RunQueue:
    """One a process. `begin` has it take runs, until `stop_taking`."""

    def __init__(
        self,
        database: Database,
        *,
        process_id: str,
        limits: QueueLimits | None = None,
        dead_among: DeadAmong = nobody,
        jobs: Jobs | None = None,
        glances: QueueGlances | None = None,
        is_taking: bool = True,
    ) -> None:
        """With `jobs` it takes what it is given, else what it finds; `glances` make looking cheap."""
        self._database = database
        self._process_id = process_id
        self._limits = limits or QueueLimits()
        self._dead_among = dead_among
        self._jobs = jobs
        self._glances = glances
        self._is_taking = is_taking and self._limits.places > 0
        self._has_stopped = False
        self._taken_up = 0
        self._may_hold_some = True  # until a look found fewer than there were places for
        self._length = 0
        self._length_good_until = 0.0
        self._woken = asyncio.Event()
        self._taking = asyncio.Lock()
        self._run_taken: RunTaken | None = None
        self._stop: Callable[[str], None] = lambda run_id: None
        self._is_live: Callable[[str], bool] = lambda run_id: False
        self._task: asyncio.Task[None] | None = None
        self._let_go: set[str] = set()
        self._beginning = 0  # runs that were given here and have not begun yet
        self._none_begins = asyncio.Event()
        self._none_begins.set()

    async def begin(self, run_taken: RunTaken, stop: Callable[[str], None], is_live: Callable[[str], bool]) -> None:
        """`stop` ends a run that goes on here: somebody asked for that by way of another process. `is_live` tells whether one does."""
        self._run_taken = run_taken
        self._stop = stop
        self._is_live = is_live
        if self._is_taking:
            if self._jobs is None:
                await self.take_now()
            else:
                self._jobs.begin(self._run_given, places=self._limits.places)
            self._task = asyncio.get_running_loop().create_task(self._work(), name="run queue")

    async def stop_taking(self) -> None:
        """What is being taken just now still begins."""
        self._is_taking = False
        self._has_stopped = True
        self._woken.set()
        if self._jobs is not None:
            self._jobs.stop()
            await self._none_begins.wait()
        if self._task is not None:
            await asyncio.wait({self._task})
            self._task = None

    # --- what is put in

    @property
    def has_place(self) -> bool:
        """Whether a run may begin here at once without overtaking one that waits. Where jobs are given out, every run waits for its own."""
        if self._jobs is not None:
            return False
        return not self._has_stopped and self._taken_up < self._limits.places and not (self._is_taking and self._may_hold_some)

    @property
    def is_busy(self) -> bool:
        """Whether something that takes up a place goes on, or is about to."""
        return self._taken_up > 0

    def take_place(self) -> Callable[[], None]:
        """One place is taken up until what comes back is called."""
        self._taken_up += 1
        is_over = False

        def release() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._taken_up -= 1
                if self._may_hold_some:
                    self._woken.set()

        return release

    async def require_room(self) -> None:
        """Raises Unavailable when the queue is full."""
        if monotonic() >= self._length_good_until:
            async with reading(self._database) as session:
                self._length = await QueueLeases(session).count_queued()
            self._length_good_until = monotonic() + COUNT_SECONDS
        # Where jobs are given out, what will begin here at once is in the queue for a moment too, and what begins just now may still be.
        free = self._limits.places - self._taken_up + self._beginning if self._jobs is not None and self._is_taking else 0
        if self._length >= max(self._limits.max_queued, free):
            raise Unavailable(f"{self._length} runs wait for their turn already; try again later.", retry_after_seconds=RETRY_AFTER_SECONDS)
        self._length += 1

    def wake(self) -> None:
        """Something was put in here."""
        self._may_hold_some = True
        self._woken.set()

    # --- what is taken out

    async def take_now(self) -> int:
        """Take as many runs as there are places for, and begin them; how many."""
        async with self._taking:
            free = min(self._limits.places - self._taken_up, _AT_ONCE)
            if not self._is_taking or free <= 0 or self._run_taken is None or self._jobs is not None:
                return 0
            self._may_hold_some = False
            now = datetime.now(UTC)
            try:
                if not self._look(now).waits_for_a_process:
                    return 0
                async with writing(self._database) as session:
                    rows = await QueueLeases(session).take(lease_owner=self._process_id, lease_expires_at=now + LEASE, now=now, limit=free)
            except BaseException:
                self._may_hold_some = True
                raise
            self._may_hold_some = self._may_hold_some or len(rows) == free
            # Each has its place before the first begins: what is awaited in between may want places too.
            for row, release in [(row, self.take_place()) for row in rows]:
                self._let_go.discard(row.id)
                try:
                    await self._run_taken(row, release)
                except HeadwaterError as error:
                    logger.warning("Run %s could not begin: %s", row.id, error.message)
                    self.let_go(row.id)
                except Exception:  # A boundary: one run that cannot begin must not keep those after it from their places.
                    logger.exception("Run %s could not begin", row.id)
                    self.let_go(row.id)
            return len(rows)

    async def _run_given(self, run_id: str) -> None:
        """Run it if it still waits; until it no longer takes up its place."""
        self._beginning += 1
        self._none_begins.clear()
        over = asyncio.Event()
        release = self.take_place()

        def end() -> None:
            release()
            over.set()

        try:
            if self._has_stopped:
                assert self._jobs is not None
                await self._jobs.put_back(run_id)
                end()
                return
            now = datetime.now(UTC)
            async with writing(self._database) as session:
                row = await QueueLeases(session).take_one(run_id, lease_owner=self._process_id, lease_expires_at=now + LEASE, now=now)
            if row is None or self._run_taken is None:
                end()
                return
            self._length = max(0, self._length - 1)
            self._let_go.discard(run_id)
            await self._run_taken(row, end)
        except HeadwaterError as error:
            logger.warning("Run %s could not begin: %s", run_id, error.message)
            self.let_go(run_id)  # whether it was taken is not known when the database went away meanwhile
            end()
        except BaseException:
            self.let_go(run_id)
            end()
            raise
        finally:
            self._beginning -= 1
            if not self._beginning:
                self._none_begins.set()
        await over.wait()

    def _look(self, now: datetime) -> Glance:
        """What there may be to do, where that can be seen without asking for it."""
        if self._glances is None:
            return Glance(True, True, True)
        try:
            return self._glances.look(lease_owner=self._process_id, now=now)
        except DatabaseUnavailable as error:
            raise Unavailable("The database is busy or cannot be reached; try again shortly.") from error

    def let_go(self, run_id: str) -> None:
        """This process goes on with the run no more, and could not write that down: it is settled without waiting for its lease."""
        if self._is_taking:  # else it is other processes that settle what is left behind
            self._let_go.add(run_id)

    async def recover(self, now: datetime | None = None) -> int:
        """Put back what dead processes left behind, or end what cannot or may not go on; how many runs that were."""
        now = now or datetime.now(UTC)
        async with reading(self._database) as session:
            owners = [owner for owner in await QueueLeases(session).list_lease_owners() if owner != self._process_id]
        dead = await self._dead_among(owners) if owners else ()
        let_go = sorted(self._let_go)[:_AT_ONCE]
        async with reading(self._database) as session:
            rows = await QueueLeases(session).list_left_behind(
                now=now, dead_lease_owners=dead, limit=_AT_ONCE, let_go=let_go, lease_owner=self._process_id
            )
        self._let_go.difference_update(set(let_go) - {row.id for row in rows})
        count = 0
        for row in rows:
            if row.lease_owner == self._process_id and row.id not in let_go and self._is_live(row.id):
                continue  # the clock jumped, or the computer slept: it goes on here, and its lease is renewed shortly
            async with writing(self._database) as session:
                count += await self._settle(QueueLeases(session), row, now)
            self._let_go.discard(row.id)
        if count:
            self.wake()
        return count + (await self.recover(now) if len(rows) == _AT_ONCE and count else 0)

    async def _settle(self, leases: QueueLeases, row: RunRow, now: datetime) -> bool:
        async def ended(state: str, code: str, message: str) -> bool:
            return await leases.end(row, state=state, error=json.dumps({"code": code, "message": message}), finished_at=now)

        if row.is_cancel_requested:
            return await ended("cancelled", "run_cancelled", "The run was cancelled.")
        if row.request is None:
            return await ended("interrupted", "interrupted", "The server stopped before this run had ended.")
        try:
            checkpoint = Checkpoint() if row.checkpoint is None else Checkpoint.from_text(row.checkpoint)
        except checkpoints.Unreadable:
            return await ended("interrupted", "interrupted", "The server stopped, and what was kept of this run cannot be read.")
        checkpoint.cut_offs += 1
        if checkpoint.cut_offs >= self._limits.max_attempts:
            told = f"The server stopped {checkpoint.cut_offs} times before this run had ended, and it is not tried again."
            return await ended("interrupted", "interrupted", told)
        return await leases.put_back(row, checkpoint=checkpoint.to_text(), available_at=None)

    async def _work(self) -> None:
        next_recovery = monotonic() + RECOVER_SECONDS
        while self._is_taking:
            self._woken.clear()
            try:
                seen = self._look(datetime.now(UTC))
                if monotonic() >= next_recovery:
                    next_recovery = monotonic() + RECOVER_SECONDS
                    if seen.may_be_left_behind or self._let_go:
                        await self.recover()
                    if self._jobs is not None:
                        await self._mend(self._jobs)
                if self._taken_up and seen.is_to_be_stopped:
                    async with reading(self._database) as session:
                        to_stop = await RunRepository(session).list_to_cancel(lease_owner=self._process_id)
                    for run_id in to_stop:
                        self._stop(run_id)
                await self.take_now()
            except HeadwaterError as error:
                logger.warning("Runs are taken from the queue later: %s", error.message)
            except Exception:  # A boundary: one look that fails must not end all later ones.
                logger.exception("Looking into the queue failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._is_taking else 0):
                    await self._woken.wait()

    async def _mend(self, jobs: Jobs) -> None:
        try:
            await jobs.mend()
        except DatabaseUnavailable as error:
            logger.warning("Lost places in the queue are given back later: %s", error)
