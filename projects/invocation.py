"""The one door: every run of a flow, whoever asks for it, goes through `InvocationService`.

Above: tools (MCP), REST handlers, background runs. Below: prepared flows, the engine, the run's record.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from projects.access.caller import Caller
from projects.engine import runner
from projects.engine.events import (
    OnEvent,
    RunEvent,
    VertexFailed,
    VertexFinished,
    VertexResult,
    Warned,
    ignore,
)
from projects.engine.graph import Graph, Vertex
from projects.engine.steps import DEFAULT_STEPS, Steps
from projects.engine.values import jsonable
from projects.errors import (
    ComponentFailed,
    ConflictingInput,
    FlowCannotRun,
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
from projects.run_context import ChildRequest, RunView, Surroundings
from projects.run_resources import RunResources
from projects.runs.background import BackgroundTasks
from projects.runs.events import EventPort, run_topic
from projects.runs.record import RunIdentity, RunRecord, RunState
from projects.variables import VariableService
from storage.ids import new_id
from storage.run_writer import RunWriter

logger = logging.getLogger(__name__)

InputType: TypeAlias = Literal["chat", "text", "any"]
OutputType: TypeAlias = Literal["chat", "text", "any", "debug"]
RunKind: TypeAlias = Literal["call", "tool", "webhook", "background"]

MAX_SESSION_LENGTH = 1_000


@dataclass(frozen=True, slots=True)
class RunSettings:
    """`environment` is what flows may read of the process environment: the names that the operator listed, with their values."""

    environment: Mapping[str, str] = field(default_factory=dict)
    max_running: int = 256  # runs at once in this process; more are refused
    max_steps: int = DEFAULT_STEPS  # of one run, with its loops and the flows it runs
    max_depth: int = 8  # flows that run each other
    visible_after_seconds: float = 0.05
    process_id: str = field(default_factory=lambda: f"{os.getpid()}-{new_id()[-12:]}")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request to run a flow, whatever face it came through.

    `input_value` None leaves stored values alone. `arguments` maps (vertex id, field) → value and is what a tool call fills in.
    """

    input_value: str | None = None
    input_type: InputType = "chat"
    output_type: OutputType = "chat"
    output_component: str = ""
    tweaks: Mapping[str, Any] | None = None
    session_id: str | None = None
    arguments: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    request_variables: Mapping[str, str] = field(default_factory=dict)  # upper-case names
    kind: RunKind = "call"
    webhook_body: str | None = None
    project_id: str | None = None
    depth: int = 0  # runs above this one whose flows called it by way of the network


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """`outputs` are the vertices the caller asked for, in file order; `input_value` is what was injected, if anything."""

    run_id: str
    flow_id: str
    session_id: str
    input_value: str | None
    outputs: tuple[VertexResult, ...]
    vertices: Mapping[str, Vertex]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Running:
    owner_id: str
    scope: asyncio.Timeout  # without a time: it is the way to cancel a run and not the task that waits for it


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
    ) -> None:
        self._flows = flows
        self._variables = variables
        self._surroundings = Surroundings(messages, variables, flows, resources, settings.environment)
        self._writer = writer
        self._events = events
        self._settings = settings
        self._running: dict[str, _Running] = {}
        self._background = BackgroundTasks()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._background.__aexit__(kind, error, traceback)

    @property
    def running_count(self) -> int:
        return len(self._running)

    async def wait_until_idle(self) -> None:
        """Until every run in the background has ended."""
        await self._background.wait_until_idle()

    async def invoke(self, caller: Caller, flow_id_or_name: str, invocation: Invocation, *, on_event: OnEvent = ignore) -> InvocationResult:
        """Run the flow and wait for its end. Returns after everything about the run is committed.

        Raises NotFound, TweaksRefused, ConflictingInput, FlowCannotRun, ComponentFailed, RunCancelled, Unavailable.
        """
        prepared = await self._flows.resolve(caller.user_id, flow_id_or_name)
        run = await self._prepare(caller, prepared, invocation)
        run.record.begin()
        return await self._run(run, on_event)

    async def invoke_prepared(
        self, caller: Caller, prepared: PreparedFlow, invocation: Invocation, *, on_event: OnEvent = ignore
    ) -> InvocationResult:
        """`invoke` for a caller that already holds the flow (a tool call)."""
        run = await self._prepare(caller, prepared, invocation)
        run.record.begin()
        return await self._run(run, on_event)

    async def start(self, caller: Caller, flow_id_or_name: str, invocation: Invocation) -> str:
        """Run the flow in the background; returns the run's id once the run is committed. It goes on when the caller leaves."""
        prepared = await self._flows.resolve(caller.user_id, flow_id_or_name)
        run = await self._prepare(caller, prepared, invocation)
        run.is_followed = False
        await run.record.accept(RunState.RUNNING)
        run.record.begin()
        self._background.start(self._run_quietly(run), name=f"run {run.identity.run_id}")
        return run.identity.run_id

    async def cancel(self, caller: Caller, run_id: str) -> None:
        """Ask a run of the caller's to stop; it ends as `cancelled`. A run that is not running here is NotFound."""
        running = self._running.get(run_id)
        if running is None or running.owner_id != caller.user_id:
            raise NotFound("run", run_id)
        running.scope.reschedule(asyncio.get_running_loop().time())

    async def _prepare(self, caller: Caller, prepared: PreparedFlow, invocation: Invocation, *, parent: "_Run | None" = None) -> "_Run":
        # A run that has begun is let finish what it needs: its children count, and are never refused.
        if parent is None and len(self._running) >= self._settings.max_running:
            raise Unavailable(f"{len(self._running)} runs are already going on here; try again shortly.")
        session_id = invocation.session_id or prepared.flow.id
        _check_session(session_id)
        graph = prepared.graph
        warnings: list[str] = []
        tweaks = invocation.tweaks
        if invocation.webhook_body is not None:
            tweaks = {id: {"data": invocation.webhook_body} for id in graph.vertices if "webhook" in id.lower()}
        if tweaks:
            _check_conflicts(invocation)
            graph, warnings = flow_tweaks.apply_tweaks(graph, tweaks)
        values = _values_for(graph, invocation)
        if defaults := await self._variables.list_defaults(caller.user_id):
            graph = bind_defaults(graph, defaults, filled=values)
        identity = RunIdentity(
            run_id=new_id(),
            owner_id=caller.user_id,
            principal=caller.principal,
            kind=invocation.kind,
            project_id=prepared.flow.project_id,
            flow_id=prepared.flow.id,
            flow_version=prepared.flow.version,
            session_id=session_id,
            process_id=self._settings.process_id,
            created_at=datetime.now(UTC),
        )
        record = RunRecord(identity, self._writer, visible_after_seconds=self._settings.visible_after_seconds)
        for warning in warnings:
            record.warn(warning)
        context = RunView(identity, prepared.flow.name, record, self._surroundings, invocation.request_variables)
        context.max_depth = self._settings.max_depth
        run = _Run(
            identity, invocation, graph, values, record, context, Steps(self._settings.max_steps) if parent is None else parent.steps
        )
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
            return await self._run_child(caller, run, request)

        context.run_child = run_child
        return run

    async def _run_child(self, caller: Caller, parent: "_Run", request: ChildRequest) -> tuple[VertexResult, ...]:
        """A run of its own record, for the same person and with the same variables; it ends when its parent does."""
        invocation = Invocation(
            input_value=request.input_value,
            output_type="any",
            session_id=request.session_id,
            arguments=request.values,
            request_variables=parent.invocation.request_variables,
        )
        child = await self._prepare(caller, request.prepared, invocation, parent=parent)
        child.is_followed = parent.is_followed
        child.record.begin()
        return (await self._run(child, ignore)).outputs

    async def _run_quietly(self, run: "_Run") -> None:
        """A run nobody waits for: how it ended is in its record."""
        try:
            await self._run(run, ignore)
        except HeadwaterError as error:
            logger.info("Run %s ended: %s", run.identity.run_id, error.code)

    async def _run(self, run: "_Run", on_event: OnEvent) -> InvocationResult:
        identity, record = run.identity, run.record
        scope = asyncio.timeout(None)
        self._running[identity.run_id] = _Running(identity.owner_id, scope)
        run.context.on_event = run.on_event = self._follow(run, on_event)
        run.context.is_followed_live = on_event is not ignore
        try:
            async with scope:
                for warning in record.warnings:
                    await run.on_event(Warned(warning))
                outcome = await runner.run_graph(run.graph, context=run.context, on_event=run.on_event, values=run.values, steps=run.steps)
                outputs = _select_outputs(run.graph, outcome.results, run.invocation)
                state = RunState.WAITING if outcome.waiting else RunState.COMPLETED
                shown = {result.vertex_id: {name: jsonable(value) for name, value in result.outputs.items()} for result in outputs}
                await record.finish(state, result={"outputs": shown})
                return InvocationResult(
                    run_id=identity.run_id,
                    flow_id=identity.flow_id,
                    session_id=identity.session_id,
                    input_value=run.invocation.input_value,
                    outputs=outputs,
                    vertices=run.graph.vertices,
                    warnings=record.warnings,
                )
        except ComponentFailed as error:
            error.run_id = identity.run_id
            record.add_message(run.context.error_message(error))
            await record.finish(RunState.FAILED, error=_described(error))
            raise
        except HeadwaterError as error:
            await record.finish(RunState.FAILED, error=_described(error))
            raise
        except asyncio.CancelledError:
            # The task may not wait any more, so the record is handed over.
            if run.is_followed or self._is_parent_cancelled(run):
                record.abandon(
                    RunState.CANCELLED, error={"code": "run_cancelled", "message": "The caller went away before the run finished."}
                )
            else:
                record.abandon(
                    RunState.INTERRUPTED, error={"code": "interrupted", "message": "The server stopped before the run finished."}
                )
            raise
        except BaseException as error:
            if isinstance(error, TimeoutError) and scope.expired():
                cancelled = RunCancelled()
                await record.finish(RunState.CANCELLED, error=_described(cancelled))
                raise cancelled from None
            # A boundary: whatever else goes wrong inside a run, the run still ends in one visible state.
            logger.exception("Run %s failed unexpectedly", identity.run_id)
            record.abandon(RunState.FAILED, error={"code": "internal_error", "message": type(error).__name__})
            raise
        finally:
            del self._running[identity.run_id]

    def _is_parent_cancelled(self, run: "_Run") -> bool:
        """Whether a person stopped one of the runs that this one belongs to."""
        while run.parent is not None:
            run = run.parent
            if (running := self._running.get(run.identity.run_id)) is not None and running.scope.expired():
                return True
        return False

    def _follow(self, run: "_Run", on_event: OnEvent) -> OnEvent:
        """Keep what a finished vertex leaves behind, then pass the event on."""
        record, topic, events, graph = run.record, run_topic(run.identity.run_id), self._events, run.graph

        async def follow(event: RunEvent) -> None:
            match event:
                case VertexFinished(result=result) | VertexFailed(result=result):
                    edges = graph.outgoing.get(result.vertex_id, ())
                    record.add_vertex(result, target_id=edges[0].target if edges else None)
                case Warned(message=message):
                    record.warn(message)
                case _:
                    pass
            events.publish(topic, event)
            if on_event is not ignore:
                await on_event(event)

        return follow


