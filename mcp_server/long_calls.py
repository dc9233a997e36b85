"""A call of a tool from its run's beginning to an answer, however long the run takes and whatever it asks on the way.

A run that outlasts the call's time becomes a task for clients that declared the tasks extension; the others are told its id. A run
that waits for a person is answered by elicitation: sent on the call's stream before 2026-07-28, as a result to be retried since.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request

from mcp_server import elicitation, results
from mcp_server.call_limits import CallLimits
from mcp_server.content import answer_of
from mcp_server.errors import printable, protocol_error
from mcp_server.progress import Progress
from mcp_server.sealed_state import CallIdentity, RequestStates
from mcp_server.visit import Visit, visit_of
from projects.engine.events import VertexResult, ignore
from projects.engine.questions import Answer, Question
from projects.errors import Conflict, HeadwaterError, InvalidInput, NotFound
from projects.invocation import InvocationResult
from projects.runs.events import run_topic
from projects.runs.handle import RunHandle
from projects.runs.record import RunState
from projects.runs.service import Run
from projects.tools import Tool

logger = logging.getLogger(__name__)

TASKS = "io.modelcontextprotocol/tasks"
TASK_KEPT_MS = 24 * 60 * 60 * 1_000
TASK_POLL_MS = 1_000

_SECONDS_BETWEEN_LOOKS = 0.5
_GOING_ON = (RunState.QUEUED, RunState.RUNNING)

Context = ServerRequestContext[Any, Request]


@dataclass(slots=True)
class Call:
    """One tools/call: who makes it, and what it still holds of what the client sent along."""

    ctx: Context
    name: str
    arguments: Mapping[str, Any]
    limits: CallLimits
    progress: Progress | None = None
    tool: Tool | None = None  # None for a call about the run of an earlier one
    responses: dict[str, Any] = field(default_factory=dict)  # answers the client sent along, each good for one question
    may_answer_anything: bool = False  # the answers are to questions that this client was asked
    visit: Visit = field(init=False)

    def __post_init__(self) -> None:
        self.visit = visit_of(self.ctx)

    @property
    def identity(self) -> CallIdentity:
        caller = self.visit.caller
        return CallIdentity(caller.user_id, caller.principal, self.visit.project_id, self.name, self.arguments)

    @property
    def states(self) -> RequestStates:
        return RequestStates(self.visit.services.secret_box, seconds=self.limits.question)

    @property
    def is_modern(self) -> bool:
        return self.ctx.protocol_version in MODERN_PROTOCOL_VERSIONS

    @property
    def is_cancelled_by_client(self) -> bool:
        """Whether the client sent notifications/cancelled, where its handler ends for other reasons too."""
        # The SDK has no public way to tell a cancelled request from a connection that ended.
        return bool(self.ctx.session._request_outbound.cancel_requested.is_set())

    @property
    def seconds(self) -> float | None:
        """How long the call may wait; None for ever."""
        return self.limits.task_after if declares_tasks(self.ctx) else self.limits.answer_after or None

    def seconds_to_answer(self, questions: Sequence[Question]) -> float:
        left = [(question.expires_at - datetime.now(UTC)).total_seconds() for question in questions if question.expires_at is not None]
        return max(min([self.limits.question, *left]), 0.0)

    def take_answers(self, questions: Sequence[Question]) -> dict[str, Answer]:
        """What the client sent along for these questions, once. Without a requestState it was asked nothing yet, so it may fill in a
        form in advance, but approve of nothing that it has not seen."""
        open_to_all = [question for question in questions if self.may_answer_anything or question.kind == "human_input"]
        answers = elicitation.answers_to(open_to_all, self.responses)
        for id in answers:
            del self.responses[id]
        return answers


def declares_tasks(ctx: Context) -> bool:
    """Whether this request's client takes a task for an answer; the extension needs the current revision's result types."""
    capabilities = ctx.session.client_capabilities
    return (
        ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
        and capabilities is not None
        and capabilities.extensions is not None
        and TASKS in capabilities.extensions
    )


async def follow(call: Call, handle: RunHandle, session_id: str) -> dict[str, Any]:
    """Wait for the run and answer the call. Raises what the run raises."""
    if call.progress is None:
        return await _follow(call, handle, session_id)
    async with call.progress.beating(call.limits.heartbeat):
        return await _follow(call, handle, session_id)


async def resume(call: Call, state: str) -> dict[str, Any]:
    """The retry of a call that was answered `input_required`: the very run goes on. Raises MCPError for a state that is not its own."""
    try:
        run = await call.visit.services.runs.get(call.visit.caller, call.states.open(call.identity, state))
    except (InvalidInput, NotFound) as error:
        raise protocol_error(error) from None
    call.may_answer_anything = True
    return await come_back(call, run)


async def come_back(call: Call, run: Run) -> dict[str, Any]:
    """Answer a call about a run that another call began: its result, what it asks, or that it still goes on."""
    if call.progress is None:
        return await _come_back(call, run)
    async with call.progress.beating(call.limits.heartbeat):
        return await _come_back(call, run)


async def ended(visit: Visit, run: Run) -> dict[str, Any]:
    """The tool result of a run that is over, however long ago."""
    if run.state is RunState.COMPLETED:
        tool = await visit.services.tools.find_tool_of(visit.caller, visit.project_id, run.flow_id)
        outputs = await visit.services.runs.outputs(visit.caller, run.id) or _plain_outputs(run)
        return results.finished(await answer_of(visit, tool, outputs), run.id, run.session_id)
    told = str((run.error or {}).get("message") or f"it ended as {run.state.value}")
    return results.failure(printable(f"Error in tool {run.flow_name!r}: {told}", limit=4_000), run.id)


def _plain_outputs(run: Run) -> tuple[VertexResult, ...]:
    """Of a run that somebody waited for to its end nothing typed is kept: texts as they were, everything else as JSON."""
    kept = (run.result or {}).get("outputs", {})
    return tuple(VertexResult(vertex_id, "", "", outputs=dict(outputs)) for vertex_id, outputs in kept.items())


def created_task(run: Run) -> dict[str, Any]:
    return {"resultType": "task", **task_of(run), "status": "working"}


def task_of(run: Run) -> dict[str, Any]:
    """What every answer about a task says of it, but for the status."""
    return {
        "taskId": run.id,
        "createdAt": _wire_time(run.created_at),
        "lastUpdatedAt": _wire_time(run.finished_at or run.started_at or run.created_at),
        "ttlMs": TASK_KEPT_MS,
        "pollIntervalMs": TASK_POLL_MS,
    }


async def _follow(call: Call, handle: RunHandle, session_id: str) -> dict[str, Any]:
    visit = call.visit
    while True:
        result = await _wait(call, handle)
        if result is None:
            handle.detach()
            # Read back before it is told, so that an id that was given out is one that is found.
            return _going_on(call, await visit.services.runs.get(visit.caller, handle.run_id))
        if not result.questions:
            tool = call.tool or await visit.services.tools.find_tool_of(visit.caller, visit.project_id, result.flow_id)
            return results.finished(await answer_of(visit, tool, result.outputs), result.run_id, result.session_id)
        outcome = await _answered(call, result.run_id, session_id, result.questions)
        if not isinstance(outcome, RunHandle):
            return outcome
        handle = outcome


async def _come_back(call: Call, run: Run) -> dict[str, Any]:
    run = await _settled(call, run)
    if run.state in _GOING_ON:
        return _going_on(call, run)
    if run.state is not RunState.WAITING:
        return await ended(call.visit, run)
    outcome = await _answered(call, run.id, run.session_id, run.questions)
    return await _follow(call, outcome, run.session_id) if isinstance(outcome, RunHandle) else outcome


def _going_on(call: Call, run: Run) -> dict[str, Any]:
    if call.progress is not None:
        call.progress.stop()
    if declares_tasks(call.ctx):
        return created_task(run)
    return results.still_running(run.id, run.session_id, has_rest=not call.visit.caller.is_confined)


async def _wait(call: Call, handle: RunHandle) -> InvocationResult | None:
    """None after the call's time. When the wait is cancelled the run is too, but for a client of an older revision that merely left."""
    if call.is_modern:
        return await handle.wait(call.seconds)
    waiting = asyncio.ensure_future(handle.wait(call.seconds))
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if call.is_cancelled_by_client:
            waiting.cancel()
        else:
            handle.detach()
            if call.progress is not None:
                call.progress.stop()
            waiting.add_done_callback(_let_go)
        raise


