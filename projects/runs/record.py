"""What a run leaves behind: one run row, its messages, and for each vertex a build and a transaction.

Rows are gathered while the run goes on and committed together at its end. A run that takes longer than `visible_after_seconds`
is written earlier, as `running`, so that it can be seen and settled if this process dies.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from projects.engine.events import VertexResult
from projects.engine.values import Data, Message, Table, jsonable
from storage.ids import new_id
from storage.run_writer import RunBatch, RunUpdate, RunWriter
from storage.tables import MessageRow, RunRow, TransactionRow, VertexBuildRow

LEASE = timedelta(seconds=60)
TEXT_LIMIT = 6_000  # characters kept of one text in builds and transactions
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


class RunRecord:
    """Gathers the rows of one run. Use it in one task; `begin` once, then add, then exactly one of `finish` and `abandon`."""

    def __init__(self, identity: RunIdentity, writer: RunWriter, *, visible_after_seconds: float) -> None:
        self._identity = identity
        self._writer = writer
        self._batch = RunBatch(inserts=[], updates=[], key_uses=[])
        self._is_written = False
        self._visible_after_seconds = visible_after_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._warnings: list[str] = []

    def begin(self) -> None:
        """From here on the run becomes visible as `running` when it is not over soon."""
        self._timer = asyncio.get_running_loop().call_later(self._visible_after_seconds, self._show)

    async def accept(self, state: RunState) -> None:
        """Commit the run before anybody is told that it was accepted."""
        self._batch.inserts.append((RunRow, self._row(state)))
        self._is_written = True
        await self._writer.write(self._take())

    def warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings.append(message)

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def add_message(self, message: Message) -> None:
        identity = self._identity
        self._batch.inserts.append(
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

    def add_vertex(self, result: VertexResult, *, target_id: str | None) -> None:
        """One build and one transaction."""
        identity = self._identity
        outputs = _kept(result.outputs)
        outputs_json = _json(outputs)
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
                        }
                    ),
                    "artifacts": "{}" if result.artifact is None else _json(_kept(result.artifact)),
                    "duration_seconds": result.duration_seconds,
                    "created_at": result.started_at,
                },
            )
        )
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
                    "inputs": _json(_kept(result.inputs)),
                    "outputs": outputs_json,
                    "status": "success" if result.error is None else "error",
                    "error": None if result.error is None else _storable(result.error),
                    "created_at": result.started_at,
                },
            )
        )

    async def finish(self, state: RunState, *, result: Mapping[str, Any] | None = None, error: Mapping[str, Any] | None = None) -> None:
        """Commit what is left with the state the run ended in; returns after the commit."""
        await self._writer.write(self._last(state, result=result, error=error))

    def abandon(self, state: RunState, *, error: Mapping[str, Any]) -> None:
        """The same without waiting: the task is being cancelled and must not await."""
        self._writer.write_soon(self._last(state, result=None, error=error))

    def _last(self, state: RunState, *, result: Mapping[str, Any] | None, error: Mapping[str, Any] | None) -> RunBatch:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        values = {
            "state": state.value,
            "result": None if result is None else _json(result),
            "error": None if error is None else _json(error),
            "warnings": _json(self._warnings) if self._warnings else None,
            "finished_at": None if state is RunState.WAITING else datetime.now(UTC),
            "lease_expires_at": None,
        }
        if self._is_written:
            self._batch.updates.append(RunUpdate(run_id=self._identity.run_id, values=values, only_from=OPEN_STATES))
        else:
            self._batch.inserts.insert(0, (RunRow, {**self._row(state), **values}))
            self._is_written = True
        return self._take()

    def _show(self) -> None:
        """Write what there is now. Later rows follow at the same pace."""
        if not self._is_written:
            self._batch.inserts.insert(0, (RunRow, self._row(RunState.RUNNING)))
            self._is_written = True
        else:
            lease = {"lease_expires_at": datetime.now(UTC) + LEASE}
            self._batch.updates.append(RunUpdate(run_id=self._identity.run_id, values=lease, only_from=OPEN_STATES))
        self._writer.write_soon(self._take())
        self._timer = asyncio.get_running_loop().call_later(LEASE.total_seconds() / 4, self._show)

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
            "lease_owner": identity.process_id,
            "lease_expires_at": identity.created_at + LEASE,
            "idempotency_key": identity.idempotency_key,
            "body_digest": identity.body_digest,
            "request": identity.request,
            "result": None,
            "error": None,
            "warnings": None,
            "created_at": identity.created_at,
            "started_at": identity.created_at,
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