class _Run:
    """One run on its way: everything `_run` needs, made by `_prepare`."""

    def __init__(
        self,
        identity: RunIdentity,
        invocation: Invocation,
        graph: Graph,
        values: Mapping[str, Mapping[str, Any]],
        record: RunRecord,
        context: RunView,
        steps: Steps,
    ) -> None:
        self.identity = identity
        self.invocation = invocation
        self.graph = graph
        self.values = values
        self.record = record
        self.context = context
        self.steps = steps
        self.on_event: OnEvent = ignore
        self.parent: _Run | None = None  # the run that this one is a step of
        self.is_followed = True  # False: nobody waits for it, only the end of the process can cut it off


def _described(error: HeadwaterError) -> dict[str, Any]:
    described: dict[str, Any] = {"code": error.code, "message": error.message}
    match error:
        case ComponentFailed():
            described |= {"component_id": error.component_id, "component_type": error.component_type, "output": error.output}
        case FlowCannotRun():
            described["nodes"] = [{"id": node.node_id, "reason": node.reason, "hint": node.hint} for node in error.nodes]
        case _:
            pass
    return described


def _check_session(session_id: str) -> None:
    if len(session_id) > MAX_SESSION_LENGTH or "\x00" in session_id:
        raise InvalidInput(f"session_id must be at most {MAX_SESSION_LENGTH} characters and hold no NUL character.")


