"""One run for one key: a request that is sent again with its `Idempotency-Key` gets the run, and the answer, of the first one.

Above: `invocation.py`, which begins runs. Below: the runs in the database, whose rows hold key and digest; there the key is unique for its
caller, so that of two processes one begins. A run with a key goes on when its caller leaves: the key says that they may come back.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from projects.access.caller import Caller
from projects.engine import snapshot
from projects.engine.events import VertexResult
from projects.errors import Conflict, HeadwaterError, InvalidInput, KeyReused, StillRunning
from projects.runs import checkpoint as checkpoints
from projects.runs.handle import RunHandle
from projects.runs.kept_errors import made_again
from projects.runs.record import OPEN_STATES, RunState
from projects.runs.request import Invocation, InvocationResult, RequestKey
from projects.unit_of_work import reading, writing
from storage.database import Conflict as BrokenConstraint
from storage.database import Database
from storage.run_vertex_results import RunVertexResultRepository
from storage.runs import RunRepository
from storage.tables import RunRow

KEPT_FOR = timedelta(hours=24)
MAX_KEY_LENGTH = 255
KEPT_CHARACTERS = 32 * 1024 * 1024  # of one answer; a longer one is not given again

_TRIES = 3  # to begin, when somebody else with the same key keeps coming first


def request_key(key: str, asked: Any) -> RequestKey:
    """`asked` is the request as JSON types: the same values in another order or spacing are the same request."""
    if not key or len(key) > MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidInput(f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable ASCII characters; a UUID is a good one.")
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str)
    return RequestKey(key, hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest())


@dataclass(frozen=True, slots=True)
class _Live:
    digest: str
    handle: RunHandle


class KeyedRuns:
    """One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._live: dict[tuple[str, str], _Live] = {}

    async def open(self, caller: Caller, invocation: Invocation, begin: Callable[[], Awaitable[RunHandle]]) -> RunHandle:
        """The run of the key, whether it is over, going on here, or begun now by `begin`, which commits it before it starts.

        Raises KeyReused, and StillRunning when another process runs it.
        """
        key = _key_of(invocation)
        place = (caller.principal, key.key)
        async with self._turn(place):
            for _ in range(_TRIES):
                if (live := self._live.get(place)) is not None:
                    _check(live.digest, key)
                    return live.handle
                if (row := await self._find(caller, key)) is not None:
                    return await self._handle_of(caller, row, invocation)
                try:
                    handle = await begin()
                except BrokenConstraint:
                    continue  # another process was first
                self._live[place] = _Live(key.digest, handle)
                handle.when_over(lambda: self._live.pop(place, None))
                return handle
        raise Conflict("The run of this Idempotency-Key cannot be begun: it is neither there nor can it be recorded.")

    async def run_id(self, caller: Caller, key: RequestKey, begin: Callable[[], Awaitable[str]]) -> str:
        """The same where nobody waits: the id of the key's run, in whatever state it is."""
        place = (caller.principal, key.key)
        async with self._turn(place):
            for _ in range(_TRIES):
                if (row := await self._find(caller, key)) is not None:
                    return row.id
                try:
                    return await begin()
                except BrokenConstraint:
                    continue
        raise Conflict("The run of this Idempotency-Key cannot be begun: it is neither there nor can it be recorded.")

    def _turn(self, place: tuple[str, str]) -> asyncio.Lock:
        lock = self._turns.get(place)
        if lock is None:
            lock = self._turns[place] = asyncio.Lock()
        return lock

    async def _find(self, caller: Caller, key: RequestKey) -> RunRow | None:
        """Raises KeyReused. A key that is older than a day is free again, unless its run is still open."""
        async with reading(self._database) as session:
            row = await RunRepository(session).find_by_idempotency_key(key.key, owner_id=caller.user_id, principal=caller.principal)
        if row is None:
            return None
        if row.state not in OPEN_STATES and row.created_at + KEPT_FOR <= datetime.now(UTC):
            async with writing(self._database) as session:
                await RunRepository(session).release_idempotency_key(row.id, owner_id=caller.user_id)
            return None
        _check(row.body_digest, key)
        return row

    async def _handle_of(self, caller: Caller, row: RunRow, invocation: Invocation) -> RunHandle:
        if row.state in (RunState.QUEUED, RunState.RUNNING):
            raise StillRunning(f"The run {row.id} of this Idempotency-Key is still going on; send the request again shortly.")
        if row.state in (RunState.COMPLETED, RunState.WAITING):
            return RunHandle.ended(row.id, await self._result_of(caller, row, invocation))
        kept = json.loads(row.error) if row.error else {"message": f"The run {row.id} ended as {row.state}."}
        return RunHandle.ended(row.id, made_again(kept, run_id=row.id))

    async def _result_of(self, caller: Caller, row: RunRow, invocation: Invocation) -> InvocationResult | HeadwaterError:
        shown = json.loads(row.result) if row.result else {}
        ids = list(shown.get("outputs", {}))
        async with reading(self._database) as session:
            kept = await RunVertexResultRepository(session).list_of_run(row.id, owner_id=caller.user_id, vertex_ids=ids)
        outputs = {each.vertex_id: _readable(each.content) for each in kept}
        if any(outputs.get(id) is None for id in ids):
            return Conflict(
                f"The run {row.id} of this Idempotency-Key has ended, but its answer could not be kept as it was; "
                f"GET /api/v1/runs/{row.id} shows what is there."
            )
        return InvocationResult(
            run_id=row.id,
            flow_id=row.flow_id,
            session_id=row.session_id,
            input_value=invocation.input_value,
            outputs=tuple(result for id in ids if (result := outputs[id]) is not None),
            vertices={},
            warnings=tuple(checkpoints.warnings_from_text(row.warnings)),
            state=RunState(row.state),
            questions=checkpoints.questions_from_text(row.questions) if row.state == RunState.WAITING else (),
            token_usage=shown.get("token_usage"),
        )


def _key_of(invocation: Invocation) -> RequestKey:
    if invocation.request_key is None:
        raise ValueError("a run without a key")
    return invocation.request_key


def _check(digest: str | None, key: RequestKey) -> None:
    if digest != key.digest:
        raise KeyReused("This Idempotency-Key was used for another request within the last 24 hours; take a new key for a new request.")


def _readable(text: str) -> VertexResult | None:
    try:
        return snapshot.result_from_text(text)
    except snapshot.Unreadable:
        return None
