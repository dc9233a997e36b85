"""Runs a graph: builds each vertex when `schedule` allows it, and tells what happens through `on_event`.

Above: `invocation.py`. Below: `schedule.py` decides, components compute. Independent vertices run at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter
from types import MappingProxyType
from typing import Any, NoReturn

from projects.engine import coercion, frozen, schedule, tool_mode
from projects.engine.coercion import CoercionError, Convert
from projects.engine.component import NOTIFIED, Component, ComponentError, Input, InputKind, Output, PauseRun, SourceInfo, VertexInfo
from projects.engine.context import RunContext, current_step
from projects.engine.events import LogAdded, OnEvent, RunStarted, VertexFailed, VertexFinished, VertexResult, VertexStarted, ignore
from projects.engine.graph import Edge, Field, Graph, Vertex
from projects.engine.questions import Question
from projects.engine.steps import Steps
from projects.engine.tools import Tool, ToolFailed
from projects.engine.values import Message
from projects.errors import ComponentFailed, FlowCannotRun, HeadwaterError, LimitReached, NodeProblem, ProviderFailed

MASK = "*****"
_TURNS_BEFORE_YIELDING = 32  # vertices run in a row before other work of the process gets its turn
_PLANS_PER_GRAPH = 8
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_BLANK_MEANS_DEFAULT = frozenset((InputKind.INTEGER, InputKind.NUMBER, InputKind.BOOLEAN))


@dataclass(slots=True)
class RunResult:
    """`results` in file order, only vertices that ran or were given. The rest is there when a component paused the run."""

    results: dict[str, VertexResult]
    questions: tuple[Question, ...] = ()  # what the run waits for, in the order of the vertices
    memories: dict[str, Any] = field(default_factory=dict)  # what the paused vertices want to know again
    notified: list[tuple[str, Any]] = field(default_factory=list)  # what listeners have not been told yet

    @property
    def waiting(self) -> bool:
        return bool(self.questions)


async def run_graph(
    graph: Graph,
    *,
    context: RunContext,
    on_event: OnEvent = ignore,
    values: Mapping[str, Mapping[str, Any]] = _NOTHING,
    start: str | None = None,
    stop: str | None = None,
    given: Mapping[str, VertexResult] = _NOTHING,
    absent: Collection[str] = (),
    notified: Sequence[tuple[str, Any]] = (),
    steps: Steps | None = None,
) -> RunResult:
    """Run what `start` (by default the graph's own start) needs, up to `stop`.

    `values` are put into fields: they win over what is stored and lose to an edge. `given` vertices are not run again, nor are `absent`
    ones, which have no result. `notified` is what listeners are still to be told.
    `steps` is shared with what else belongs to the same run. Raises FlowCannotRun before anything starts, LimitReached when the steps
    are used up, ComponentFailed after the event; when it ends, however it ends, no task is left.
    """
    if start is None and stop is None:
        start = schedule.default_start(graph)
    plan = _plan(graph, start, stop)
    if plan.problems:
        _refuse(plan.problems)
    run = _Run(plan, context, on_event, values, given, steps if steps is not None else Steps(), absent=absent)
    run.notified.extend(notified)
    result = await run.run()
    if result.waiting:
        result.notified = run.notified
    elif run.notified:
        await _tell_listeners(graph, run, result)
    return result


def _refuse(problems: tuple[NodeProblem, ...]) -> NoReturn:
    named = "; ".join(f"{problem.display_name} ({problem.node_id}): {problem.reason} {problem.hint}".rstrip() for problem in problems[:10])
    more = f" … and {len(problems) - 10} more" if len(problems) > 10 else ""
    raise FlowCannotRun(f"This flow cannot run here. {named}{more}", nodes=problems)


# --- the plan: everything about a run that is the same every time -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fed:
    """A field with edges: the sources in file order, how to read what they carry, and what counts when all are excluded."""

    name: str
    display_name: str
    sources: tuple[tuple[int, str], ...]  # (position, output)
    convert: Convert | None
    is_list: bool
    default: Any


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An output to compute: the name edges know it by, and the component's method."""

    name: str
    method: str


@dataclass(frozen=True, slots=True)
class _FromVariable:
    field: Field
    convert: Convert | None
    falls_back: bool  # without a value the component's own default stays


@dataclass(frozen=True, slots=True)
class _Body:
    """What a loop runs for each row: the plan of its body, where the rest comes from, and which result is the row's."""

    plan: _Plan
    given: tuple[str, ...]
    feedback: tuple[Edge, ...]
    state_of: tuple[str, ...]  # beginnings of what its vertices keep in the run's state


@dataclass(frozen=True, slots=True)
class _Step:
    """One vertex of the plan."""

    vertex: Vertex
    component: type[Component]
    info: VertexInfo
    inputs: Mapping[str, Any]  # defaults and stored values, coerced
    to_copy: tuple[str, ...]  # inputs that a component could change for the next run
    unreadable: CoercionError | None
    variables: tuple[_FromVariable, ...]
    fed: tuple[_Fed, ...]
    fed_names: frozenset[str]
    takes_session: bool
    outputs: tuple[_Wanted, ...]
    unknown_output: str | None
    renamed: Mapping[str, str]  # the component's name of an output → the document's, where they differ
    secrets: tuple[str, ...]
    gives_tools: bool
    body: _Body | None


@dataclass(frozen=True, slots=True)
class _Plan:
    order: schedule.Order
    steps: tuple[_Step, ...]
    problems: tuple[NodeProblem, ...]
    started: RunStarted
    frozen_results: dict[tuple[str, bytes], VertexResult]


def _plan(graph: Graph, start: str | None, stop: str | None) -> _Plan:
    """The plan of this graph and these ends, kept with the graph."""
    plans: dict[tuple[str | None, str | None], _Plan] = graph.__dict__.setdefault("_plans", {})
    plan = plans.get((start, stop))
    if plan is None:
        if len(plans) >= _PLANS_PER_GRAPH:
            del plans[next(iter(plans))]
        plan = plans[start, stop] = _make_plan(graph, start, stop)
    return plan


def _make_plan(graph: Graph, start: str | None, stop: str | None) -> _Plan:
    ids = schedule.run_set(graph, start, stop)
    if any(component.notifies for id in ids if (component := graph.vertices[id].component) is not None):
        # What listens runs when it is told to, and all that is behind it then too.
        listeners = {id for id in ids if _listens(graph.vertices[id]) and id not in (start, stop)}
        ids -= schedule.behind(graph, listeners)
        problems = tuple(
            problem for id, vertex in graph.vertices.items() if _listens(vertex) for problem in _listener_plan(graph, id).problems
        )
        if problems:
            return replace(_plan_of(graph, (), None, {}, has_results=()), problems=tuple(dict.fromkeys(problems)))
    return _plan_of(graph, ids, start, graph.__dict__.setdefault("_frozen_results", {}), has_results=())


def _listener_plan(graph: Graph, listener: str) -> _Plan:
    """The plan of what a notification starts, kept with the graph."""
    plans: dict[str, _Plan] = graph.__dict__.setdefault("_listener_plans", {})
    if listener not in plans:
        ids = schedule.run_set(graph, listener, None)
        plans[listener] = _plan_of(graph, ids, listener, graph.__dict__.setdefault("_frozen_results", {}), has_results=())
    return plans[listener]


def _plan_of(
    graph: Graph,
    ids: Collection[str],
    start: str | None,
    frozen_results: dict[tuple[str, bytes], VertexResult],
    *,
    has_results: Collection[str],
) -> _Plan:
    """The plan of these vertices, of which some will have their results before it begins."""
    vertices = [vertex for id, vertex in graph.vertices.items() if id in ids]
    problems = tuple(
        NodeProblem(vertex.id, vertex.display_name, vertex.document_type, vertex.problem or "Nothing here can run it.", vertex.hint)
        for vertex in vertices
        if vertex.component is None
    )
    bodies = {
        vertex.id: schedule.loop_body(graph, vertex.id, vertex.component.repeats)
        for vertex in vertices
        if vertex.component is not None and vertex.component.repeats and vertex.id not in has_results and not vertex.tool_mode
    }
    if bodies:
        ids = frozenset(ids) - schedule.only_in_bodies(graph, bodies.values())
    order = schedule.order_of(graph, ids, start, also=((id, body.loop) for body in bodies.values() for id in body.given))
    started = RunStarted(first=tuple(order.ids[position] for position in order.first), to_run=order.ids)
    steps = (
        ()
        if problems
        else tuple(_make_step(graph, order, graph.vertices[id], _make_body(graph, bodies.get(id), frozen_results)) for id in order.ids)
    )
    return _Plan(order, steps, problems, started, frozen_results)


def _make_body(graph: Graph, body: schedule.LoopBody | None, frozen_results: dict[tuple[str, bytes], VertexResult]) -> _Body | None:
    if body is None:
        return None
    own = schedule.body_graph(graph, body)
    return _Body(
        plan=_plan_of(own, own.vertices.keys(), None, frozen_results, has_results=body.given | {body.loop}),
        given=tuple(id for id in graph.vertices if id in body.given),
        feedback=body.feedback,
        state_of=tuple(f"{id}_" for id in body.inside),
    )


def _listens(vertex: Vertex) -> bool:
    return vertex.component is not None and bool(vertex.component.listens_to)


def _make_step(graph: Graph, order: schedule.Order, vertex: Vertex, body: _Body | None) -> _Step:
    component = vertex.component
    assert component is not None
    declared = {item.name: item for item in component.declared_inputs}
    incoming: dict[str, list[Edge]] = {}
    for edge in graph.incoming[vertex.id]:
        if not edge.is_loop and edge.source in order.positions:
            incoming.setdefault(edge.field, []).append(edge)
    gives_tools = vertex.tool_mode and any(item.name == tool_mode.OUTPUT for item in vertex.outputs)
    # What the agent will fill in need not be there yet.
    filled_in = tool_mode.argument_names(vertex, component) if gives_tools else frozenset[str]()
    inputs, unreadable = _stored_inputs(vertex, declared, incoming.keys(), filled_in)
    variables = tuple(
        _FromVariable(item, _converter(item, known := declared.get(item.name)), falls_back=known is not None and known.falls_back)
        for item in vertex.fields.values()
        if _is_read(item) and item.load_from_db and item.value and item.name not in incoming
    )
    outputs, unknown = _wanted_outputs(graph, vertex, component)
    methods = {item.method: item.name for item in component.declared_outputs}
    methods = {
        method: name
        for method, name in methods.items()
        if sum(item.method == method for item in outputs) == 1 == sum(item.method == method for item in component.declared_outputs)
    }
    return _Step(
        vertex=vertex,
        component=component,
        info=VertexInfo(
            id=vertex.id,
            type=vertex.type,
            display_name=vertex.display_name,
            fed_by={name: tuple(_source_info(graph.vertices[edge.source]) for edge in edges) for name, edges in incoming.items()},
            feeds=tuple(dict.fromkeys(graph.vertices[edge.target].type for edge in graph.outgoing[vertex.id])),
            template_defaults={name: item.value for name, item in vertex.fields.items()},
            output_types={item.name: item.types for item in vertex.outputs},
        ),
        inputs=inputs,
        to_copy=tuple(name for name, value in inputs.items() if isinstance(value, list | dict) and value),
        unreadable=unreadable,
        variables=variables,
        fed=tuple(_fed(order, vertex, declared.get(name), name, edges) for name, edges in incoming.items()),
        fed_names=frozenset(incoming),
        takes_session="session_id" in vertex.fields and "session_id" not in incoming,
        outputs=outputs,
        unknown_output=unknown,
        renamed={methods[item.method]: item.name for item in outputs if methods.get(item.method, item.name) != item.name},
        secrets=tuple(
            {name for name, item in vertex.fields.items() if item.password} | {name for name, item in declared.items() if item.password}
        ),
        gives_tools=gives_tools,
        body=body,
    )


def _source_info(vertex: Vertex) -> SourceInfo:
    return SourceInfo(vertex.id, vertex.type, vertex.display_name)


def _is_read(item: Field) -> bool:
    """Whether what is stored counts. Hidden fields keep the component's own default; `other` fields only know edges."""
    if item.type == "other" or item.name == "code":
        return False
    return item.show or item.override_skip


def _converter(item: Field | None, declared: Input | None) -> Convert | None:
    """How the field's values are read: by the component's declaration, else by the document's."""
    source = declared or item
    if source is None:
        return None
    kind, is_list = source.kind, source.is_list
    if is_list and kind not in (InputKind.ROWS, InputKind.MAPPING):
        convert = coercion.CONVERTERS.get(kind)
        return lambda value: coercion.as_list(convert, value)
    return coercion.CONVERTERS.get(kind)


def _stored_inputs(
    vertex: Vertex, declared: Mapping[str, Input], fed: Collection[str], filled_in: Collection[str]
) -> tuple[dict[str, Any], CoercionError | None]:
    """Declared defaults under stored values. A value that cannot be read is told when the vertex runs, not before."""
    inputs: dict[str, Any] = {name: item.default if item.default != "" or not item.is_list else [] for name, item in declared.items()}
    unreadable: CoercionError | None = None
    for name, item in vertex.fields.items():
        if name in fed or not _is_read(item) or (item.load_from_db and item.value):
            continue
        value, known = item.value, declared.get(name)
        kind = known.kind if known is not None else item.kind
        if value is None and not item.required:
            continue
        if known is not None and value == "" and kind in _BLANK_MEANS_DEFAULT:
            continue
        if kind is InputKind.FILE and not value:
            continue
        convert = _converter(item, known)
        try:
            inputs[name] = value if convert is None else convert(value)
        except CoercionError as error:
            if known is None:
                inputs[name] = value
            elif unreadable is None and name not in filled_in:
                unreadable = CoercionError(f"{item.display_name or name}: {error}")
    return inputs, unreadable


def _fed(order: schedule.Order, vertex: Vertex, declared: Input | None, name: str, edges: list[Edge]) -> _Fed:
    item = vertex.fields.get(name)
    is_list = declared.is_list if declared is not None else item.is_list if item is not None else False
    # What a component did not declare (a prompt's variable) reaches it as the edge carries it.
    convert = coercion.CONVERTERS.get(declared.kind) if declared is not None else None
    default = item.value if item is not None and item.value is not None else declared.default if declared is not None else ""
    shown = (declared.display_name if declared is not None else "") or (item.display_name if item is not None else "") or name
    return _Fed(name, shown, tuple((order.positions[edge.source], edge.output) for edge in edges), convert, is_list, default)


def _wanted_outputs(graph: Graph, vertex: Vertex, component: type[Component]) -> tuple[tuple[_Wanted, ...], str | None]:
    """The connected outputs in the component's order, or all of them when none is connected; and one it cannot compute."""
    known = {item.name: item.method for item in component.declared_outputs}
    listed = {item.name: item.method for item in vertex.outputs if item.method} or known
    connected = {edge.output for edge in graph.outgoing[vertex.id]}
    if vertex.tool_mode and any(item.name == tool_mode.OUTPUT for item in vertex.outputs):
        return (_Wanted(tool_mode.OUTPUT, ""),), next((name for name in sorted(connected) if name != tool_mode.OUTPUT), None)
    names = connected or set(listed)
    positions = {method: position for position, method in enumerate(known.values())}
    wanted: list[_Wanted] = []
    unknown: str | None = None
    for name in dict.fromkeys([*listed, *sorted(names)]):
        if name in names:
            method = listed.get(name) or known.get(name) or component.method_for(name)
            if not method or not hasattr(component, method):
                unknown = name if name in connected else unknown
            else:
                wanted.append(_Wanted(name, method))
    wanted.sort(key=lambda item: positions.get(item.method, len(positions)))
    return tuple(wanted), unknown


# --- one run ----------------------------------------------------------------------------------------------------------


class _Run:
    """The state of one run. Every vertex is built by `_build`; whoever finishes a vertex starts what it made ready."""

    def __init__(
        self,
        plan: _Plan,
        context: RunContext,
        on_event: OnEvent,
        values: Mapping[str, Mapping[str, Any]],
        given: Mapping[str, VertexResult],
        steps: Steps,
        *,
        within: _Run | None = None,
        absent: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self.context = context
        self._emit: OnEvent | None = None if on_event is ignore else on_event
        self._values = values
        self._progress = schedule.Progress(plan.order)
        self._done: list[VertexResult | None] = [None] * len(plan.order.ids)
        positions = plan.order.positions
        self._given = {positions[id]: result for id, result in given.items() if id in positions}
        self._absent = [positions[id] for id in absent if id in positions]
        self._steps = steps
        self._root: _Run = self if within is None else within._root
        self.notified: list[tuple[str, Any]] = []  # of the outermost run
        self._finished = 0
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._failure: BaseException | None = None
        self._pauses: dict[int, PauseRun] = {}

    async def run(self) -> RunResult:
        if self._emit is not None and self._root is self:
            await self._emit(self._plan.started)
        for position, result in self._given.items():
            self._done[position] = result
        ready = self._progress.begin({position: result.stopped_outputs for position, result in self._given.items()}, self._absent)
        while len(ready) == 1:
            # Most flows are a line: they need no task.
            ready = await self._advance(ready[0])
        if ready:
            await self._run_side_by_side(ready)
        ids = self._plan.order.ids
        results = {id: result for id, result in zip(ids, self._done, strict=True) if result is not None}
        if not self._pauses:
            return RunResult(results)
        pauses = sorted(self._pauses.items())
        return RunResult(
            results,
            questions=tuple(question for _, pause in pauses for question in pause.questions),
            memories={ids[position]: pause.memory for position, pause in pauses if pause.memory is not None},
        )

    async def _run_side_by_side(self, ready: list[int]) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._start(ready)
        if self._failure is not None:
            raise self._failure

    def _start(self, ready: list[int]) -> None:
        assert self._group is not None
        for position in ready:
            self._running += 1
            task = self._group.create_task(self._follow(position))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _follow(self, position: int) -> None:
        """Run this vertex and what it makes ready: in this task while nothing else runs, else in tasks of their own, in file order."""
        try:
            while True:
                ready = await self._advance(position)
                if not ready or self._failure is not None:
                    self._running -= 1
                    return
                if len(ready) > 1 or self._running > 1:
                    self._running -= 1
                    self._start(ready)
                    return
                position = ready[0]
        except Exception as error:  # One branch failed: it is kept for the caller of the run, and the others stop.
            if self._failure is None:
                self._failure = error
            current = asyncio.current_task()
            for task in self._tasks:
                if task is not current:
                    task.cancel()

    async def _advance(self, position: int) -> list[int]:
        """Build one vertex; what may start after it."""
        if not self._steps.take() % _TURNS_BEFORE_YIELDING:
            await asyncio.sleep(0)
        is_step = self._root is self
        if is_step:
            within = current_step.set(self._plan.order.ids[position])
        try:
            result = await self._build(position)
        except PauseRun as pause:
            self._pauses[position] = pause
            return []
        finally:
            if is_step:
                current_step.reset(within)
        self._done[position] = result
        ready, excluded = self._progress.finish(position, result.stopped_outputs)
        self._finished += 1
        if self._emit is not None:
            ids = self._plan.order.ids
            finished, total = self._root.counted()
            await self._emit(
                VertexFinished(
                    result,
                    finished=finished,
                    total=total,
                    excluded=tuple(ids[index] for index in excluded),
                    next=tuple(ids[index] for index in ready),
                    is_step=is_step,
                    notified=tuple(self.notified),
                )
            )
        return ready

    async def continued(self, plan: _Plan, given: Mapping[str, VertexResult], absent: Collection[str]) -> RunResult:
        """A further part of this run."""
        return await _Run(plan, self.context, self._emit or ignore, self._values, given, self._steps, within=self, absent=absent).run()

    def counted(self) -> tuple[int, int]:
        """How many vertices have finished, and how many there are to run. What a loop repeats is not among them."""
        return self._finished, len(self._plan.order.ids) - len(self._given) - self._progress.excluded_count

    def results_for(self, ids: Collection[str]) -> tuple[dict[str, VertexResult], list[str]]:
        """The results that these vertices have here, and those that have none."""
        found: dict[str, VertexResult] = {}
        absent: list[str] = []
        for id in ids:
            position = self._plan.order.positions.get(id)
            result = self._done[position] if position is not None else None
            if result is not None:
                found[id] = result
            elif position is not None:
                absent.append(id)
        return found, absent

    async def _build(self, position: int) -> VertexResult:
        step = self._plan.steps[position]
        vertex = step.vertex
        if self._emit is not None:
            await self._emit(VertexStarted(vertex.id, vertex.display_name))
        result = VertexResult(vertex.id, vertex.type, vertex.display_name, started_at=datetime.now(UTC))
        began = perf_counter()
        output: str | None = None
        frozen_key: tuple[str, bytes] | None = None
        try:
            inputs = await self._inputs(step)
            result.inputs = _shown(step, inputs)
            if vertex.frozen and step.body is None and not step.gives_tools:
                frozen_key = (vertex.id, frozen.digest(inputs))
                if (kept := self._plan.frozen_results.get(frozen_key)) is not None:
                    return frozen.revived(kept)
            if step.unknown_output is not None:
                raise ComponentError(f'There is no output "{step.unknown_output}"; connect one of: {_output_names(step)}.')
            instance = step.component(vertex=step.info, inputs=inputs, context=self.context)
            result.logs = instance.log_entries
            if step.gives_tools:
                result.outputs[tool_mode.OUTPUT] = await self._tools(step, instance, inputs)
            else:
                if step.body is not None:
                    instance.repeat = self._repeating(step, step.body)
                instance.wanted = tuple(wanted.name for wanted in step.outputs)
                await instance.before_outputs()
                for wanted in step.outputs:
                    output = instance.computing = wanted.name
                    result.outputs[output] = await self._compute(instance, wanted, result)
                output = None
                if instance.token_usage:
                    result.token_usage = _added(result.token_usage, instance.token_usage)
        except PauseRun:
            raise
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            # Nobody cancelled this run: the component gave up something of its own.
            await self._fail(step, result, began, output, "Something that the component waited for was cancelled.", None)
        except HeadwaterError as error:
            if isinstance(error, ProviderFailed) and error.component_id is None:
                error.component_id = vertex.id
            result.duration_seconds = perf_counter() - began
            result.error = error.message
            await self._tell_failure(result)
            raise
        except (ComponentError, CoercionError) as error:
            await self._fail(step, result, began, output, str(error), error)
        except TypeError as error:
            method = next((wanted.method for wanted in step.outputs if wanted.name == output), None)
            prefix = f'Error running method "{method}": ' if method else ""
            await self._fail(step, result, began, output, prefix + (str(error) or "TypeError"), error)
        except Exception as error:  # A component's own code: whatever it raises is the component's failure, never the server's.
            await self._fail(step, result, began, output, str(error) or type(error).__name__, error)
        result.artifact = instance.artifact
        if instance.stopped_outputs:
            result.stopped_outputs = frozenset(step.renamed.get(name, name) for name in instance.stopped_outputs)
        result.duration_seconds = perf_counter() - began
        if instance.notifications:
            self._root.notified += instance.notifications
        if frozen_key is not None:
            frozen.keep(self._plan.frozen_results, frozen_key, result)
        if result.logs and self._emit is not None:
            for entry in result.logs:
                await self._emit(LogAdded(vertex.id, entry))
        return result

    def _repeating(self, step: _Step, body: _Body) -> Callable[[Any], Awaitable[Any]]:
        """Runs the body of a loop for one item; gives what came back, or None when nothing did."""
        loop = step.vertex
        output = step.component.repeats

        async def repeat(item: Any) -> Any:
            if not body.plan.order.ids:
                return None
            state = self.context.state
            for key in [key for key in state if key.startswith(body.state_of)]:
                del state[key]  # each row counts anew
            given, absent = self.results_for(body.given)
            given[loop.id] = VertexResult(loop.id, loop.type, loop.display_name, outputs={output: item})
            run = _Run(body.plan, self.context, self._emit or ignore, self._values, given, self._steps, within=self, absent=absent)
            outcome = await run.run()
            if outcome.waiting:
                raise ComponentError("Nothing in a loop can wait for a person.")
            for edge in reversed(body.feedback):
                if (fed := outcome.results.get(edge.source)) is not None:
                    return fed.outputs.get(edge.output, next(iter(fed.outputs.values()), None))
            return None

        return repeat

    async def _tools(self, step: _Step, instance: Component, inputs: Mapping[str, Any]) -> list[Tool]:
        """The tools of a node in tool mode, as its author has chosen and renamed them."""
        made = await instance.tools()
        if made is None:
            made = [
                replace(tool, call=self._call_of(step, inputs, wanted))
                for tool, wanted in tool_mode.described_tools(step.vertex, step.component, inputs, step.fed_names)
            ]
        vertex = step.vertex
        return [
            replace(
                tool,
                call=self._watched(step, tool),
                node_id=tool.node_id or vertex.id,
                display_name=tool.display_name or vertex.display_name,
            )
            for tool in tool_mode.chosen(made, vertex)
        ]

    def _call_of(self, step: _Step, inputs: Mapping[str, Any], wanted: Output) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
        """One output of the node on a copy of it, with the arguments in its fields."""

        async def call(arguments: Mapping[str, Any]) -> Any:
            own = dict(inputs)
            for name in step.to_copy:
                if isinstance(own.get(name), list | dict):
                    own[name] = deepcopy(own[name])
            self._put(step, own, tool_mode.checked(step.vertex, step.component, step.fed_names, arguments))
            instance = step.component(vertex=step.info, inputs=own, context=self.context)
            instance.computing = wanted.name
            instance.wanted = (wanted.name,)
            await instance.before_outputs()
            value = await getattr(instance, wanted.method)()
            self._root.notified += instance.notifications
            return value

        return call

    def _watched(self, step: _Step, tool: Tool) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
        """The tool's call as a step of the run: counted, told and kept like a vertex; a failure of it is not the run's."""
        vertex = step.vertex

        async def call(arguments: Mapping[str, Any]) -> Any:
            self._steps.take()
            if self._emit is not None:
                await self._emit(VertexStarted(vertex.id, vertex.display_name))
            result = VertexResult(vertex.id, vertex.type, vertex.display_name, inputs=dict(arguments), started_at=datetime.now(UTC))
            began = perf_counter()
            try:
                value = await tool.call(arguments)
                self._steps.count_result(value)
                result.outputs[tool.name] = value
            except (LimitReached, PauseRun) as error:
                result.error = str(error)
                raise
            except Exception as error:  # Whatever the tool raises, the agent hears of it and goes on.
                result.error = str(error) or type(error).__name__
                raise ToolFailed(result.error) from error
            finally:
                result.duration_seconds = perf_counter() - began
                current = asyncio.current_task()
                if self._emit is not None and not (current is not None and current.cancelling()):
                    finished, total = self._root.counted()
                    await self._emit(VertexFinished(result, finished=finished, total=total))
            return value

        return call

    async def _compute(self, instance: Component, wanted: _Wanted, result: VertexResult) -> Any:
        value = await getattr(instance, wanted.method)()
        self._steps.count_result(value)
        if type(value) is Message:
            if value.flow_id is None:
                value.flow_id = self.context.flow_id
            if value.usage and value.source.id in (None, instance.vertex.id):  # what is only passed on was counted where it was made
                result.token_usage = _added(result.token_usage, value.usage)
        return value

    async def _fail(
        self, step: _Step, result: VertexResult, began: float, output: str | None, reason: str, cause: BaseException | None
    ) -> NoReturn:
        result.duration_seconds = perf_counter() - began
        result.error = reason
        await self._tell_failure(result)
        vertex = step.vertex
        raise ComponentFailed(
            component_id=vertex.id, component_type=vertex.type, display_name=vertex.display_name, reason=reason, output=output
        ) from cause

    async def _tell_failure(self, result: VertexResult) -> None:
        # A vertex that is cancelled because a sibling failed says nothing: the first failure is the run's.
        if self._emit is not None and self._failure is None:
            await self._emit(VertexFailed(result))

    async def _inputs(self, step: _Step) -> dict[str, Any]:
        """Defaults, then stored values, variables, the run's session, values of this run, and last what edges carry."""
        if step.unreadable is not None:
            raise step.unreadable
        inputs = dict(step.inputs)
        for name in step.to_copy:
            inputs[name] = deepcopy(inputs[name])
        values = self._values.get(step.vertex.id) or _NOTHING
        for variable in step.variables:
            if variable.field.name not in values:
                inputs[variable.field.name] = await self._resolved(variable)
        if step.takes_session:
            inputs["session_id"] = self.context.session_id
        if values:
            self._put(step, inputs, values)
        for fed in step.fed:
            inputs[fed.name] = self._carried(fed)
        return inputs

    async def _resolved(self, variable: _FromVariable) -> Any:
        shown = variable.field.display_name or variable.field.name
        name = str(variable.field.value)
        value = await self.context.resolve_variable(name, is_secret=variable.field.password)
        if value is None and variable.falls_back:
            return ""
        if value is None:
            raise ComponentError(
                f'The variable "{name}", which the field "{shown}" takes its value from, is not set. Create it or type a value.'
            )
        return _read(variable.convert, value, shown)

    def _put(self, step: _Step, inputs: dict[str, Any], values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name in step.fed_names:
                continue
            item = step.vertex.fields.get(name)
            declared = next((known for known in step.component.declared_inputs if known.name == name), None)
            inputs[name] = _read(_converter(item, declared), value, (item.display_name if item else "") or name)

    def _carried(self, fed: _Fed) -> Any:
        """What the edges into a field carry: the last live one, or for a list all of them; excluded predecessors count for nothing."""
        if fed.is_list:
            items: list[Any] = []
            for position, output in fed.sources:
                result = self._done[position]
                if result is not None:
                    value = self._value(result, output)
                    items.extend(_read(lambda value: coercion.as_list(fed.convert, value), value, fed.display_name))
                elif not self._progress.is_excluded(position):
                    raise ComponentError(f"Component {self._plan.order.ids[position]} has not been built yet.")
            return items
        for position, output in reversed(fed.sources):
            result = self._done[position]
            if result is not None:
                return _read(fed.convert, self._value(result, output), fed.display_name)
            if not self._progress.is_excluded(position) and self._plan.order.forced is None:
                raise ComponentError(f"Component {self._plan.order.ids[position]} has not been built yet.")
        return _read(fed.convert, deepcopy(fed.default), fed.display_name)

    def _value(self, result: VertexResult, output: str) -> Any:
        if output not in result.outputs:
            raise ComponentError(f'{result.display_name} ({result.vertex_id}) has not computed its output "{output}".')
        return result.outputs[output]


async def _tell_listeners(graph: Graph, run: _Run, result: RunResult) -> None:
    """Run what listens to a name once for each notification, with what is behind it. What the run has done already is not done again."""
    results = result.results
    while run.notified:
        name, value = run.notified.pop(0)
        run.context.state.setdefault(NOTIFIED, {})[name] = value
        for vertex in graph.vertices.values():
            if not _listens(vertex) or name not in _listening_key(vertex):
                continue
            plan = _listener_plan(graph, vertex.id)
            if plan.problems:
                _refuse(plan.problems)
            behind = schedule.behind(graph, (vertex.id,))
            given = {id: results[id] for id in plan.order.ids if id in results and id not in behind}
            _, absent = run.results_for([id for id in plan.order.ids if id not in behind and id not in given])
            further = await run.continued(plan, given, absent)
            if further.waiting:
                raise ComponentFailed(
                    component_id=vertex.id,
                    component_type=vertex.type,
                    display_name=vertex.display_name,
                    reason="Nothing behind a Listen can wait for a person.",
                )
            results.update(further.results)
    order = {id: position for position, id in enumerate(graph.vertices)}
    result.results = dict(sorted(results.items(), key=lambda item: order[item[0]]))


def _listening_key(vertex: Vertex) -> str:
    assert vertex.component is not None
    field = vertex.fields.get(vertex.component.listens_to)
    return str(field.value) if field is not None and field.value else ""


def _read(convert: Convert | None, value: Any, shown: str) -> Any:
    if convert is None:
        return value
    try:
        return convert(value)
    except CoercionError as error:
        raise CoercionError(f"{shown}: {error}") from None


def _shown(step: _Step, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as records keep them: without secrets."""
    shown = dict(inputs)
    for name in step.secrets:
        if shown.get(name):
            shown[name] = MASK
    return shown


def _added(first: dict[str, int] | None, second: Mapping[str, int]) -> dict[str, int]:
    total = dict(first or {})
    for name, count in second.items():
        total[name] = total.get(name, 0) + count
    return total


def _output_names(step: _Step) -> str:
    return ", ".join(item.name for item in step.component.declared_outputs) or "none"