_INPUT_TYPES = {"chat": ("ChatInput",), "text": ("TextInput",)}
_CONFLICTING_KEYS = {"chat": ("ChatInput", "Chat Input"), "text": ("TextInput", "Text Input")}


def _check_conflicts(invocation: Invocation) -> None:
    """The same input given twice, as the run's input and as a tweak of the input's own field, is refused rather than guessed."""
    if invocation.input_value is None or invocation.tweaks is None:
        return
    names = _CONFLICTING_KEYS.get(invocation.input_type, ())
    for key, change in invocation.tweaks.items():
        if isinstance(change, Mapping) and change.get("input_value") is not None and any(name in key for name in names):
            raise ConflictingInput(f"input_value is given twice: in the request and as a tweak of {key!r}. Send it once.")


def _values_for(graph: Graph, invocation: Invocation) -> dict[str, dict[str, Any]]:
    """Vertex id → field → value: the run's input for every input vertex of its type, then the tool's arguments."""
    values: dict[str, dict[str, Any]] = {}
    if invocation.input_value is not None:
        types = _INPUT_TYPES.get(invocation.input_type)
        for vertex in graph.vertices.values():
            if vertex.is_input and (types is None or vertex.type in types) and "input_value" in vertex.fields:
                values[vertex.id] = {"input_value": invocation.input_value}
    for (vertex_id, name), value in invocation.arguments.items():
        values.setdefault(vertex_id, {})[name] = value
    return values


def _select_outputs(graph: Graph, results: Mapping[str, VertexResult], invocation: Invocation) -> tuple[VertexResult, ...]:
    """The vertices a caller asked for, as the Langflow API has it: the named one, those whose id holds the type, else every output."""
    if wanted := invocation.output_component:
        chosen = [id for id, vertex in graph.vertices.items() if wanted in (id, vertex.display_name)]
    elif invocation.output_type == "debug":
        chosen = list(graph.vertices)
    else:
        outputs = [id for id, vertex in graph.vertices.items() if vertex.is_output]
        chosen = [id for id in outputs if invocation.output_type == "any" or invocation.output_type in id.lower()] or outputs
    return tuple(results[id] for id in chosen if id in results)