def _let_go(waiting: asyncio.Future[Any]) -> None:
    """How the run ended is in its record; nobody else asks for it."""
    if not waiting.cancelled():
        waiting.exception()


async def _answered(call: Call, run_id: str, session_id: str, questions: Sequence[Question]) -> RunHandle | dict[str, Any]:
    """The run on its way again when its questions could be answered, else the result of the call."""
    try:
        answers = call.take_answers(questions)
        if not answers and elicitation.can_ask_now(call.ctx):
            answers = await elicitation.ask(call.ctx, questions, seconds=call.seconds_to_answer(questions)) or {}
        if answers:
            on_event = call.progress.tell if call.progress is not None else ignore
            return await call.visit.services.invocations.answer(call.visit.caller, run_id, answers, on_event=on_event)
    except InvalidInput as error:
        if call.is_modern:
            raise protocol_error(error) from None
    except Conflict as error:
        run = await call.visit.services.runs.get(call.visit.caller, run_id)
        if run.state is RunState.WAITING:
            return results.failure(printable(error.message), run_id)
        # Somebody else answered while this client's person was asked: what became of the run is the answer.
        return await _come_back(call, run)
    except asyncio.CancelledError:
        if call.is_cancelled_by_client and not call.is_modern:
            _end_soon(call, run_id)
        raise
    if not call.is_modern or not elicitation.can_ask(call.ctx):
        return results.waiting(run_id, session_id, questions, has_rest=not call.visit.caller.is_confined)
    expiries = [question.expires_at for question in questions if question.expires_at is not None]
    return {
        "resultType": "input_required",
        "inputRequests": elicitation.input_requests(questions),
        "requestState": call.states.seal(call.identity, run_id, expires_at=min(expiries, default=None)),
    }


