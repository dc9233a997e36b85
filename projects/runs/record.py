"""What a run leaves behind: one run row, its messages, and for each vertex a build and a transaction.

Rows are gathered while the run goes on and committed together at its end. A run that takes longer than `visible_after_seconds`
is written earlier, as `running`, so that it can be seen and settled if this process dies. What a step stored is written when the step has
finished and no earlier: one that is cut off runs again, and would store it twice. So would a run that is a step of another one.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from projects.engine import snapshot
from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Table, jsonable
from projects.errors import Unavailable
from storage.database import Conflict, DatabaseUnavailable
from storage.ids import new_id
from storage.run_writer import LeaseTaken, RunBatch, RunUpdate, RunWriter
from storage.tables import Base, MessageRow, RunRow, RunVertexResultRow, TransactionRow, VertexBuildRow

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
TEXT_LIMIT = 6_000  # characters kept of one text in builds and transactions
NOT_KEPT = ""  # stands for the result of a vertex that has finished and gave what cannot be kept
LIST_LIMIT = 1_000  # items kept of one list there


class RunState(StrEnum):
    """`completed`, `failed`, `cancelled` and `interrupted` are final and never change."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class LeaseLost(Exception):
    """The run has become another process's, or has ended elsewhere: nothing more of it is to be done here."""


class WrittenBefore(LeaseLost):
    """What was to be written once more after the connection broke is there already. The run may still be this process's."""


OPEN_STATES = frozenset({RunState.QUEUED.value, RunState.RUNNING.value, RunState.WAITING.value})


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Whose run it is and what it runs; written once and never changed."""

    run_id: str
    owner_id: str
    principal: str
    kind: str
    project_id: str | None
    flow_id: str
    flow_version: int
    session_id: str
    process_id: str
    created_at: datetime
    idempotency_key: str | None = None
    body_digest: str | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Texts of `checkpoint.py` and `request.py`: what a waiting run asks, and what it takes to go on."""

    questions: str
    checkpoint: str
    request: str
    expires_at: datetime | None


