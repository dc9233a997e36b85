"""Builds: runs that somebody follows vertex by vertex, from the graph that is stored or from one sent along, whole or in part.

Above: the build routes, which say how an event looks. Below: `invocation.py` runs. What a build tells is kept for some minutes after its
end, so that it can be read again from the start.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from types import TracebackType
from typing import Protocol, Self
from uuid import NAMESPACE_DNS, uuid5

from projects.access.caller import Caller, Credential
from projects.custom_code.policy import policy_of
from projects.engine import schedule
from projects.engine.events import OnEvent, RunEvent, VertexFailed, VertexFinished, VertexResult, ignore
from projects.engine.graph import Graph
from projects.errors import ComponentFailed, FieldProblem, HeadwaterError, InvalidInput, NotFound, NotPermitted, TooManyRequests
from projects.flows import document
from projects.flows.flow import Flow
from projects.flows.library import FlowLibrary
from projects.flows.prepared import FlowCache, PreparedFlow, decided_alike
from projects.guests import GuestRules
from projects.invocation import Invocation, InvocationResult, InvocationService
from projects.messages import DEFAULT_LIMIT, MessageService, StoredMessage
from projects.rate_limits import Buckets
from projects.runs.background import BackgroundTasks

KEPT_SECONDS = 300.0  # after its end
MAX_BUILD_BYTES = 16 * 1024 * 1024  # what one build may tell
MAX_CHATTER_BYTES = 4 * 1024 * 1024  # from here on, without its tokens and logs: the whole messages still come
MAX_KEPT_BYTES = 64 * 1024 * 1024  # of all builds that have ended
MAX_JOBS = 1_000
COMPILED_LIMIT = 32  # graphs that were sent along
STEPWISE_LIMIT = 200
MAX_CLIENT_ID_LENGTH = 256
_ADDRESS_FACTOR = 5  # people behind one address, whose client ids are as many as they like
_OTHER_VERSION = -1  # of a graph that was sent along: such a run cannot go on later with the stored one


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """`document` is a graph as JSON text, to be built instead of the stored one; `start` and `stop` are vertex ids."""

    input_value: str | None = None
    session_id: str | None = None
    files: tuple[str, ...] = ()
    document: bytes | None = None
    start: str | None = None
    stop: str | None = None
    depth: int = 0
    keeps_builds: bool = True

    def invocation(self, graph: Graph, *, stop: str | None = None) -> Invocation:
        """What the run is asked to do. Raises InvalidInput for a vertex that the graph does not have."""
        for name, id in (("start_component_id", self.start), ("stop_component_id", self.stop)):
            if id is not None and id not in graph.vertices:
                message = f"{name} names {id[:200]!r}, which is no component of this flow."
                raise InvalidInput(message, problems=[FieldProblem(("query", name), message)])
        chats = [vertex.id for vertex in graph.vertices.values() if vertex.is_input and vertex.type == "ChatInput"]
        return Invocation(
            input_value=self.input_value,
            output_type="debug",
            session_id=self.session_id or None,
            arguments={(id, "files"): list(self.files) for id in chats} if self.files else {},
            kind="build",
            depth=self.depth,
            keeps_builds=self.keeps_builds,
            start_vertex=self.start or "",
            stop_vertex=stop or self.stop,
        )


class BuildFrames(Protocol):
    """How a face tells what happens in one build."""

    def of_event(self, event: RunEvent) -> Sequence[bytes]: ...

    def of_end(self, outcome: InvocationResult | HeadwaterError) -> Sequence[bytes]:
        """The last frames."""
        ...


MakeFrames = Callable[[PreparedFlow, str], BuildFrames]
"""Of the flow, and the flow id that people are shown."""


class BuildJob:
    """One build and what it has told so far. Its id is the run's."""

    def __init__(self, reader: str, caller: Caller, flow_id: str) -> None:
        self.id = ""
        self.reader = reader  # who may read and cancel it
        self.caller = caller  # for whom it runs
        self.flow_id = flow_id
        self.is_over = False
        self.size_bytes = 0
        self.polled = 0  # frames that polls have brought
        self.followers = 0
        self._frames: list[bytes] = []
        self._news = asyncio.Event()

    def add(self, frames: Sequence[bytes], *, is_chatter: bool = False, is_end: bool = False) -> None:
        """Past the bounds only the end is kept."""
        if not is_end and self.size_bytes > (MAX_CHATTER_BYTES if is_chatter else MAX_BUILD_BYTES):
            return
        self._frames += frames
        self.size_bytes += sum(map(len, frames))
        self._wake()

    def end(self) -> None:
        self.is_over = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def read(self, position: int) -> list[bytes]:
        """Everything told from there on."""
        return self._frames[position:]

    async def next(self, position: int) -> list[bytes]:
        """The same, waiting until there is something; empty when the build is over and everything was read."""
        while not (found := self._frames[position:]) and not self.is_over:
            await self._news.wait()
        return found

    async def poll(self, seconds: float, position: int | None = None) -> tuple[list[bytes], int]:
        """What is new since the last poll, or from a position, and the position after it; waits at most so long for a first frame."""
        begin = self.polled if position is None else position
        try:
            async with asyncio.timeout(seconds):
                found = await self.next(begin)
        except TimeoutError:
            found = []
        after = begin + len(found)
        if position is None:
            self.polled = max(self.polled, after)
        return found, after


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who builds a public flow without being its owner: a browser by the id it keeps, or a user."""

    name: str  # "client:<id>" or "user:<id>"
    address: str = ""

    def space(self, flow_id: str) -> str:
        """A flow id of the visitor's own, which all its sessions of this flow begin with."""
        return str(uuid5(NAMESPACE_DNS, f"{self.name}_{flow_id}"))


