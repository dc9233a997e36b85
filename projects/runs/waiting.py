"""Runs that wait for a person, as they lie in the database: read, answered in part, claimed by one process, or given up.

Above: `invocation.py`, which goes on with them. Every change is a compare-and-set on the questions, so that of two answers one counts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from projects.engine import snapshot
from projects.engine.events import VertexResult
from projects.engine.questions import Answer, Question
from projects.errors import Conflict, InvalidInput, NotFound, RunCancelled
from projects.kept_text import find_uuid
from projects.runs import checkpoint as checkpoints
from projects.runs import request as requests
from projects.runs.checkpoint import Checkpoint
from projects.runs.record import LEASE, NOT_KEPT
from projects.runs.request import Invocation
from projects.unit_of_work import reading, writing
from storage.database import Database
from storage.encryption import SecretBox
from storage.run_vertex_results import RunVertexResultRepository
from storage.runs import RunRepository
from storage.tables import RunRow, RunVertexResultRow

START_ANEW = "It cannot go on: cancel it and run the flow anew."


class NotWaiting(Conflict):
    """The run is in another state."""


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that waits, with all it takes to go on."""

    row: RunRow
    questions: tuple[Question, ...]
    checkpoint: Checkpoint
    invocation: Invocation
    results: dict[str, VertexResult]  # in no order
    attempt: int  # the one that goes on with it
    is_taken: bool = False  # from the queue, where it was cut off or has not begun

    def expired(self, now: datetime) -> list[Question]:
        return [question for question in self.questions if question.expires_at is not None and question.expires_at <= now]


class WaitingRuns:
    """The owner is a parameter of every method; another's run is NotFound."""

    def __init__(self, database: Database, secret_box: SecretBox, *, process_id: str) -> None:
        self._database = database
        self._secret_box = secret_box
        self._process_id = process_id

    def seal(self, invocation: Invocation) -> str:
        """The request as it is kept. Raises `snapshot.CannotKeep`."""
        return requests.sealed(invocation, self._secret_box)

    async def find(self, owner_id: str, run_id: str) -> RunRow | None:
        """The owner's run as it was written last, in whatever state."""
        known = find_uuid(run_id)
        if known is None:
            return None
        async with reading(self._database) as session:
            return await RunRepository(session).find(known, owner_id=owner_id)

    async def load(self, owner_id: str, run_id: str) -> WaitingRun:
        """Raises NotFound, and Conflict for a run that does not wait or was kept by another version or under another secret key."""
        known = find_uuid(run_id)
        if known is None:
            raise NotFound("run", run_id)
        async with reading(self._database) as session:
            row = await RunRepository(session).find(known, owner_id=owner_id)
            if row is None:
                raise NotFound("run", run_id)
            if row.state != "waiting":
                raise NotWaiting(f"The run {known} does not wait for an answer: it is {row.state}.")
            kept = await RunVertexResultRepository(session).list_of_run(known, owner_id=owner_id)
        return self._read(row, kept, is_taken=False)

    async def load_taken(self, row: RunRow) -> WaitingRun:
        """A run that this process has taken from the queue. Raises Conflict as `load` does."""
        async with reading(self._database) as session:
            kept = await RunVertexResultRepository(session).list_of_run(row.id, owner_id=row.owner_id)
        return self._read(row, kept, is_taken=True)

    def _read(self, row: RunRow, kept: Sequence[RunVertexResultRow], *, is_taken: bool) -> WaitingRun:
        try:
            return WaitingRun(
                row=row,
                questions=() if is_taken else checkpoints.questions_from_text(row.questions),
                checkpoint=Checkpoint() if is_taken and row.checkpoint is None else Checkpoint.from_text(row.checkpoint),
                invocation=requests.opened(row.request, self._secret_box),
                results={each.vertex_id: snapshot.result_from_text(each.content) for each in kept if each.content != NOT_KEPT},
                attempt=row.attempt if is_taken else row.attempt + 1,
                is_taken=is_taken,
            )
        except (checkpoints.Unreadable, requests.UnreadableRequest, snapshot.Unreadable) as error:
            raise Conflict(
                f"What was kept of the run {row.id} cannot be read with this version and this secret key. {START_ANEW}"
            ) from error

    async def claim(self, waiting: WaitingRun) -> bool:
        """Whether this process may go on with it; nobody else may then."""
        row = waiting.row
        async with writing(self._database) as session:
            return await RunRepository(session).claim_waiting(
                row.id,
                owner_id=row.owner_id,
                questions=row.questions or "",
                lease_owner=self._process_id,
                lease_expires_at=datetime.now(UTC) + LEASE,
                checkpoint=waiting.checkpoint.to_text(),
            )

    async def answer_some(self, waiting: WaitingRun, left: list[Question], checkpoint: Checkpoint) -> bool:
        """Keep a checkpoint with more answers; False when the questions have changed meanwhile."""
        row = waiting.row
        async with writing(self._database) as session:
            return await RunRepository(session).answer_some(
                row.id,
                owner_id=row.owner_id,
                questions=row.questions or "",
                left=checkpoints.questions_to_text(left),
                checkpoint=checkpoint.to_text(),
                available_at=checkpoints.first_expiry(left),
            )

    async def cancel(self, owner_id: str, run_id: str) -> bool:
        """Whether a run of the owner's was waiting for a person or for its turn, and is now cancelled."""
        for state, what in (("waiting", "a person"), ("queued", "its turn")):
            error = {"code": RunCancelled.code, "message": f"The run was cancelled while it waited for {what}."}
            if await self._settle(owner_id, run_id, "cancelled", error, only_from=state):
                return True
        return False

    async def fail_taken(self, row: RunRow, *, code: str, message: str) -> None:
        """End a run that this process has taken and cannot run."""
        await self._settle(row.owner_id, row.id, "failed", {"code": code, "message": message}, only_from="running")

    async def request_cancel(self, owner_id: str, run_id: str) -> bool:
        """Whether another process runs it, which is told to stop it."""
        async with writing(self._database) as session:
            return await RunRepository(session).request_cancel(run_id, owner_id=owner_id)

    async def list_expired(self, now: datetime, *, limit: int = 100) -> list[tuple[str, str]]:
        """(owner, run) of those with a question whose time is over."""
        async with reading(self._database) as session:
            return [(row.owner_id, row.id) for row in await RunRepository(session).list_expired(now=now, limit=limit)]

    async def fail(self, owner_id: str, run_id: str, *, code: str, message: str) -> bool:
        return await self._settle(owner_id, run_id, "failed", {"code": code, "message": message})

    async def _settle(self, owner_id: str, run_id: str, state: str, error: dict[str, str], *, only_from: str = "waiting") -> bool:
        async with writing(self._database) as session:
            return await RunRepository(session).settle(
                run_id, owner_id=owner_id, state=state, only_from=(only_from,), finished_at=datetime.now(UTC), error=json.dumps(error)
            )


def check_answers(waiting: WaitingRun, answers: Mapping[str, Answer]) -> None:
    """Raises Conflict for a question that was answered already, InvalidInput for what is no question or no answer to it."""
    questions = {question.id: question for question in waiting.questions}
    for id, answer in answers.items():
        if (question := questions.get(id)) is not None:
            checkpoints.check_answer(question, answer)
        elif id in waiting.checkpoint.answers:
            raise Conflict(f"The question {id!r} was answered already.")
        else:
            raise InvalidInput(f"The run {waiting.row.id} asks no question {id!r}; it asks: {', '.join(questions)}.")