class RunRecord:
    """Gathers the rows of one run. Use it in one task; `begin` once, then add, then exactly one of `finish` and `abandon`."""

    def __init__(
        self,
        identity: RunIdentity,
        writer: RunWriter,
        *,
        visible_after_seconds: float,
        kept_results: Collection[str] | None = None,
        attempt: int = 1,
    ) -> None:
        """`kept_results`, of a run that goes on: the vertices whose results are in the database. Its row is there then too."""
        self._identity = identity
        self._attempt = attempt
        self._writer = writer
        self._batch = RunBatch(inserts=[], updates=[], key_uses=[])
        self._is_written = self._goes_on = kept_results is not None
        self._kept_results = set(kept_results or ())
        self._visible_after_seconds = visible_after_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._warnings: list[str] = []
        self._showing: tuple[asyncio.Future[list[int]], RunBatch] | None = None  # what was written last, while nobody waits for it
        self._was_put_back = False
        self._of_steps: dict[str, list[tuple[type[Base], dict[str, Any]]]] = {}  # what steps stored that have not finished yet
        self.begins_anew: Callable[[], bool] = lambda: False  # whether what it does is done again by another run where it is cut off
        self.state = RunState.RUNNING

    def begin(self) -> None:
        """From here on the run becomes visible as `running` when it is not over soon."""
        self._timer = asyncio.get_running_loop().call_later(self._visible_after_seconds, self._show)

    def keep_request(self, request: str) -> None:
        """For a run that is not written yet."""
        self._identity = replace(self._identity, request=request)

    async def accept(self, state: RunState) -> None:
        """Commit the run before anybody is told that it was accepted. Raises Unavailable when that cannot be."""
        self._batch.inserts.append((RunRow, self._row(state)))
        self._is_written = True
        self._goes_on = self._identity.request is not None
        try:
            await self._writer.write(self._take())
        except DatabaseUnavailable as error:
            raise Unavailable("The run cannot be kept now, so it was not begun; try again shortly.") from error

    def make_durable(self, request: str, checkpoint: str, results: Iterable[VertexResult]) -> None:
        """From now on another process can go on with the run: what it takes is written at once. Nothing happens when the run is over."""
        if self._timer is None:
            return
        self._goes_on = True
        self._keep(results)
        if self._is_written:
            self._batch.updates.append(self._change({"request": request, "checkpoint": checkpoint}))
        else:
            self._identity = replace(self._identity, request=request)
        self.show()

    async def commit_step(self, result: VertexResult, checkpoint: str) -> None:
        """Commit that a vertex has finished, with what it gave; it is not run again then. Raises LeaseLost.

        While the database cannot be reached, what there is to write waits for the next time.
        """
        await self._until_shown()
        self._keep((result,))
        values = {"checkpoint": checkpoint, "lease_expires_at": datetime.now(UTC) + LEASE, "warnings": self._warnings_text()}
        self._batch.updates.append(self._change(values))
        batch = self._take()
        try:
            await self._writer.write(batch)
        except DatabaseUnavailable:
            self._put_back(batch)
        except LeaseTaken as error:
            raise LeaseLost from error
        except Conflict as error:
            raise WrittenBefore from error

    def hand_back(self, checkpoint: str) -> None:
        """Into the queue again, without waiting: this process ends in the middle of the run."""
        self._writer.write_soon(self._back_to_queue(checkpoint))

    async def put_off(self, checkpoint: str, *, available_at: datetime, attempt: int) -> None:
        """Into the queue again for another attempt, no earlier than that. Raises LeaseLost."""
        await self._until_shown()
        await self._write_last(self._back_to_queue(checkpoint, available_at=available_at, attempt=attempt))

    def drop(self) -> None:
        """Write nothing more."""
        self._stop_timer()
        self._of_steps = {}
        self._take()

    def _back_to_queue(self, checkpoint: str, *, available_at: datetime | None = None, attempt: int | None = None) -> RunBatch:
        self._stop_timer()
        self._of_steps = {}  # these steps run again
        values: dict[str, Any] = {
            "state": RunState.QUEUED.value,
            "lease_owner": None,
            "lease_expires_at": None,
            "available_at": available_at,
            "checkpoint": checkpoint,
            "warnings": self._warnings_text(),
        }
        if attempt is not None:
            values["attempt"] = attempt
        self._batch.updates.append(self._change(values))
        return self._take()

    def _change(self, values: dict[str, Any]) -> RunUpdate:
        return RunUpdate(
            run_id=self._identity.run_id,
            values=values,
            only_from=frozenset({"running"}),
            lease_owner=self._identity.process_id,
            attempt=self._attempt,
        )

    def _keep(self, results: Iterable[VertexResult]) -> None:
        """`keep_results`, with a mark for those that cannot be kept: that they have finished is known all the same."""
        results = list(results)
        self.keep_results(results)
        for result in results:
            if result.vertex_id not in self._kept_results:
                self._kept_results.add(result.vertex_id)
                self._batch.inserts.append((RunVertexResultRow, self._result_row(result.vertex_id, NOT_KEPT)))

    def warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings.append(message)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def add_message(self, message: Message, *, step: str = "") -> None:
        """`step` is the vertex that stores it; what none stores is the whole run's."""
        identity = self._identity
        self._of_steps.setdefault(step, []).append(
            (
                MessageRow,
                {
                    "id": message.id,
                    "owner_id": identity.owner_id,
                    "flow_id": identity.flow_id,
                    "run_id": identity.run_id,
                    "session_id": _storable(message.session_id),
                    "context_id": _storable(message.context_id),
                    "sender": _storable(message.sender),
                    "sender_name": _storable(message.sender_name),
                    "text": _storable(message.text),
                    "files": _json(message.files) if message.files else "[]",
                    "properties": _json(
                        {
                            "source": {
                                "id": message.source.id,
                                "display_name": message.source.display_name,
                                "source": message.source.source,
                            },
                            "state": message.state,
                            "usage": message.usage,
                            "icon": message.icon,
                        }
                    ),
                    "category": message.category,
                    "content_blocks": _json(message.content_blocks) if message.content_blocks else "[]",
                    "is_error": message.error,
                    "is_edited": message.edit,
                    "duration_seconds": message.duration,
                    "created_at": message.timestamp,
                },
            )
        )

    def add_vertex(
        self,
        result: VertexResult,
        *,
        target_id: str | None,
        fed: Container[str] = frozenset(),
        first_output: str = "error",
        keeps_build: bool = True,
    ) -> None:
        """One build, unless it is not to be kept, and one transaction.

        `fed`: fields that hold another vertex's output, which is kept there. `first_output` is where a failure is told.
        """
        if result.error is None and not self.begins_anew():
            self._batch.inserts += self._of_steps.pop(result.vertex_id, ())
        outputs = _kept(result.outputs)
        if keeps_build:
            self._add_build(result, outputs, first_output)
        identity = self._identity
        self._batch.inserts.append(
            (
                TransactionRow,
                {
                    "id": new_id(),
                    "owner_id": identity.owner_id,
                    "flow_id": identity.flow_id,
                    "run_id": identity.run_id,
                    "vertex_id": result.vertex_id,
                    "target_id": target_id,
                    "inputs": _json(_kept({name: result.inputs[name] for name in sorted(result.inputs) if name not in fed})),
                    "outputs": _json(outputs),
                    "status": "success" if result.error is None else "error",
                    "error": None if result.error is None else _storable(result.error),
                    "created_at": result.started_at,
                },
            )
        )

    def _add_build(self, result: VertexResult, outputs: Any, first_output: str) -> None:
        identity = self._identity
        self._batch.inserts.append(
            (
                VertexBuildRow,
                {
                    "id": new_id(),
                    "owner_id": identity.owner_id,
                    "flow_id": identity.flow_id,
                    "run_id": identity.run_id,
                    "vertex_id": result.vertex_id,
                    "is_valid": result.error is None,
                    "params": None if result.error is None else _storable(result.error),
                    "data": _json(
                        {
                            "outputs": outputs,
                            "logs": result.logs,
                            "component_type": result.component_type,
                            "display_name": result.display_name,
                            **({} if result.error is None else {"failed_output": first_output}),
                        }
                    ),
                    "artifacts": "{}" if result.artifact is None else _json(_kept(result.artifact)),
                    "duration_seconds": result.duration_seconds,
                    "created_at": result.started_at,
                },
            )
        )

    def keep_results(self, results: Iterable[VertexResult], *, limit: int | None = None) -> None:
        """Have these results read back later with their types; those that cannot be kept, or exceed `limit` characters, are left out."""
        size = 0
        for result in results:
            if result.vertex_id in self._kept_results:
                continue
            try:
                content = snapshot.result_to_text(result)
            except snapshot.CannotKeep:
                continue
            size += len(content)
            if limit is not None and size > limit:
                break
            self._kept_results.add(result.vertex_id)
            self._batch.inserts.append((RunVertexResultRow, self._result_row(result.vertex_id, content)))

    def _result_row(self, vertex_id: str, content: str) -> dict[str, Any]:
        run_id = self._identity.run_id
        return {"run_id": run_id, "vertex_id": vertex_id, "attempt": 1, "content": content, "created_at": datetime.now(UTC)}

    def _warnings_text(self) -> str | None:
        return _json(self._warnings) if self._warnings else None

    async def wait_for_person(self, pause: Pause, *, result: Mapping[str, Any]) -> None:
        """Commit what is left and what it takes to go on; the run is `waiting` then. Raises LeaseLost."""
        await self._until_shown()
        further = {
            "questions": pause.questions,
            "checkpoint": pause.checkpoint,
            "request": pause.request,
            "available_at": pause.expires_at,
        }
        await self._write_last(self._last(RunState.WAITING, result=result, error=None, further=further))

    async def finish(self, state: RunState, *, result: Mapping[str, Any] | None = None, error: Mapping[str, Any] | None = None) -> None:
        """Commit what is left with the state the run ended in; returns after the commit. Raises LeaseLost."""
        await self._until_shown()
        await self._write_last(self._last(state, result=result, error=error))

    async def _write_last(self, batch: RunBatch) -> None:
        try:
            await self._writer.write(batch)
        except LeaseTaken as error:
            raise LeaseLost from error
        except Conflict as error:
            if self._was_put_back:
                raise WrittenBefore from error
            raise

    def abandon(self, state: RunState, *, error: Mapping[str, Any]) -> None:
        """The same without waiting: the task is being cancelled and must not await."""
        self._writer.write_soon(self._last(state, result=None, error=error))

    def _last(
        self,
        state: RunState,
        *,
        result: Mapping[str, Any] | None,
        error: Mapping[str, Any] | None,
        further: Mapping[str, Any] | None = None,
    ) -> RunBatch:
        self._stop_timer()
        self.state = state
        if state is not RunState.WAITING and not (state is RunState.INTERRUPTED and self.begins_anew()):  # else these steps run again
            for rows in self._of_steps.values():
                self._batch.inserts += rows
        self._of_steps = {}
        values = {
            "state": state.value,
            "result": None if result is None else _json(result),
            "error": None if error is None else _json(error),
            "warnings": self._warnings_text(),
            "finished_at": None if state is RunState.WAITING else datetime.now(UTC),
            "lease_expires_at": None,
        }
        if further is not None:
            values |= further
        elif self._goes_on:
            values |= {"questions": None, "checkpoint": None, "request": None}  # it will not go on again
        if self._is_written:
            self._batch.updates.append(replace(self._change(values), only_from=OPEN_STATES))
        else:
            self._batch.inserts.insert(0, (RunRow, {**self._row(state), **values}))
            self._is_written = True
        return self._take()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def show(self) -> None:
        """Write what there is now, unless the run is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._show()

    def _show(self) -> None:
        """Write what there is now. Later rows follow at the same pace, and so does what could not be written."""
        self._timer = asyncio.get_running_loop().call_later(LEASE.total_seconds() / 4, self._show)
        self._settle_shown()
        if self._showing is not None:
            return
        if not self._is_written:
            self._batch.inserts.insert(0, (RunRow, self._row(RunState.RUNNING)))
            self._is_written = True
        else:
            self._batch.updates.append(self._change({"lease_expires_at": datetime.now(UTC) + LEASE}))
        batch = self._take()
        self._showing = self._writer.submit(batch), batch
        self._showing[0].add_done_callback(lambda _: self._settle_shown())

    async def _until_shown(self) -> None:
        """What is written next must not overtake what this run needs to be there."""
        if self._showing is not None:
            await asyncio.wait((self._showing[0],))
            self._settle_shown()

    def _settle_shown(self) -> None:
        if self._showing is None or not self._showing[0].done():
            return
        (written, batch), self._showing = self._showing, None
        error = None if written.cancelled() else written.exception()
        if isinstance(error, DatabaseUnavailable):
            self._put_back(batch)
        elif error is not None and not isinstance(error, LeaseTaken):  # which whatever is written next is told again
            logger.error("What run %s has left so far was not written", self._identity.run_id, exc_info=error)

    def _put_back(self, batch: RunBatch) -> None:
        self._was_put_back = True
        self._batch = RunBatch(batch.inserts + self._batch.inserts, batch.updates + self._batch.updates, [])

    def _take(self) -> RunBatch:
        batch, self._batch = self._batch, RunBatch(inserts=[], updates=[], key_uses=[])
        return batch

    def _row(self, state: RunState) -> dict[str, Any]:
        identity = self._identity
        return {
            "id": identity.run_id,
            "owner_id": identity.owner_id,
            "principal": identity.principal,
            "kind": identity.kind,
            "project_id": identity.project_id,
            "flow_id": identity.flow_id,
            "flow_version": identity.flow_version,
            "session_id": identity.session_id,
            "state": state.value,
            "attempt": 1,
            "lease_owner": None if state is RunState.QUEUED else identity.process_id,
            "lease_expires_at": None if state is RunState.QUEUED else identity.created_at + LEASE,
            "idempotency_key": identity.idempotency_key,
            "body_digest": identity.body_digest,
            "request": identity.request,
            "result": None,
            "error": None,
            "warnings": None,
            "created_at": identity.created_at,
            "started_at": None if state is RunState.QUEUED else identity.created_at,
            "finished_at": None,
        }


def _json(value: Any) -> str:
    try:
        return to_json(value, inf_nan_mode="null", fallback=jsonable).decode()
    except (PydanticSerializationError, UnicodeEncodeError):  # a lone surrogate, which no text encoding can carry
        return json.dumps(jsonable(value), ensure_ascii=True, default=str)


def _storable(text: str) -> str:
    """The text without what no database keeps: NUL and lone surrogates become the replacement character."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _kept(value: Any) -> Any:
    """The value as JSON types, long texts and lists cut: records are for looking at, the answer itself is never cut."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is str:
        return value if len(value) <= TEXT_LIMIT else value[:TEXT_LIMIT] + "…"
    if kind is Message:
        return _kept(value.text)
    if kind is dict:
        return {str(key): _kept(item) for key, item in value.items()}
    match value:
        case Data():
            return _kept(value.data)
        case Table():
            return [_kept(row) for row in value.rows[:LIST_LIMIT]]
        case Mapping():
            return _kept(dict(value))
        case list() | tuple():
            return [_kept(item) for item in value[:LIST_LIMIT]]
        case _:
            return jsonable(value)


_PLAIN = frozenset((type(None), bool, int, float))
