"""Runs one run that has everything it needs: through the engine to its end, with whatever that end is in its record.

Above: `invocation.py`, which decides who may run what and when. Below: the engine and the run's record.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from projects.engine import runner, snapshot
from projects.engine.events import (
    InnerEvent,
    MessageAdded,
    OnEvent,
    RunEnded,
    RunEvent,
    VertexFailed,
    VertexFinished,
    Warned,
    ignore,
)
from projects.engine.runner import RunResult
from projects.engine.values import jsonable
from projects.errors import ComponentFailed, HeadwaterError, LimitReached, RunCancelled, Unavailable
from projects.rate_limits import CallCounter
from projects.runs import checkpoint as checkpoints
from projects.runs.events import EventPort, run_topic, webhooks_topic
from projects.runs.idempotency import KEPT_CHARACTERS
from projects.runs.kept_errors import described
from projects.runs.live import LiveRun, LiveRuns, VertexTiming
from projects.runs.observers import RunObservers, current_run
from projects.runs.one_run import OneRun, sum_of_tokens
from projects.runs.record import LeaseLost, Pause, RunState, WrittenBefore
from projects.runs.request import InvocationResult, select_outputs
from storage.database import DatabaseUnavailable

logger = logging.getLogger(__name__)


class Execution:
    """One for all runs of a process."""

    def __init__(
        self,
        *,
        events: EventPort,
        live: LiveRuns,
        observers: RunObservers,
        calls: CallCounter | None,
        max_seconds: float,
        let_go: Callable[[str], None],
    ) -> None:
        """`max_seconds` of one run that no other run contains; 0 means as long as it takes. `let_go` is told of runs whose
        end could not be kept."""
        self._events = events
        self._live = live
        self._observers = observers
        self._calls = calls
        self._max_seconds = max_seconds
        self._let_go = let_go

    async def run(self, run: OneRun, on_event: OnEvent) -> InvocationResult:
        """Returns after everything about the run is committed. Raises what `InvocationService.invoke` raises."""
        try:
            return await self._run(run, on_event)
        except LeaseLost as error:
            run_id = run.identity.run_id
            logger.warning("Run %s is no longer this process's: another one goes on with it, or it has ended there", run_id)
            run.record.drop()
            if isinstance(error, WrittenBefore) and run.parent is None and self._live.find(run_id) is None:
                self._let_go(run_id)
            raise Unavailable(f"The run {run_id} goes on in another process, or has ended there.") from None
        except DatabaseUnavailable as error:
            # It goes on, or is ended, as soon as the database can be written again.
            run.record.drop()
            if run.parent is None:
                self._let_go(run.identity.run_id)
            raise Unavailable(f"What the run {run.identity.run_id} gave cannot be kept now; try again shortly.") from error

    async def _run(self, run: OneRun, on_event: OnEvent) -> InvocationResult:
        """Raises LeaseLost and DatabaseUnavailable too."""
        identity, record = run.identity, run.record
        scope = asyncio.timeout(self._max_seconds or None if run.parent is None else None)
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
                await live.end()
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
        except (DatabaseUnavailable, LeaseLost):
            raise
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
                    allowed = f"{self._max_seconds:g} s, which HEADWATER_MAX_RUN_SECONDS allows"
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
        keeps_build = run.invocation.keeps_builds
        record, topic, events, graph, vertices = run.record, run_topic(run.identity.run_id), self._events, run.graph, run.live.vertices
        is_for_hook = run.identity.kind == "webhook"

        async def follow(event: RunEvent) -> None:
            run.note(event)
            match event:
                case VertexFinished(result=result) | VertexFailed(result=result):
                    edges = graph.outgoing.get(result.vertex_id, ())
                    fed = {edge.field for edge in graph.incoming.get(result.vertex_id, ())}
                    listed = graph.vertices[result.vertex_id].outputs
                    record.add_vertex(
                        result,
                        target_id=edges[0].target if edges else None,
                        fed=fed,
                        first_output=listed[0].name if listed else "error",
                        keeps_build=keeps_build,
                    )
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
            if is_for_hook:
                self._tell_followers_of_hook(run, event)
            if on_event is not ignore:
                await run.tell(event)

        return follow
