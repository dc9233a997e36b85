"""What runs, and when: pure decisions over a graph. Awaits nothing and knows no component.

`run_set` says which vertices a run needs, `order_of` who waits for whom among them, and `Progress` what may start next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from projects.engine.graph import Edge, Graph

_NEVER_AGAIN = 1 << 30  # a count of pending predecessors that does not reach zero


def default_start(graph: Graph) -> str | None:
    """Where a run starts when nobody says: the first input vertex whose id holds "webhook", else "chat"; else everywhere."""
    kept = graph.__dict__
    if "_default_start" not in kept:  # with the graph, as every run of it asks
        kept["_default_start"] = _default_start(graph)
    start: str | None = kept["_default_start"]
    return start


def _default_start(graph: Graph) -> str | None:
    inputs = [vertex.id for vertex in graph.vertices.values() if vertex.is_input]
    for word in ("webhook", "chat"):
        for id in inputs:
            if word in id.lower():
                return id
    return None


def run_set(graph: Graph, start: str | None, stop: str | None) -> frozenset[str]:
    """The vertices a run needs: what `start` reaches and everything that depends on, up to `stop`; without either, all.

    A vertex that is only an agent's tool and serves nobody is never among them unless it is named.
    """
    wanted: set[str]
    if start is not None and start in graph.vertices:
        wanted = behind(graph, (start,))
        wanted |= _before(graph, wanted)
    else:
        wanted = set(graph.vertices)
    if stop is not None and stop in graph.vertices:
        wanted &= _before(graph, (stop,))
    idle = {id for id in wanted if graph.vertices[id].tool_mode and not graph.outgoing[id]}
    return frozenset(wanted - idle.difference({start, stop}))


def end_vertices(graph: Graph) -> tuple[str, ...]:
    """The vertices that answer for a flow, in file order: its outputs, or without any those that nothing follows."""
    kept = graph.__dict__
    if "_end_vertices" not in kept:
        kept["_end_vertices"] = _end_vertices(graph)
    ends: tuple[str, ...] = kept["_end_vertices"]
    return ends


def _end_vertices(graph: Graph) -> tuple[str, ...]:
    planned = run_set(graph, default_start(graph), None)
    outputs = tuple(id for id, vertex in graph.vertices.items() if vertex.is_output and id in planned)
    if outputs:
        return outputs
    last = tuple(id for id, vertex in graph.vertices.items() if id in planned and not graph.outgoing[id] and not vertex.tool_mode)
    return tuple(id for id in last if not graph.vertices[id].is_input) or last


def behind(graph: Graph, sources: Iterable[str]) -> set[str]:
    """The sources and everything reachable from them."""
    found, left = set(sources), list(sources)
    while left:
        for edge in graph.outgoing[left.pop()]:
            if edge.target not in found:
                found.add(edge.target)
                left.append(edge.target)
    return found


def _before(graph: Graph, targets: Iterable[str]) -> set[str]:
    """The targets and everything they depend on."""
    found, left = set(targets), list(targets)
    while left:
        for edge in graph.incoming[left.pop()]:
            if edge.source not in found:
                found.add(edge.source)
                left.append(edge.source)
    return found


@dataclass(frozen=True, slots=True)
class Order:
    """Who waits for whom in one run set. Vertices are named by their position in file order, so that a run only counts."""

    ids: tuple[str, ...]
    positions: Mapping[str, int]
    successors: tuple[tuple[int, ...], ...]
    predecessor_counts: tuple[int, ...]
    branches: tuple[Mapping[str, tuple[int, ...]], ...]  # for each vertex: output → the vertices behind its edges
    first: tuple[int, ...]
    forced: int | None = None  # the start, when a cycle leaves nothing that could start by itself


def order_of(graph: Graph, ids: Collection[str], start: str | None = None, *, also: Iterable[tuple[str, str]] = ()) -> Order:
    """The order of these vertices. An edge that feeds a loop back is nothing to wait for.

    `also` are pairs (earlier, later) that wait for each other without an edge.
    """
    waits: dict[str, list[str]] = {}
    for earlier, later in also:
        waits.setdefault(earlier, []).append(later)
    ordered = tuple(id for id in graph.vertices if id in ids)
    positions = {id: position for position, id in enumerate(ordered)}
    successors: list[tuple[int, ...]] = []
    branches: list[Mapping[str, tuple[int, ...]]] = []
    counts = [0] * len(ordered)
    for id in ordered:
        by_output: dict[str, dict[int, None]] = {}
        for edge in graph.outgoing[id]:
            if not edge.is_loop and (target := positions.get(edge.target)) is not None:
                by_output.setdefault(edge.output, {})[target] = None
        behind = sorted(
            {target for targets in by_output.values() for target in targets}
            | {positions[later] for later in waits.get(id, ()) if later in positions}
        )
        for target in behind:
            counts[target] += 1
        successors.append(tuple(behind))
        branches.append({output: tuple(targets) for output, targets in by_output.items()})
    first = tuple(position for position, count in enumerate(counts) if not count)
    forced = positions.get(start) if start is not None and not first else None
    return Order(ordered, positions, tuple(successors), tuple(counts), tuple(branches), (forced,) if forced is not None else first, forced)


@dataclass(frozen=True, slots=True)
class LoopBody:
    """What a loop runs once for each row.

    `inside` runs anew each time: what its `item` output reaches, and what that needs. `given` is taken from the run around it:
    what the loop waited for, and input vertices, whose message would be stored once a row. `feedback` are the edges back into the loop.
    """

    loop: str
    output: str
    behind: frozenset[str]  # of `inside`, what only exists because of an item
    inside: frozenset[str]
    given: frozenset[str]
    feedback: tuple[Edge, ...]


def loop_body(graph: Graph, loop: str, output: str) -> LoopBody:
    """The body of a loop vertex whose items leave through `output`."""
    forward = _forward(graph, (edge.target for edge in graph.outgoing[loop] if edge.output == output and not edge.is_loop))
    # What also hangs on another output of the loop waits for its end.
    forward -= _forward(graph, (edge.target for edge in graph.outgoing[loop] if edge.output != output and not edge.is_loop))
    forward.discard(loop)
    before_loop = _needed(graph, (edge.source for edge in graph.incoming[loop] if not edge.is_loop), loop) - forward
    inside, given, left = set(forward), set[str](), list(forward)
    while left:
        for edge in graph.incoming[left.pop()]:
            source = edge.source
            if source == loop or source in inside or source in given:
                continue
            if source in before_loop or graph.vertices[source].is_input:
                given.add(source)
            else:
                inside.add(source)
                left.append(source)
    feedback = tuple(edge for edge in graph.incoming[loop] if edge.is_loop and edge.field == output and edge.source in inside)
    return LoopBody(loop, output, frozenset(forward), frozenset(inside), frozenset(given), feedback)


def only_in_bodies(graph: Graph, bodies: Collection[LoopBody]) -> frozenset[str]:
    """The vertices that a run around these loops does not build: all that serves nothing but their bodies."""
    found = {id for body in bodies for id in body.behind}
    rest = {id for body in bodies for id in body.inside} - found
    while True:
        more = {id for id in rest if all(edge.target in found for edge in graph.outgoing[id])}
        if not more:
            return frozenset(found)
        found |= more
        rest -= more


def body_graph(graph: Graph, body: LoopBody) -> Graph:
    """The body by itself: the loop and what is given are in it with nothing before them."""
    ids = body.inside | body.given | {body.loop}
    edges = tuple(
        edge
        for edge in graph.edges
        if edge.target in body.inside and edge.source in ids and (edge.source != body.loop or edge.output == body.output)
    )
    return Graph({id: vertex for id, vertex in graph.vertices.items() if id in ids}, edges + body.feedback, graph.groups)


def _forward(graph: Graph, sources: Iterable[str]) -> set[str]:
    """The sources and what is behind them, without going back into a loop."""
    found = set(sources)
    left = list(found)
    while left:
        for edge in graph.outgoing[left.pop()]:
            if not edge.is_loop and edge.target not in found:
                found.add(edge.target)
                left.append(edge.target)
    return found


def _needed(graph: Graph, targets: Iterable[str], loop: str) -> set[str]:
    """The targets and everything they depend on, up to this loop."""
    found = set(targets) - {loop}
    left = list(found)
    while left:
        for edge in graph.incoming[left.pop()]:
            if edge.source not in found and edge.source != loop:
                found.add(edge.source)
                left.append(edge.source)
    return found


def cycles(graph: Graph) -> tuple[str, ...]:
    """The vertices that wait for each other (on a cycle, or between two), in file order. Loop edges do not count."""
    order = order_of(graph, graph.vertices.keys())
    waiting = list(order.predecessor_counts)
    left = [position for position, count in enumerate(waiting) if not count]
    stuck = set(range(len(order.ids))) - set(left)
    while left:
        for target in order.successors[left.pop()]:
            waiting[target] -= 1
            if not waiting[target]:
                stuck.discard(target)
                left.append(target)
    needed = {position: sum(target in stuck for target in order.successors[position]) for position in stuck}
    sources: dict[int, list[int]] = {}
    for position in stuck:
        for target in order.successors[position]:
            sources.setdefault(target, []).append(position)
    ends = [position for position, count in needed.items() if not count]
    while ends:
        end = ends.pop()
        stuck.discard(end)
        for source in sources.get(end, ()):
            needed[source] -= 1
            if not needed[source]:
                ends.append(source)
    return tuple(order.ids[position] for position in sorted(stuck))


class Progress:
    """How far one run is. Tell it what finished; it answers what may start and what never will.

    A vertex may start as soon as every predecessor has finished or is excluded; nothing starts twice.
    """

    __slots__ = ("_excluded", "_order", "_pending", "_taken")

    def __init__(self, order: Order) -> None:
        self._order = order
        self._pending = list(order.predecessor_counts)
        self._taken = bytearray(len(order.ids))  # started, or given from an earlier run
        self._excluded: set[int] = set()
        if order.forced is not None:
            self._pending[order.forced] = _NEVER_AGAIN

    @property
    def excluded_count(self) -> int:
        return len(self._excluded)

    def is_excluded(self, position: int) -> bool:
        return position in self._excluded

    def begin(self, given: Mapping[int, Collection[str]], absent: Collection[int] = ()) -> list[int]:
        """What starts first. `given` are vertices that have their result already, with the outputs that they stopped.

        `absent` are vertices that will have none: they count as excluded.
        """
        for position in given:
            self._taken[position] = 1
        self._excluded.update(absent)
        ready = [position for position in self._order.first if not self._taken[position]]
        for position in ready:
            self._taken[position] = 1
        for position, stopped in given.items():
            ready += self.finish(position, stopped)[0]
        for position in absent:
            ready += self.finish(position)[0]
        return sorted(position for position in ready if position not in self._excluded)

    def finish(self, position: int, stopped: Collection[str] = ()) -> tuple[list[int], tuple[int, ...]]:
        """What may start now that this vertex has finished, and what is excluded because of the outputs it stopped.

        Excluded is what lies behind a stopped output and behind none of its other outputs, even when something else feeds it too.
        """
        excluded = self._exclude(position, stopped) if stopped else ()
        freed: list[int] = []
        self._release(position, freed)
        for gone in excluded:
            self._release(gone, freed)
        if not freed:
            return freed, excluded
        ready = [target for target in freed if not self._taken[target] and target not in self._excluded]
        ready.sort()
        for target in ready:
            self._taken[target] = 1
        return ready, excluded

    def _release(self, position: int, freed: list[int]) -> None:
        pending = self._pending
        for target in self._order.successors[position]:
            pending[target] -= 1
            if not pending[target]:
                freed.append(target)

    def _exclude(self, position: int, stopped: Collection[str]) -> tuple[int, ...]:
        branches = self._order.branches[position]
        behind = self._reach(target for output, targets in branches.items() if output in stopped for target in targets)
        if not behind:
            return ()
        behind -= self._reach(target for output, targets in branches.items() if output not in stopped for target in targets)
        new = tuple(sorted(target for target in behind - self._excluded if not self._taken[target]))
        self._excluded.update(new)
        return new

    def _reach(self, targets: Iterable[int]) -> set[int]:
        found = set(targets)
        left = list(found)
        while left:
            for target in self._order.successors[left.pop()]:
                if target not in found:
                    found.add(target)
                    left.append(target)
        return found
