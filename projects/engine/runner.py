"""Runs a graph: builds each vertex when `schedule` allows it, and tells what happens through `on_event`.

Above: `invocation.py`. Below: `schedule.py` decides, components compute. Independent vertices run at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter
from types import MappingProxyType
from typing import Any, NoReturn

from projects.engine import coercion, schedule
from projects.engine.coercion import CoercionError, Convert
from projects.engine.component import Component, ComponentError, Input, InputKind, PauseRun, SourceInfo, VertexInfo
from projects.engine.context import RunContext
from projects.engine.events import LogAdded, OnEvent, RunStarted, VertexFailed, VertexFinished, VertexResult, VertexStarted, ignore
from projects.engine.graph import Edge, Field, Graph, Vertex
from projects.engine.values import Message
from projects.errors import ComponentFailed, FlowCannotRun, HeadwaterError, NodeProblem

MASK = "*****"
_TURNS_BEFORE_YIELDING = 32  # vertices run in a row before other work of the process gets its turn
_PLANS_PER_GRAPH = 8
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_BLANK_MEANS_DEFAULT = frozenset((InputKind.INTEGER, InputKind.NUMBER, InputKind.BOOLEAN))


@dataclass(slots=True)
class RunResult:
    """`results` in file order, only vertices that ran or were given. `waiting`: a component paused the run."""

    results: dict[str, VertexResult]
    waiting: bool = False
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)  # what paused vertices ask of a person


async def run_graph(
    graph: Graph,
    *,
    context: RunContext,
    on_event: OnEvent = ignore,
    values: Mapping[str, Mapping[str, Any]] = _NOTHING,
    start: str | None = None,
    stop: str | None = None,
    given: Mapping[str, VertexResult] = _NOTHING,
) -> RunResult:
    """Run what `start` (by default the graph's own start) needs, up to `stop`.

    `values` are put into fields: they win over what is stored and lose to an edge. `given` vertices are not run again.
    Raises FlowCannotRun before anything starts, ComponentFailed after the event; when it ends, however it ends, no task is left.
    """
    if start is None and stop is None:
        start = schedule.default_start(graph)
    plan = _plan(graph, start, stop)
    if plan.problems:
        _refuse(plan.problems)
    return await _Run(plan, context, on_event, values, given).run()


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


@dataclass(frozen=True, slots=True)
class _Plan:
    order: schedule.Order
    steps: tuple[_Step, ...]
    problems: tuple[NodeProblem, ...]
    started: RunStarted
    frozen_results: dict[str, VertexResult]


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
    order = schedule.order_of(graph, schedule.run_set(graph, start, stop), start)
    vertices = [graph.vertices[id] for id in order.ids]
    problems = tuple(
        NodeProblem(vertex.id, vertex.display_name, vertex.document_type, vertex.problem or "Nothing here can run it.", vertex.hint)
        for vertex in vertices
        if vertex.component is None
    )
    frozen_results: dict[str, VertexResult] = graph.__dict__.setdefault("_frozen_results", {})
    started = RunStarted(first=tuple(order.ids[position] for position in order.first), to_run=order.ids)
    steps = () if problems else tuple(_make_step(graph, order, vertex) for vertex in vertices)
    return _Plan(order, steps, problems, started, frozen_results)


def _make_step(graph: Graph, order: schedule.Order, vertex: Vertex) -> _Step:
    component = vertex.component
    assert component is not None
    declared = {item.name: item for item in component.declared_inputs}
    incoming: dict[str, list[Edge]] = {}
    for edge in graph.incoming[vertex.id]:
        if not edge.is_loop and edge.source in order.positions:
            incoming.setdefault(edge.field, []).append(edge)
    inputs, unreadable = _stored_inputs(vertex, declared, incoming.keys())
    variables = tuple(
        _FromVariable(item, _converter(item, declared.get(item.name)))
        for item in vertex.fields.values()
        if _is_read(item) and item.load_from_db and item.value and item.name not in incoming
    )
    outputs, unknown = _wanted_outputs(graph, vertex, component)
    methods = {item.method: item.name for item in component.declared_outputs}
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


def _stored_inputs(vertex: Vertex, declared: Mapping[str, Input], fed: Collection[str]) -> tuple[dict[str, Any], CoercionError | None]:
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
            elif unreadable is None:
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
    connected = {edge.output for edge in graph.outgoing[vertex.id] if not edge.is_loop}
    names = connected or set(listed)
    positions = {method: position for position, method in enumerate(known.values())}
    wanted: list[_Wanted] = []
    unknown: str | None = None
    for name in dict.fromkeys([*listed, *sorted(names)]):
        if name in names:
            method = listed.get(name) or known.get(name)
            if method is None or not hasattr(component, method):
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
    ) -> None:
        self._plan = plan
        self._context = context
        self._emit: OnEvent | None = None if on_event is ignore else on_event
        self._values = values
        self._progress = schedule.Progress(plan.order)
        self._done: list[VertexResult | None] = [None] * len(plan.order.ids)
        positions = plan.order.positions
        self._given = {positions[id]: result for id, result in given.items() if id in positions}
        self._finished = 0
        self._running = 0
        self._turns = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._failure: BaseException | None = None
        self._requests: dict[str, dict[str, Any]] = {}

    async def run(self) -> RunResult:
        if self._emit is not None:
            await self._emit(self._plan.started)
        for position, result in self._given.items():
            self._done[position] = result
        ready = self._progress.begin({position: result.stopped_outputs for position, result in self._given.items()})
        while len(ready) == 1 and not self._requests:
            # Most flows are a line: they need no task.
            ready = await self._advance(ready[0])
        if ready and not self._requests:
            await self._run_side_by_side(ready)
        results = {id: result for id, result in zip(self._plan.order.ids, self._done, strict=True) if result is not None}
        return RunResult(results, waiting=bool(self._requests), requests=self._requests)

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
                if not ready or self._requests or self._failure is not None:
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
        self._turns += 1
        if not self._turns % _TURNS_BEFORE_YIELDING:
            await asyncio.sleep(0)
        try:
            result = await self._build(position)
        except PauseRun as pause:
            self._requests[self._plan.order.ids[position]] = pause.request
            return []
        self._done[position] = result
        ready, excluded = self._progress.finish(position, result.stopped_outputs)
        self._finished += 1
        if self._emit is not None:
            ids = self._plan.order.ids
            total = len(ids) - len(self._given) - self._progress.excluded_count
            await self._emit(
                VertexFinished(
                    result,
                    finished=self._finished,
                    total=total,
                    excluded=tuple(ids[index] for index in excluded),
                    next=tuple(ids[index] for index in ready),
                )
            )
        return ready

    async def _build(self, position: int) -> VertexResult:
        step = self._plan.steps[position]
        vertex = step.vertex
        if self._emit is not None:
            await self._emit(VertexStarted(vertex.id, vertex.display_name))
        if vertex.frozen and (kept := self._plan.frozen_results.get(vertex.id)) is not None:
            return replace(
                kept, outputs=deepcopy(kept.outputs), started_at=datetime.now(UTC), duration_seconds=0.0, used_frozen_result=True
            )
        result = VertexResult(vertex.id, vertex.type, vertex.display_name, started_at=datetime.now(UTC))
        began = perf_counter()
        output: str | None = None
        try:
            inputs = await self._inputs(step)
            result.inputs = _shown(step, inputs)
            if step.unknown_output is not None:
                raise ComponentError(f'There is no output "{step.unknown_output}"; connect one of: {_output_names(step)}.')
            instance = step.component(vertex=step.info, inputs=inputs, context=self._context)
            result.logs = instance.log_entries
            await instance.before_outputs()
            for wanted in step.outputs:
                output = wanted.name
                result.outputs[output] = await self._compute(instance, wanted, result)
            output = None
        except PauseRun:
            raise
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            # Nobody cancelled this run: the component gave up something of its own.
            await self._fail(step, result, began, output, "Something that the component waited for was cancelled.", None)
        except HeadwaterError as error:
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
        if vertex.frozen:
            self._plan.frozen_results[vertex.id] = replace(result, outputs=deepcopy(result.outputs))
        if result.logs and self._emit is not None:
            for entry in result.logs:
                await self._emit(LogAdded(vertex.id, entry))
        return result

    async def _compute(self, instance: Component, wanted: _Wanted, result: VertexResult) -> Any:
        value = await getattr(instance, wanted.method)()
        if type(value) is Message:
            if value.flow_id is None:
                value.flow_id = self._context.flow_id
            if value.usage:
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
            inputs["session_id"] = self._context.session_id
        if values:
            self._put(step, inputs, values)
        for fed in step.fed:
            inputs[fed.name] = self._carried(fed)
        return inputs

    async def _resolved(self, variable: _FromVariable) -> Any:
        shown = variable.field.display_name or variable.field.name
        name = str(variable.field.value)
        value = await self._context.resolve_variable(name, is_secret=variable.field.password)
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
