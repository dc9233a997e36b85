"""One run on its way: what it runs, how far it is, and what it takes to go on with it in another process.

Above: `invocation.py` makes one for each run. Below: its record and its view of the world.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from projects.engine import snapshot
from projects.engine.events import InnerEvent, OnEvent, RunEvent, VertexFinished, VertexResult, VertexStarted, ignore
from projects.engine.graph import Graph
from projects.engine.questions import Question
from projects.engine.steps import Steps
from projects.run_context import RunView
from projects.runs import checkpoint as checkpoints
from projects.runs.checkpoint import Checkpoint
from projects.runs.live import LiveRun
from projects.runs.record import RunIdentity, RunRecord, RunState
from projects.runs.request import Invocation, InvocationResult
from projects.runs.waiting import WaitingRun

logger = logging.getLogger(__name__)

RETRY_TAG = "retry:"
MAX_RETRIES = 20


class OneRun:
    """One run on its way: everything that running it needs, made by `InvocationService`."""

    def __init__(
        self,
        identity: RunIdentity,
        invocation: Invocation,
        graph: Graph,
        values: Mapping[str, Mapping[str, Any]],
        record: RunRecord,
        context: RunView,
        steps: Steps,
        seal: Callable[[Invocation], str],
        tags: Sequence[str],
    ) -> None:
        self.identity = identity
        self.invocation = invocation
        self.graph = graph
        self.values = values
        self.record = record
        self.context = context
        self.steps = steps
        self._seal = seal
        self.on_event: OnEvent = ignore  # keeps and publishes an event, and tells the listener
        self.listener: OnEvent = ignore
        self.parent: OneRun | None = None  # the run that this one is a step of
        self.is_followed = True  # False: nobody waits for it, only the end of the process can cut it off
        self.is_detached = False
        self.has_lost_its_listener = False
        self.live: LiveRun | None = None
        self.attempt = 1
        self.token_usage: dict[str, int] | None = None
        self.given: Mapping[str, VertexResult] = {}
        self.absent: tuple[str, ...] = ()
        self.notified: list[tuple[str, Any]] = []
        self.is_durable = False  # its row says all that it takes to go on with it in another process
        self.finished: dict[str, VertexResult] = {}  # steps of this run, in the order in which they finished
        self.begun: set[str] = set()
        self.cut_offs = 0
        self.failures = 0
        self.retries = retries_of(tags)

    async def tell(self, event: RunEvent) -> None:
        """Who listens may end the run by failing, until it is detached: then it is no longer theirs."""
        if self.listener is ignore or self.has_lost_its_listener:
            return
        try:
            await self.listener(event)
        except Exception:
            if not self.is_detached:
                raise
            self.has_lost_its_listener = True
            logger.debug("Nobody listens to run %s any more", self.identity.run_id, exc_info=True)

    def begins_anew(self) -> bool:
        """Whether the run that this one is a step of goes on in another process when it is cut off, and then runs the step again."""
        run = self
        while run.parent is not None:
            run = run.parent
        return run is not self and run.is_durable

    def go_on(self, waiting: WaitingRun) -> None:
        """Begin where the run began to wait, or where it was cut off."""
        checkpoint = waiting.checkpoint
        self.attempt = waiting.attempt
        self.is_durable = True
        self.is_followed = not waiting.is_taken
        self.cut_offs, self.failures = checkpoint.cut_offs, checkpoint.failures
        order = {id: position for position, id in enumerate(checkpoint.finished)}
        self.given = dict(sorted(waiting.results.items(), key=lambda item: order.get(item[0], len(order))))
        # What could not be kept is run again where something that has not run yet reads it.
        self.absent = tuple(
            id
            for id in checkpoint.finished
            if id not in self.given
            and id in self.graph.outgoing
            and self.graph.outgoing[id]
            and all(edge.target in self.given for edge in self.graph.outgoing[id])
        )
        self.notified = checkpoint.notified
        self.steps.taken = checkpoint.steps
        self.context.go_on(checkpoint)
        self.finished = {id: VertexResult(id, "", "") for id in checkpoint.finished} | self.given
        for warning in checkpoints.warnings_from_text(waiting.row.warnings):
            self.record.warn(warning)
        if again := [id for id in checkpoint.begun if id in self.graph.vertices and id not in self.finished]:
            self.record.warn(f"The run was cut off; attempt {self.attempt} runs again what had begun: {', '.join(again)}.")

    def note(self, event: RunEvent) -> None:
        """Know what has begun and what has finished."""
        match event:
            case VertexStarted(vertex_id=id) if id not in self.finished:
                self.begun.add(id)
            case VertexFinished(result=result, is_step=is_step, next=ready, notified=notified):
                self.begun.discard(result.vertex_id)
                if is_step:
                    self.finished[result.vertex_id] = result
                    self.begun.update(ready)
                    self.notified = list(notified)
            case _:
                pass

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(
            state=self.context.state,
            steps=self.steps.taken,
            answers=dict(self.context.answers),
            memories=dict(self.context.memories),
            finished=list(self.finished),
            notified=self.notified,
            message_ids=self.context.kept_message_ids,
            begun=sorted(self.begun),
            cut_offs=self.cut_offs,
            failures=self.failures,
        )

    def sealed_request(self) -> str:
        """Raises `snapshot.CannotKeep`."""
        return self._seal(replace(self.invocation, session_id=self.identity.session_id))

    def result(self, outputs: tuple[VertexResult, ...], state: RunState, *, questions: tuple[Question, ...] = ()) -> InvocationResult:
        return InvocationResult(
            run_id=self.identity.run_id,
            flow_id=self.identity.flow_id,
            session_id=self.identity.session_id,
            input_value=self.invocation.input_value,
            outputs=outputs,
            vertices=self.graph.vertices,
            warnings=self.record.warnings,
            state=state,
            questions=questions,
            token_usage=self.token_usage,
        )

    def keep_request(self) -> None:
        """Before the run is accepted: have its row say from the start all that it takes to begin it again in another process."""
        try:
            self.record.keep_request(self.sealed_request())
            self.is_durable = True
        except snapshot.CannotKeep as error:
            self.record.warn(f"This run ends with its process: it holds what cannot be kept ({error}).")

    def detach(self) -> None:
        """Nobody waits for it any more: it is written at once, so that it can be found, and gone on with when this process ends."""
        self.is_detached = True
        self.is_followed = False
        # What a build tells is in its process alone, so it ends with it.
        if not self.is_durable and self.parent is None and self.identity.kind != "build":
            try:
                self.record.make_durable(self.sealed_request(), self.checkpoint().to_text(), self.finished.values())
                self.is_durable = True
            except snapshot.CannotKeep as error:
                self.record.warn(f"This run ends with its process: it holds what cannot be kept ({error}).")
        self.record.show()


def retries_of(tags: Sequence[str]) -> int:
    """How often the flow's author wants a run in the background to be tried again when it fails: a tag such as `retry:3`."""
    wanted = (tag.removeprefix(RETRY_TAG).strip() for tag in tags if tag.startswith(RETRY_TAG))
    return min(max((int(count) for count in wanted if count.isascii() and count.isdigit() and len(count) < 4), default=0), MAX_RETRIES)


def sum_of_tokens(results: Iterable[VertexResult]) -> dict[str, int] | None:
    """None when no model was asked."""
    total: dict[str, int] = {}
    for result in results:
        if result.token_usage and not result.used_frozen_result:
            for name, count in result.token_usage.items():
                total[name] = total.get(name, 0) + count
    return total or None


def told_inside(parent: OneRun, child: OneRun) -> OnEvent:
    """A child's events reach who listens to its parent as what happens inside a vertex; nobody listening costs nothing."""
    if parent.listener is ignore:
        return ignore
    run_id, flow_name = child.identity.run_id, child.context.flow_name

    async def tell(event: RunEvent) -> None:
        await parent.tell(event if isinstance(event, InnerEvent) else InnerEvent(run_id, flow_name, event))

    return tell