@dataclass(slots=True)
class Stepwise:
    """A flow that a client builds vertex by vertex, each with a request of its own."""

    prepared: PreparedFlow
    run_id: str
    order: schedule.Order
    results: dict[str, VertexResult] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VertexOutcome:
    """One vertex built alone."""

    result: VertexResult
    next: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


class BuildService:
    """Enter it once, inside the invocations: the builds of this process live as long as it does."""

    def __init__(
        self,
        *,
        invocations: InvocationService,
        library: FlowLibrary,
        flows: FlowCache,
        registry: document.ComponentSource,
        guests: GuestRules,
        messages: MessageService,
        public_builds_per_minute: int = 20,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._invocations = invocations
        self._library = library
        self._flows = flows
        self._registry = registry
        self._guests = guests
        self._messages = messages
        self._visitors = Buckets(public_builds_per_minute, clock=clock)
        self._addresses = Buckets(public_builds_per_minute * _ADDRESS_FACTOR, clock=clock)
        self._jobs: OrderedDict[str, BuildJob] = OrderedDict()
        self._compiled: OrderedDict[tuple[str, bytes], PreparedFlow] = OrderedDict()
        self._stepwise: OrderedDict[tuple[str, str], Stepwise] = OrderedDict()
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._tasks.__aexit__(kind, error, traceback)

    @property
    def active_count(self) -> int:
        return sum(not job.is_over for job in self._jobs.values())

    # --- builds of people who are known

    async def start(
        self, caller: Caller, flow_id: str, request: BuildRequest, make_frames: MakeFrames, *, is_followed: bool = False
    ) -> BuildJob:
        """Begin to build the caller's flow, or the stored graph of somebody's public one, as a visitor.

        `is_followed`: whoever asked follows from the first event on. Else the build is visible at once and goes on by itself.
        Raises NotFound, InvalidInput, Unavailable, TooManyRequests.
        """
        try:
            prepared = await self._flows.resolve(caller.user_id, flow_id)
        except NotFound:
            visitor = Visitor(f"user:{caller.user_id}")
            return await self._visit(visitor, flow_id, request, make_frames, reader=_own(caller), is_followed=is_followed)
        if request.document is not None:
            prepared = await self._prepare(prepared, request.document)
        job = BuildJob(_own(caller), caller, prepared.flow.id)
        invocation = request.invocation(prepared.graph)
        return await self._begin(job, prepared, invocation, make_frames(prepared, prepared.flow.id), is_followed=is_followed)

    def has_job(self, job_id: str) -> bool:
        """Whether a build of that id, whosever it is, lives in this process."""
        return job_id in self._jobs

    def get(self, caller: Caller, job_id: str) -> BuildJob:
        """Raises NotFound, also for somebody else's."""
        return self._get(_own(caller), job_id)

    # --- builds of public flows by anybody

    async def start_public(
        self, visitor: Visitor, flow_id: str, request: BuildRequest, make_frames: MakeFrames, *, is_followed: bool = False
    ) -> BuildJob:
        """Begin to build the stored graph of a public flow. Raises NotFound, NotPermitted, InvalidInput, TooManyRequests, Unavailable."""
        return await self._visit(visitor, flow_id, request, make_frames, reader=visitor.name, is_followed=is_followed)

    def get_public(self, visitor: Visitor, job_id: str) -> BuildJob:
        return self._get(visitor.name, job_id)

    async def list_visit(
        self, caller: Caller, flow_id: str, *, session_id: str | None, limit: int | None, offset: int
    ) -> tuple[list[StoredMessage], str]:
        """What a user said to a public flow as a visitor, oldest first, and the visitor's space. Nothing for a flow that is not public."""
        space = Visitor(f"user:{caller.user_id}").space(flow_id)
        try:
            flow = await self._library.get_public(flow_id)
        except NotFound:
            return [], space
        wanted = None if session_id is None else session_id if session_id.startswith(space) else f"{space}:{session_id}"
        found = await self._messages.list_visit(
            flow.owner_id, flow.id, space, session_id=wanted, limit=limit if limit is not None else DEFAULT_LIMIT, offset=offset
        )
        return found, space

    async def can_visit(self, flow: Flow) -> bool:
        """Whether visitors may run this public flow."""
        return await self._guests.refusal(flow.owner_id, await self._flows.prepare(flow)) is None

    async def _visit(
        self, visitor: Visitor, flow_id: str, request: BuildRequest, make_frames: MakeFrames, *, reader: str, is_followed: bool
    ) -> BuildJob:
        """A run for a guest: in sessions of the visitor's own, and without anything else of the owner's."""
        flow = await self._library.get_public(flow_id)
        prepared = await self._flows.prepare(flow)
        self._admit(visitor, flow.id)
        if await self._guests.refusal(flow.owner_id, prepared) is not None:
            raise NotPermitted("This flow cannot be run by visitors: it needs its author's code, secrets or other things of its owner's.")
        if wrong := next((path for path in request.files if not path.startswith(f"{flow.id}/")), None):
            raise NotPermitted(f"Files of a public flow are its own, {flow.id}/<name>; {wrong[:200]!r} is not.")
        space = visitor.space(flow.id)
        asked = request.session_id or ""
        session_id = asked if not asked or asked == space or asked.startswith(f"{space}:") else f"{space}:{asked}"
        request = replace(request, session_id=session_id or space, document=None)
        guest = Caller(flow.owner_id, "", False, Credential.GUEST, f"public-{flow.id}", flow.project_id, visitor.name)
        job = BuildJob(reader, guest, flow.id)
        invocation = request.invocation(prepared.graph)
        return await self._begin(job, prepared, invocation, make_frames(prepared, space), is_followed=is_followed)

    def _admit(self, visitor: Visitor, flow_id: str) -> None:
        counted = ((self._visitors, f"{visitor.name} {flow_id}"), (self._addresses, f"{visitor.address} {flow_id}"))
        for buckets, name in counted:
            if (seconds := buckets.seconds_until_free(name)) > 0:
                raise TooManyRequests("This public flow was run too often from here; wait a little.", retry_after_seconds=int(seconds) + 1)
        for buckets, name in counted:
            buckets.take(name)

    # --- both

    async def cancel(self, job: BuildJob) -> None:
        """Stop it; one that is over stays as it is."""
        if job.is_over:
            return
        try:
            await self._invocations.cancel(job.caller, job.id)
        except NotFound:
            return  # it ended meanwhile

    def _get(self, reader: str, job_id: str) -> BuildJob:
        job = self._jobs.get(job_id)
        if job is None or job.reader != reader:
            raise NotFound("job", job_id)
        return job

    async def _begin(
        self, job: BuildJob, prepared: PreparedFlow, invocation: Invocation, frames: BuildFrames, *, is_followed: bool
    ) -> BuildJob:
        async def on_event(event: RunEvent) -> None:
            job.add(frames.of_event(event), is_chatter=not isinstance(event, VertexFinished | VertexFailed))

        handle = await self._invocations.open(job.caller, prepared, invocation, on_event=on_event)
        job.id = handle.run_id
        if not is_followed:
            handle.detach()
        self._jobs[job.id] = job
        self._make_room()

        async def follow() -> None:
            try:
                outcome = await handle.wait()
                assert outcome is not None
                job.add(frames.of_end(outcome), is_end=True)
            except HeadwaterError as error:
                job.add(frames.of_end(error), is_end=True)
            except BaseException:
                # Whoever reads is told that it is over; the reason is in the log.
                job.add(frames.of_end(HeadwaterError("The server failed or stopped before the build had ended.")), is_end=True)
                raise
            finally:
                job.end()
                self._make_room()
                asyncio.get_running_loop().call_later(KEPT_SECONDS, self._jobs.pop, job.id, None)

        self._tasks.start_watched(follow(), name=f"build {job.id}")
        return job

    def _make_room(self) -> None:
        """Builds that are over go, the oldest first, when there are too many or they hold too much."""
        over = [job for job in self._jobs.values() if job.is_over]
        kept_bytes = sum(job.size_bytes for job in over)
        for job in over:
            if len(self._jobs) <= MAX_JOBS and kept_bytes <= MAX_KEPT_BYTES:
                return
            del self._jobs[job.id]
            kept_bytes -= job.size_bytes

    async def _prepare(self, stored: PreparedFlow, text: bytes) -> PreparedFlow:
        """A graph that was sent along, by the rules for stored ones. The same text again is the same graph, with its frozen results."""
        key = (stored.flow.id, hashlib.sha256(text).digest())
        prepared = self._compiled.get(key)
        if prepared is None or not decided_alike(prepared.report, policy_of(self._registry)):
            compiled = await document.read_and_compile(text, self._registry)
            prepared = PreparedFlow(replace(stored.flow, version=_OTHER_VERSION), compiled.graph, compiled.report)
            self._compiled[key] = prepared
            if len(self._compiled) > COMPILED_LIMIT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(key)
        return prepared

    # --- vertex by vertex, as older clients do

    async def plan_steps(self, caller: Caller, flow_id: str, request: BuildRequest, run_id: str) -> Stepwise:
        """Begin anew to build a flow step by step: what is to be built, in which order. Raises NotFound, InvalidInput."""
        prepared = await self._flows.resolve(caller.user_id, flow_id)
        if request.document is not None:
            prepared = await self._prepare(prepared, request.document)
        invocation = request.invocation(prepared.graph)
        ids = schedule.run_set(prepared.graph, invocation.start_vertex, invocation.stop_vertex)
        steps = Stepwise(prepared, run_id, schedule.order_of(prepared.graph, ids, request.start))
        self._keep_steps((caller.user_id, prepared.flow.id), steps)
        return steps

    async def build_vertex(
        self, caller: Caller, flow_id: str, vertex_id: str, request: BuildRequest, *, on_event: OnEvent = ignore
    ) -> tuple[Stepwise, VertexOutcome]:
        """Build one vertex, and first whatever it needs that was not built yet; what was built stays as it is.

        Raises NotFound, also for a vertex; a failing vertex is an outcome.
        """
        prepared = await self._flows.resolve(caller.user_id, flow_id)
        key = (caller.user_id, prepared.flow.id)
        steps = self._stepwise.get(key)
        if steps is None:
            steps = Stepwise(prepared, "", schedule.order_of(prepared.graph, prepared.graph.vertices.keys()))
            self._keep_steps(key, steps)
        graph = steps.prepared.graph
        if vertex_id not in graph.vertices:
            raise NotFound("vertex", vertex_id)
        steps.results.pop(vertex_id, None)
        last: list[VertexOutcome] = []

        async def keep(event: RunEvent) -> None:
            await on_event(event)
            match event:
                case VertexFinished(result=result):
                    steps.results[result.vertex_id] = result
                    if result.vertex_id == vertex_id:
                        last.append(VertexOutcome(result, excluded=event.excluded))
                case VertexFailed(result=result):
                    last.append(VertexOutcome(result))
                case _:
                    pass

        invocation = request.invocation(graph, stop=vertex_id)
        handle = await self._invocations.open(caller, steps.prepared, invocation, on_event=keep, given=dict(steps.results))
        try:
            await handle.wait()
        except ComponentFailed:
            if not last:
                raise
        if not last:
            # A router switched it off, or it waits for a person.
            raise InvalidInput(f"The component {vertex_id!r} did not run: what it needs took another way, or waits for a person.")
        outcome = last[-1]
        if outcome.result.error is None:
            waiting = {edge.target for edge in graph.outgoing[vertex_id] if not edge.is_loop}
            ready = (
                id
                for id in graph.vertices
                if id in waiting and all(edge.source in steps.results for edge in graph.incoming[id] if not edge.is_loop)
            )
            outcome = replace(outcome, next=tuple(id for id in ready if id not in outcome.excluded))
        return steps, outcome

    def _keep_steps(self, key: tuple[str, str], steps: Stepwise) -> None:
        self._stepwise[key] = steps
        self._stepwise.move_to_end(key)
        if len(self._stepwise) > STEPWISE_LIMIT:
            self._stepwise.popitem(last=False)


def _own(caller: Caller) -> str:
    return f"own:{caller.user_id}"
