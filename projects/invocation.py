"""The one door: every run of a flow, whoever asks for it, goes through `InvocationService`.

Above: tools (MCP), REST handlers, background runs. Below: prepared flows, the engine, the run's record.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from projects.access.caller import Caller
from projects.access.session_spaces import is_open_to, space_of
from projects.engine.events import (
    OnEvent,
    VertexResult,
    ignore,
)
from projects.engine.questions import Answer
from projects.engine.steps import Steps
from projects.errors import (
    Conflict,
    HeadwaterError,
    InvalidInput,
    LimitReached,
    NotFound,
    RunCancelled,
    Unavailable,
)
from projects.flows import tweaks as flow_tweaks
from projects.flows.prepared import FlowCache, PreparedFlow
from projects.flows.variable_defaults import bind_defaults
from projects.given_files import check_given_files
from projects.messages import MessageService
from projects.rate_limits import CallCounter
from projects.run_context import ChildRequest, RunView, Surroundings
from projects.run_resources import RunResources
from projects.runs import checkpoint as checkpoints
from projects.runs.background import BackgroundTasks
from projects.runs.events import EventPort, stop_topic
from projects.runs.execution import Execution
from projects.runs.handle import RunHandle
from projects.runs.idempotency import KeyedRuns
from projects.runs.live import LiveRuns
from projects.runs.observers import RunObservers
from projects.runs.one_run import OneRun, told_inside
from projects.runs.queue import RunQueue
from projects.runs.record import RunIdentity, RunRecord, RunState
from projects.runs.request import (
    MAX_SESSION_LENGTH,
    InputType,
    Invocation,
    InvocationResult,
    OutputType,
    RunKind,
    RunSettings,
    check_conflicts,
    check_session,
    select_outputs,
    values_for,
)
from projects.runs.service import Run
from projects.runs.waiting import START_ANEW, NotWaiting, WaitingRun, WaitingRuns, check_answers
from projects.variables import VariableService
from storage.ids import new_id
from storage.run_writer import RunWriter
from storage.tables import RunRow

__all__ = [
    "MAX_SESSION_LENGTH",
    "InputType",
    "Invocation",
    "InvocationResult",
    "InvocationService",
    "OutputType",
    "RunHandle",
    "RunKind",
    "RunSettings",
]

logger = logging.getLogger(__name__)

_TRIES = 5  # of an answer, when other answers to the same run keep coming first


class InvocationService:
    """Runs flows for callers. Enter it once: runs in the background live as long as it does."""

    def __init__(
        self,
        *,
        flows: FlowCache,
        messages: MessageService,
        variables: VariableService,
        writer: RunWriter,
        events: EventPort,
        resources: RunResources,
        settings: RunSettings,
        waiting: WaitingRuns,
        live: LiveRuns,
        keyed: KeyedRuns,
        queue: RunQueue,
        calls: CallCounter | None = None,
        observers: RunObservers | None = None,
    ) -> None:
        self._calls = calls
        self._keyed = keyed
        self._flows = flows
        self._variables = variables
        self._observers = RunObservers() if observers is None else observers
        self._surroundings = Surroundings(messages, variables, flows, resources, settings.environment, self._observers)
        self._writer = writer
        self._events = events
        self._settings = settings
        self._waiting = waiting
        self._live = live
        self._queue = queue
        self._execution = Execution(
            events=events, live=live, observers=self._observers, calls=calls, max_seconds=settings.max_seconds, let_go=queue.let_go
        )
        self._background = BackgroundTasks()
        self._is_draining = False

    async def __aenter__(self) -> Self:
        await self._queue.begin(self._run_taken, self.stop, lambda run_id: self._live.find(run_id) is not None)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._queue.stop_taking()
        await self._background.__aexit__(kind, error, traceback)

    async def drain(self, seconds: float) -> None:
        """Accept nothing more, and let what goes on end for at most so long."""
        self._is_draining = True
        await self._queue.stop_taking()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._background.wait_until_idle()

    @property
    def running_count(self) -> int:
        return len(self._live)

    async def wait_until_idle(self) -> None:
        """Until every run in the background has ended, those included that wait for their turn here."""
        while True:
            await self._background.wait_until_idle()
            if not await self._queue.take_now() and not self._queue.is_busy:
                return
            await asyncio.sleep(0)

    async def invoke(self, caller: Caller, flow_id_or_name: str, invocation: Invocation, *, on_event: OnEvent = ignore) -> InvocationResult:
        """Run the flow and wait for its end. Returns after everything about the run is committed.

        Raises NotFound, TweaksRefused, ConflictingInput, FlowCannotRun, ComponentFailed, RunCancelled, Unavailable.
        """
        prepared = await self._flows.resolve(caller.user_id, flow_id_or_name)
        return await self.invoke_prepared(caller, prepared, invocation, on_event=on_event)

    async def invoke_prepared(
        self, caller: Caller, prepared: PreparedFlow, invocation: Invocation, *, on_event: OnEvent = ignore
    ) -> InvocationResult:
        """`invoke` for a caller that already holds the flow (a tool call)."""
        if invocation.request_key is not None:
            handle = await self.open(caller, prepared, invocation, on_event=on_event)
            return await handle.outcome()
        run = await self._prepare(caller.user_id, caller.principal, prepared, invocation)
        run.record.begin()
        return await self._execution.run(run, on_event)

    async def open(
        self,
        caller: Caller,
        prepared: PreparedFlow,
        invocation: Invocation,
        *,
        on_event: OnEvent = ignore,
        given: Mapping[str, VertexResult] | None = None,
    ) -> RunHandle:
        """Begin a run in a task of its own. Raises what can be told before it begins; the rest is told by the handle's `wait`.

        With a key that was used before it is the run of that key, whose earlier events are not told again. `given` vertices have their
        results already and are not run.
        """
        if invocation.request_key is not None:
            return await self._keyed.open(caller, invocation, lambda: self._open_keyed(caller, prepared, invocation, on_event))
        run = await self._prepare(caller.user_id, caller.principal, prepared, invocation)
        run.given = given or {}
        run.record.begin()
        return self._handle(run, on_event)

    async def _open_keyed(self, caller: Caller, prepared: PreparedFlow, invocation: Invocation, on_event: OnEvent) -> RunHandle:
        """Written before it begins, so that nobody else begins it, and detached, because its caller may come back for it."""
        run = await self._prepare(caller.user_id, caller.principal, prepared, invocation)
        run.keep_request()
        try:
            await run.record.accept(RunState.RUNNING)
        except BaseException:
            self._queue.let_go(run.identity.run_id)  # it may have been kept all the same
            raise
        run.record.begin()
        handle = self._handle(run, on_event)
        handle.detach()
        return handle

    async def answer(self, caller: Caller, run_id: str, answers: Mapping[str, Answer], *, on_event: OnEvent = ignore) -> RunHandle:
        """Go on with a run that waits: question id → answer. With answers to some of its questions it waits for the rest.

        Raises NotFound; Conflict when it does not wait, was answered meanwhile or its flow has changed; InvalidInput when an answer does
        not fit its question; Unavailable when too much is going on here, and then it still waits. `cancel` for one question cancels the
        run: the handle raises RunCancelled.
        """
        if not answers:
            raise InvalidInput("There is no answer: name at least one question by its id.")
        for _ in range(_TRIES):
            waiting = await self._waiting.load(caller.user_id, run_id)
            if not is_open_to(caller, waiting.row.principal, waiting.row.session_id):
                raise NotFound("run", run_id)
            if waiting.expired(datetime.now(UTC)):
                await self.settle_expired(caller.user_id, waiting.row.id)
                raise Conflict(f"The time for an answer to the run {waiting.row.id} is over.")
            check_answers(waiting, answers)
            if any(answer.action == "cancel" for answer in answers.values()):
                if await self._waiting.cancel(caller.user_id, waiting.row.id):
                    return RunHandle.ended(waiting.row.id, RunCancelled())
                continue
            handle = await self._go_on(waiting, answers, on_event)
            if handle is not None:
                return handle
        raise Conflict(f"The run {run_id} is being answered by others; look at it again.")

    async def settle_expired(self, owner_id: str, run_id: str, *, now: datetime | None = None) -> None:
        """Go on in the background with a run whose time for an answer is over; what paused decides what that means.

        A run that can no longer go on, because its flow was changed, ends as failed.
        """
        try:
            waiting = await self._waiting.load(owner_id, run_id)
            expired = waiting.expired(now or datetime.now(UTC))
            if not expired:
                return
            handle = await self._go_on(waiting, {question.id: checkpoints.TIME_IS_OVER for question in expired}, ignore)
        except (NotFound, NotWaiting):
            return  # it was answered or given up meanwhile
        except Conflict as error:
            await self._waiting.fail(owner_id, run_id, code=error.code, message=f"Nobody answered in time. {error.message}")
            return
        if handle is not None:
            handle.detach()

    async def _go_on(self, waiting: WaitingRun, answers: Mapping[str, Answer], on_event: OnEvent) -> RunHandle | None:
        """None when somebody else changed the run meanwhile."""
        row, checkpoint = waiting.row, waiting.checkpoint
        prepared = await self._flows.find(row.owner_id, row.flow_id)
        if prepared is None or prepared.flow.version != row.flow_version:
            raise Conflict(f"The flow was changed after the run {row.id} began. {START_ANEW}")
        checkpoint.answers = {**checkpoint.answers, **answers}
        run = await self._prepare(row.owner_id, row.principal, prepared, waiting.invocation, going_on=waiting)
        left = [question for question in waiting.questions if question.id not in answers]
        if left:
            if not await self._waiting.answer_some(waiting, left, checkpoint):
                return None
            outputs = select_outputs(run.graph, waiting.results, run.invocation)
            return RunHandle.ended(row.id, run.result(outputs, RunState.WAITING, questions=tuple(left)))
        if not await self._waiting.claim(waiting):
            return None
        run.record.begin()
        return self._handle(run, on_event)

    def _handle(self, run: OneRun, on_event: OnEvent) -> RunHandle:
        task = self._background.start_watched(self._execution.run(run, on_event), name=f"run {run.identity.run_id}")
        return RunHandle(run.identity.run_id, task, run.detach)

    async def start(
        self, caller: Caller, flow_id_or_name: str, invocation: Invocation, *, on_accepted: Callable[[Run], None] | None = None
    ) -> str:
        """Run the flow in the background; returns the run's id once the run is committed. It goes on when the caller leaves.

        `on_accepted` is told of it as it was committed, unless its Idempotency-Key had a run already.
        """
        prepared = await self._flows.resolve(caller.user_id, flow_id_or_name)

        async def begin() -> str:
            run = await self._start(caller, prepared, invocation)
            if on_accepted is not None:
                on_accepted(run)
            return run.id

        if (key := invocation.request_key) is not None:
            return await self._keyed.run_id(caller, key, begin)
        return await begin()

    async def _start(self, caller: Caller, prepared: PreparedFlow, invocation: Invocation) -> Run:
        """At once where there is a place, else as one more in the queue. Raises Unavailable when the queue is full."""
        self._check_draining()
        goes_now = self._queue.has_place and self._has_room(invocation)
        if not goes_now:
            await self._queue.require_room()
        run = await self._prepare(caller.user_id, caller.principal, prepared, invocation, is_durable=True)
        run.is_followed = False
        if not goes_now:
            await run.record.accept(RunState.QUEUED)
            self._queue.wake()
            return Run.accepted(run.identity, prepared.flow.name, RunState.QUEUED, run.record.warnings)
        release = self._queue.take_place()
        try:
            await run.record.accept(RunState.RUNNING)
        except BaseException:
            release()
            self._queue.let_go(run.identity.run_id)  # it may have been kept all the same
            raise
        run.record.begin()
        self._background.start(self._run_quietly(run, release), name=f"run {run.identity.run_id}")
        return Run.accepted(run.identity, prepared.flow.name, RunState.RUNNING, run.record.warnings)

    async def _run_taken(self, row: RunRow, release: Callable[[], None]) -> None:
        """Go on with a run that this process has taken from the queue, in the background."""
        try:
            try:
                taken = await self._waiting.load_taken(row)
                prepared = await self._flows.find(row.owner_id, row.flow_id)
                # One that has not begun runs the flow as it is now; a version below 0 is no stored one.
                has_begun = bool(taken.checkpoint.finished) or row.flow_version < 0
                if prepared is None or (has_begun and prepared.flow.version != row.flow_version):
                    raise Conflict(f"The flow was changed after the run {row.id} began. {START_ANEW}")
                run = await self._prepare(row.owner_id, row.principal, prepared, taken.invocation, going_on=taken)
            except Unavailable:
                raise  # the database is away; the queue lets the run go, and somebody takes it again
            except HeadwaterError as error:
                await self._waiting.fail_taken(row, code=error.code, message=error.message)
                release()
                return
        except BaseException:
            release()
            raise
        run.record.begin()
        self._background.start(self._run_quietly(run, release), name=f"run {row.id}")

    async def cancel(self, caller: Caller, run_id: str) -> None:
        """Stop a run of the caller's: it ends as `cancelled`, at once when it waits for a person. One that has ended is NotFound."""
        if (running := self._live.find(run_id, owner_id=caller.user_id)) is not None:
            if not is_open_to(caller, running.identity.principal, running.identity.session_id):
                raise NotFound("run", run_id)
            running.stop()
            return
        row = await self._waiting.find(caller.user_id, run_id)
        if row is None or not is_open_to(caller, row.principal, row.session_id):
            raise NotFound("run", run_id)
        if await self._waiting.cancel(caller.user_id, row.id):
            return
        if not await self._waiting.request_cancel(caller.user_id, row.id):
            raise NotFound("run", run_id)
        self.stop(row.id)  # it may have begun here while the database was asked
        if row.lease_owner is not None:
            self._events.publish(stop_topic(row.lease_owner), row.id)

    def stop(self, run_id: str) -> None:
        """The process' own way to stop a run that goes on here, if it does."""
        if (running := self._live.find(run_id)) is not None:
            running.stop()

    async def _prepare(
        self,
        owner_id: str,
        principal: str,
        prepared: PreparedFlow,
        invocation: Invocation,
        *,
        parent: OneRun | None = None,
        going_on: WaitingRun | None = None,
        is_durable: bool = False,
    ) -> OneRun:
        """`is_durable`: it is kept with its request, and has its place already."""
        if parent is None and not is_durable and (going_on is None or not going_on.is_taken):
            self._check_room(invocation)
        session_id = invocation.session_id or prepared.flow.id
        check_session(session_id)
        graph = prepared.graph
        warnings: list[str] = []
        tweaks = invocation.tweaks
        if invocation.webhook_body is not None:
            tweaks = {id: {"data": invocation.webhook_body} for id in graph.vertices if "webhook" in id.lower()}
        if tweaks:
            check_conflicts(invocation)
            graph, warnings = flow_tweaks.apply_tweaks(graph, tweaks)
        values = values_for(graph, invocation)
        if parent is None and going_on is None and (tweaks or invocation.arguments):
            only_of = prepared.flow.id if space_of(principal, session_id) else None
            await check_given_files(self._surroundings.resources.files, owner_id, prepared.graph, graph, values, only_of=only_of)
        if defaults := await self._variables.list_defaults(owner_id):
            graph = bind_defaults(graph, defaults, filled=values)
        # Nothing is awaited from here until the run begins and is counted as going on.
        if parent is None and going_on is None and self._calls is not None:
            self._calls.admit(principal, prepared.flow.id)
        key = invocation.request_key
        identity = RunIdentity(
            run_id=new_id() if going_on is None else going_on.row.id,
            owner_id=owner_id,
            principal=principal,
            kind=invocation.kind,
            project_id=prepared.flow.project_id,
            flow_id=prepared.flow.id,
            flow_version=prepared.flow.version,
            session_id=session_id,
            process_id=self._settings.process_id,
            created_at=datetime.now(UTC) if going_on is None else going_on.row.created_at,
            idempotency_key=None if key is None else key.key,
            body_digest=None if key is None else key.digest,
            request=self._waiting.seal(replace(invocation, session_id=session_id)) if is_durable else None,
        )
        record = RunRecord(
            identity,
            self._writer,
            visible_after_seconds=self._settings.visible_after_seconds,
            kept_results=None if going_on is None else going_on.results,
            attempt=1 if going_on is None else going_on.attempt,
        )
        for warning in warnings:
            record.warn(warning)
        context = RunView(identity, prepared.flow.name, record, self._surroundings, invocation.request_variables)
        context.max_depth = self._settings.max_depth
        steps = Steps(self._settings.max_steps) if parent is None else parent.steps
        run = OneRun(identity, invocation, graph, values, record, context, steps, self._waiting.seal, prepared.flow.tags or ())
        run.is_durable = is_durable
        if going_on is not None:
            run.go_on(going_on)
        run.parent = parent
        if parent is None and invocation.depth:
            if invocation.depth >= self._settings.max_depth:
                raise LimitReached(
                    f"Flows call each other's tools more than {self._settings.max_depth} deep, and {prepared.flow.name!r} would be one "
                    "more. End the circle, or raise HEADWATER_MAX_FLOW_DEPTH."
                )
            context.chain = (*["…"] * invocation.depth, prepared.flow.name)
        if parent is not None:
            context.chain = (*parent.context.chain, prepared.flow.name)

        async def run_child(request: ChildRequest) -> tuple[VertexResult, ...]:
            return await self._run_child(run, request)

        context.run_child = run_child
        return run

    def _check_room(self, invocation: Invocation) -> None:
        """A run that has begun is let finish what it needs: what it runs itself is never refused, and what it calls by way of the network
        finds as much room again."""
        self._check_draining()
        if not self._has_room(invocation):
            raise Unavailable(f"{self._live.outermost_count} runs are already going on here; try again shortly.")

    def _has_room(self, invocation: Invocation) -> bool:
        return self._live.outermost_count < self._settings.max_running * (2 if invocation.depth else 1)

    def _check_draining(self) -> None:
        if self._is_draining:
            raise Unavailable("This server is stopping; try again shortly.", retry_after_seconds=5)

    async def _run_child(self, parent: OneRun, request: ChildRequest) -> tuple[VertexResult, ...]:
        """A run of its own record, for the same person and with the same variables; it ends when its parent does."""
        invocation = Invocation(
            input_value=request.input_value,
            output_type="any",
            session_id=request.session_id,
            arguments=request.values,
            request_variables=parent.invocation.request_variables,
        )
        identity = parent.identity
        child = await self._prepare(identity.owner_id, identity.principal, request.prepared, invocation, parent=parent)
        child.is_followed = parent.is_followed
        child.record.begins_anew = child.begins_anew
        child.record.begin()
        return (await self._execution.run(child, told_inside(parent, child))).outputs

    async def _run_quietly(self, run: OneRun, release: Callable[[], None]) -> None:
        """A run nobody waits for: how it ended is in its record."""
        try:
            await self._execution.run(run, ignore)
        except HeadwaterError as error:
            logger.info("Run %s ended: %s", run.identity.run_id, error.code)
        finally:
            release()
