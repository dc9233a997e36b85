"""The one door: every run of a flow, whoever asks for it, goes through `InvocationService`.

Above: tools (MCP), REST handlers, background runs. Below: prepared flows, the engine, the run's record.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from projects.access.caller import Caller
from projects.access.session_spaces import is_open_to
from projects.engine import runner, snapshot
from projects.engine.events import (
    InnerEvent,
    MessageAdded,
    OnEvent,
    RunEnded,
    RunEvent,
    VertexFailed,
    VertexFinished,
    VertexResult,
    Warned,
    ignore,
)
from projects.engine.questions import Answer
from projects.engine.runner import RunResult
from projects.engine.steps import Steps
from projects.engine.values import jsonable
from projects.errors import (
    ComponentFailed,
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
from projects.messages import MessageService
from projects.rate_limits import CallCounter
from projects.run_context import ChildRequest, RunView, Surroundings
from projects.run_resources import RunResources
from projects.runs import checkpoint as checkpoints
from projects.runs.background import BackgroundTasks
from projects.runs.events import EventPort, run_topic, stop_topic, webhooks_topic
from projects.runs.handle import RunHandle
from projects.runs.idempotency import KEPT_CHARACTERS, KeyedRuns
from projects.runs.kept_errors import described
from projects.runs.live import LiveRun, LiveRuns, VertexTiming
from projects.runs.observers import RunObservers, current_run
from projects.runs.one_run import OneRun, sum_of_tokens, told_inside
from projects.runs.queue import RunQueue
from projects.runs.record import LeaseLost, Pause, RunIdentity, RunRecord, RunState
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
from projects.runs.waiting import START_ANEW, NotWaiting, WaitingRun, WaitingRuns, check_answers
from projects.variables import VariableService
from storage.database import DatabaseUnavailable
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
        self._background = BackgroundTasks()
        self._is_draining = False

    async def __aenter__(self) -> Self:
        await self._queue.begin(self._run_taken, self.stop)
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
        return await self._run(run, on_event)

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
        await run.record.accept(RunState.RUNNING)
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
        task = self._background.start_watched(self._run(run, on_event), name=f"run {run.identity.run_id}")
        return RunHandle(run.identity.run_id, task, run.detach)

    async def start(self, caller: Caller, flow_id_or_name: str, invocation: Invocation) -> str:
        """Run the flow in the background; returns the run's id once the run is committed. It goes on when the caller leaves."""
        prepared = await self._flows.resolve(caller.user_id, flow_id_or_name)
        if (key := invocation.request_key) is not None:
            return await self._keyed.run_id(caller, key, lambda: self._start(caller, prepared, invocation))
        return await self._start(caller, prepared, invocation)

    async def _start(self, caller: Caller, prepared: PreparedFlow, invocation: Invocation) -> str:
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
            return run.identity.run_id
        release = self._queue.take_place()
        try:
            await run.record.accept(RunState.RUNNING)
        except BaseException:
            release()
            raise
        run.record.begin()
        self._background.start(self._run_quietly(run, release), name=f"run {run.identity.run_id}")
        return run.identity.run_id

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
                raise  # the database is away; the lease runs out and somebody takes the run again
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
        child.record.begin()
        return (await self._run(child, told_inside(parent, child))).outputs

    async def _run_quietly(self, run: OneRun, release: Callable[[], None]) -> None:
        """A run nobody waits for: how it ended is in its record."""
        try:
            await self._run(run, ignore)
        except HeadwaterError as error:
            logger.info("Run %s ended: %s", run.identity.run_id, error.code)
        finally:
            release()

    async def _run(self, run: OneRun, on_event: OnEvent) -> InvocationResult:
        identity, record = run.identity, run.record
        scope = asyncio.timeout(self._settings.max_seconds or None if run.parent is None else None)
        live = run.live = LiveRun(identity, run.context.flow_name, run.attempt, run.parent is None, scope)
        self._live.add(live)
        if run.parent is None and self._calls is not None:
            self._calls.begin(identity.principal)
        run.listener = on_event
        run.context.on_event = run.on_event = self._follow(run, on_event)
        run.context.is_followed_live = on_event is not ignore or self._is_hook_followed(run)
        self._observers.run_began(live)
        inside, began = current_run.set(identity.run_id), perf_counter()
        try:
            async with scope:
                for warning in record.warnings:
                    await run.on_event(Warned(warning))
                outcome = await runner.run_graph(
                    run.graph,
                    context=run.context,
                    on_event=run.on_event,
                    values=run.values,
                    start=run.invocation.start_vertex,
                    stop=run.invocation.stop_vertex,
                    given=run.given,
                    absent=run.absent,
                    notified=run.notified,
                    steps=run.steps,
                )
                outputs = select_outputs(run.graph, outcome.results, run.invocation)
                shown: dict[str, Any] = {
                    "outputs": {result.vertex_id: {name: jsonable(value) for name, value in result.outputs.items()} for result in outputs}
                }
                if outcome.waiting:
                    pause = self._pause(run, outcome)
                    record.keep_results(outcome.results.values())
                    await record.wait_for_person(pause, result=shown)
                    return run.result(outputs, RunState.WAITING, questions=outcome.questions)
                run.token_usage = sum_of_tokens(outcome.results.values())
                if run.token_usage is not None:
                    shown["token_usage"] = run.token_usage
                if not run.is_followed and run.parent is None:
                    record.keep_results(outputs, limit=None if run.invocation.request_key is None else KEPT_CHARACTERS)
                await record.finish(RunState.COMPLETED, result=shown)
                return run.result(outputs, RunState.COMPLETED)
        except LeaseLost:
            logger.warning("Run %s is no longer this process's: another one goes on with it, or it has ended there", identity.run_id)
            record.drop()
            raise Unavailable(f"The run {identity.run_id} goes on in another process.") from None
        except ComponentFailed as error:
            error.run_id = identity.run_id
            if run.is_durable and not run.is_followed and run.failures < run.retries:
                await self._try_again(run, error)
                raise
            message = run.context.error_message(error)
            record.add_message(message)
            await record.finish(RunState.FAILED, error=described(error))
            self._tell_followers_of_hook(run, MessageAdded(message))
            await run.tell(MessageAdded(message))
            raise
        except HeadwaterError as error:
            await record.finish(RunState.FAILED, error=described(error))
            raise
        except DatabaseUnavailable as error:
            # Its lease runs out, and it goes on or is ended then.
            record.drop()
            raise Unavailable(f"What the run {identity.run_id} gave cannot be kept now; try again shortly.") from error
        except asyncio.CancelledError:
            # The task may not wait any more, so the record is handed over.
            if run.is_followed or self._is_parent_cancelled(run):
                record.abandon(
                    RunState.CANCELLED, error={"code": "run_cancelled", "message": "The caller went away before the run finished."}
                )
            elif run.is_durable:
                record.hand_back(run.checkpoint().to_text())
            else:
                record.abandon(
                    RunState.INTERRUPTED, error={"code": "interrupted", "message": "The server stopped before the run finished."}
                )
            raise
        except BaseException as error:
            if isinstance(error, TimeoutError) and scope.expired():
                if not live.is_stopped:
                    allowed = f"{self._settings.max_seconds:g} s, which HEADWATER_MAX_RUN_SECONDS allows"
                    late = LimitReached(f"The run took longer than {allowed}.")
                    await record.finish(RunState.FAILED, error=described(late))
                    raise late from None
                cancelled = RunCancelled()
                await record.finish(RunState.CANCELLED, error=described(cancelled))
                raise cancelled from None
            # A boundary: whatever else goes wrong inside a run, the run still ends in one visible state.
            logger.exception("Run %s failed unexpectedly", identity.run_id)
            record.abandon(RunState.FAILED, error={"code": "internal_error", "message": type(error).__name__})
            raise
        finally:
            self._tell_followers_of_hook(run, RunEnded(record.state is RunState.COMPLETED))
            self._observers.run_ended(live, record.state, perf_counter() - began)
            current_run.reset(inside)
            self._live.remove(live)
            if run.parent is None and self._calls is not None:
                self._calls.end(identity.principal)

    async def _try_again(self, run: OneRun, error: ComponentFailed) -> None:
        """The author wants it: what has finished stays, what failed runs again after a while."""
        run.failures += 1
        run.record.warn(f"Attempt {run.attempt} failed and is tried again: {error.message}")
        later = datetime.now(UTC) + timedelta(seconds=min(2**run.failures, 300))
        await run.record.put_off(run.checkpoint().to_text(), available_at=later, attempt=run.attempt + 1)

    def _pause(self, run: OneRun, outcome: RunResult) -> Pause:
        """What it takes to go on. Raises ComponentFailed where nothing can wait."""
        first = run.graph.vertices[outcome.questions[0].vertex_id]

        def refused(reason: str) -> ComponentFailed:
            return ComponentFailed(
                component_id=first.id, component_type=first.type, display_name=first.display_name, reason=reason, output=None
            )

        if run.parent is not None:
            raise refused("A flow that another flow runs cannot wait for a person. Ask in the outer flow.")
        checkpoint = run.checkpoint()
        checkpoint.memories, checkpoint.finished, checkpoint.notified = outcome.memories, list(outcome.results), outcome.notified
        checkpoint.begun = []
        try:
            return Pause(
                questions=checkpoints.questions_to_text(outcome.questions),
                checkpoint=checkpoint.to_text(),
                request=run.sealed_request(),
                expires_at=checkpoints.first_expiry(outcome.questions),
            )
        except snapshot.CannotKeep as error:
            raise refused(f"The run cannot wait here: it would have to keep a value that cannot be kept ({error}).") from None

    def _is_parent_cancelled(self, run: OneRun) -> bool:
        """Whether a person stopped one of the runs that this one belongs to."""
        while run.parent is not None:
            run = run.parent
            if run.live is not None and run.live.scope.expired():
                return True
        return False

    def _is_hook_followed(self, run: OneRun) -> bool:
        return run.identity.kind == "webhook" and run.parent is None and webhooks_topic(run.identity.flow_id) in self._events.topics

    def _tell_followers_of_hook(self, run: OneRun, event: RunEvent) -> None:
        identity = run.identity
        if identity.kind == "webhook" and run.parent is None:
            self._events.publish(webhooks_topic(identity.flow_id), InnerEvent(identity.run_id, run.context.flow_name, event))

    def _follow(self, run: OneRun, on_event: OnEvent) -> OnEvent:
        """Keep what a finished vertex leaves behind, then pass the event on."""
        assert run.live is not None
        live, observers = run.live, self._observers
        record, topic, events, graph, vertices = run.record, run_topic(run.identity.run_id), self._events, run.graph, run.live.vertices

        async def follow(event: RunEvent) -> None:
            run.note(event)
            match event:
                case VertexFinished(result=result) | VertexFailed(result=result):
                    edges = graph.outgoing.get(result.vertex_id, ())
                    record.add_vertex(result, target_id=edges[0].target if edges else None)
                    observers.vertex_ended(live, result)
                    vertices.append(
                        VertexTiming(result.vertex_id, result.display_name, result.started_at, result.duration_seconds, result.error)
                    )
                case Warned(message=message):
                    record.warn(message)
                case _:
                    pass
            if run.is_durable and isinstance(event, VertexFinished) and event.is_step:
                await record.commit_step(event.result, run.checkpoint().to_text())
            events.publish(topic, event)
            self._tell_followers_of_hook(run, event)
            if on_event is not ignore:
                await run.tell(event)

        return follow