_ending: set[asyncio.Task[None]] = set()


def _end_soon(call: Call, run_id: str) -> None:
    """Cancel a run that waits; the task that would do it is being cancelled itself."""

    async def end() -> None:
        try:
            await call.visit.services.invocations.cancel(call.visit.caller, run_id)
        except HeadwaterError as error:
            logger.info("The run %s of a cancelled call could not be cancelled: %s", run_id, error.code)

    task = asyncio.create_task(end())
    _ending.add(task)
    task.add_done_callback(_ending.discard)


async def _settled(call: Call, run: Run) -> Run:
    """The run once it neither runs nor is about to, or as it is after the call's time. What it tells meanwhile is passed on."""
    visit, seconds = call.visit, call.seconds
    until = None if seconds is None else monotonic() + seconds
    with visit.services.events.subscribe(run_topic(run.id)) as told:
        while run.state in _GOING_ON and (until is None or monotonic() < until):
            try:
                # Another process may run it, whose events are not heard here: so it is looked at again and again.
                async with asyncio.timeout(_SECONDS_BETWEEN_LOOKS):
                    while True:
                        event = await told.get()
                        if call.progress is not None:
                            await call.progress.tell(event)
            except TimeoutError:
                pass
            run = await visit.services.runs.get(visit.caller, run.id)
    return run


def _wire_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
