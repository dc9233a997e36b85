"""The queue of runs on PostgreSQL: procrastinate says which process runs which queued run.

Above: `projects/runs/queue.py`. Below: procrastinate's worker and tables. A trigger of the runs table gives each run its job in the very
transaction that makes it `queued`, so there is none without the other, whoever queues it. The run's row stays the truth: a job only says
that it may be time for a run, and one whose run was cancelled, ended or taken meanwhile ends without doing anything.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Job, Status
from procrastinate.manager import JobManager, NotificationCallback
from procrastinate.worker import Worker

from storage import postgresql
from storage.database import DatabaseSettings, DatabaseUnavailable

logger = logging.getLogger(__name__)
logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it tells of each job twice

QUEUE, TASK = "headwater_runs", "headwater_run"  # also in the trigger
SCHEMA = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""Procrastinate's newest migration that ours hold; a test keeps the two together. One that comes later needs a migration of ours."""

LOOK_SECONDS = 1.0  # between two looks for jobs whose time has come; others are told at once
HEARTBEAT_SECONDS = 3.0
STALLED_SECONDS = 10.0  # a worker silent for so long is taken for dead; were it not, its runs would still be its own
AGAIN_SECONDS = 1.0
END_SECONDS = 5.0
CONNECTIONS = 2
_NEVER = 1e8

_FORGET = """
DELETE FROM procrastinate_jobs AS job
WHERE job.status = 'doing' AND job.queue_name = %(queue)s AND (
    (job.worker_id = %(worker)s AND NOT job.id = ANY(%(held)s))
    OR NOT EXISTS (
        SELECT FROM procrastinate_workers AS worker
        WHERE worker.id = job.worker_id AND worker.last_heartbeat > now() - %(seconds)s * interval '1 second'
    )
)
"""
_DEFER_LOST = """
WITH lost AS (
    SELECT id, available_at FROM runs
    WHERE finished_at IS NULL AND state = 'queued' AND NOT EXISTS (
        SELECT FROM procrastinate_jobs WHERE queueing_lock = runs.id AND status IN ('todo', 'doing')
    )
    ORDER BY created_at, id LIMIT 1000 FOR UPDATE SKIP LOCKED
)
SELECT headwater_defer_run(id, available_at) FROM lost
"""
_DEFER_ONE = "SELECT headwater_defer_run(id, available_at) FROM runs WHERE id = %(run_id)s AND state = 'queued'"


class RunJobs:
    """One a process, entered before runs are taken and left after the last one has ended."""

    def __init__(self, settings: DatabaseSettings) -> None:
        async def prepare(connection: postgresql.PostgresqlConnection) -> None:
            await postgresql.prepare(connection, settings)

        self._app = App(
            connector=PsycopgConnector(
                conninfo=settings.postgresql_conninfo,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=settings.busy_timeout_seconds,
                kwargs={"connect_timeout": postgresql.connect_timeout(settings)},
                connection_class=postgresql.PostgresqlConnection,
                configure=prepare,
            )
        )
        self._jobs = self._app.job_manager = _PatientJobs(self._app.connector)
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def __aenter__(self) -> Self:
        try:
            await self._app.open_async()
        except ConnectorException as error:
            raise DatabaseUnavailable(_reason(error)) from error
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=END_SECONDS)
            for task in late:
                task.cancel()
                await asyncio.wait({task})
        await self._app.close_async()

    def begin(self, run: Callable[[str], Awaitable[None]], *, places: int) -> None:
        """From now on `run` is called with the ids of queued runs, at most `places` at once; one is over when it returns."""

        async def handed(run_id: str) -> None:
            try:
                await run(run_id)
            except Exception:  # A boundary: the run is still queued, and gets another job.
                logger.exception("Run %s could not begin", run_id)

        self._app.task(name=TASK, queue=QUEUE)(handed)
        self._task = asyncio.get_running_loop().create_task(self._work(places), name="run jobs")

    def stop(self) -> None:
        """Take no more. What is being taken just now is still given to `run`."""
        self._is_stopping = True
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]

    async def put_back(self, run_id: str) -> None:
        """Another job for a run that this process was given and has not taken."""
        await self._execute(_DEFER_ONE, run_id=run_id)

    async def mend(self) -> None:
        """Forget the jobs of processes that are no more, and give one to every queued run that has none."""
        worker_id = None if self._worker is None else self._worker.worker_id
        await self._execute(_FORGET, queue=QUEUE, worker=worker_id, held=list(self._jobs.held), seconds=STALLED_SECONDS)
        await self._execute(_DEFER_LOST)

    async def _execute(self, query: Any, **arguments: Any) -> None:
        """Raises DatabaseUnavailable."""
        try:
            await self._app.connector.execute_query_async(query, **arguments)
        except ConnectorException as error:
            raise DatabaseUnavailable(_reason(error)) from error

    async def _work(self, places: int) -> None:
        while not self._is_stopping:
            self._jobs.held.clear()
            self._worker = Worker(
                self._app,
                queues=[QUEUE],
                name=None,
                concurrency=places,
                fetch_job_polling_interval=LOOK_SECONDS,
                abort_job_polling_interval=_NEVER,  # runs are stopped by what their rows say
                delete_jobs=DeleteJobCondition.ALWAYS,
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
            )
            try:
                await self._worker.run()  # type: ignore[no-untyped-call]
            except ConnectorException as error:
                logger.warning("Runs are taken from the queue later: %s", _reason(error))
            if not self._is_stopping:
                await asyncio.sleep(AGAIN_SECONDS)


class _PatientJobs(JobManager):
    """Procrastinate's worker ends with the first connection that is lost; this one waits until the database is there again."""

    def __init__(self, connector: Any) -> None:
        super().__init__(connector)
        self.held: set[int] = set()  # jobs that this process was given and has not finished

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        try:
            job = await super().fetch_job(queues, worker_id)
        except ConnectorException as error:
            logger.warning("Runs are taken from the queue later: %s", _reason(error))
            return None
        if job is not None and job.id is not None:
            self.held.add(job.id)
        return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """What cannot be finished now is forgotten by `mend`, where it was not already: its run has gone on without it."""
        self.held.discard(job.id or 0)
        try:
            await super().finish_job(job, status, delete_job)
        except ConnectorException as error:
            logger.info("Job %s was not finished: %s", job.id, _reason(error))

    async def update_heartbeat(self, worker_id: int) -> None:
        with suppress(ConnectorException):
            await super().update_heartbeat(worker_id)

    async def unregister_worker(self, worker_id: int) -> None:
        with suppress(ConnectorException):
            await super().unregister_worker(worker_id)

    async def listen_for_jobs(self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None) -> None:
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException as error:
                logger.info("What is put into the queue is seen a little later: %s", _reason(error))
            await asyncio.sleep(AGAIN_SECONDS)


def _reason(error: ConnectorException) -> str:
    return str(error.__cause__ or error)
