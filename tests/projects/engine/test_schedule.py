"""Which vertices run, who waits for whom, and what a stopped branch takes with it."""

from hypothesis import given
from hypothesis import strategies as st

from projects.engine import schedule
from projects.engine.graph import Edge, Graph
from tests.projects.engine.sample_components import graph, vertex


def ids(order: schedule.Order, positions: list[int] | tuple[int, ...]) -> list[str]:
    return [order.ids[position] for position in positions]


def run_to_end(made: Graph, stopped: dict[str, str] | None = None) -> list[str]:
    order = schedule.order_of(made, made.vertices.keys())
    progress = schedule.Progress(order)
    ran, ready = [], progress.begin({})
    while ready:
        position = ready.pop(0)
        ran.append(order.ids[position])
        more, _ = progress.finish(position, frozenset((stopped or {}).get(order.ids[position], "").split(",")))
        ready += more
    return ran


def test_a_webhook_is_the_start_even_when_a_chat_input_stands_before_it() -> None:
    made = graph(vertex("Source-chat"), vertex("Source-Webhook"))
    assert schedule.default_start(made) == "Source-Webhook"


def test_the_first_chat_input_in_file_order_is_the_start() -> None:
    made = graph(vertex("Echo-chat"), vertex("Source-text"), vertex("Source-CHAT-2"), vertex("Source-chat-1"))
    assert schedule.default_start(made) == "Source-CHAT-2"


def test_without_chat_or_webhook_there_is_no_start_and_everything_runs() -> None:
    made = graph(vertex("Source-text"), vertex("Echo-island"))
    assert schedule.default_start(made) is None
    assert schedule.run_set(made, None, None) == {"Source-text", "Echo-island"}


def test_a_run_takes_what_the_start_reaches_and_all_it_depends_on_but_no_island() -> None:
    made = graph(
        vertex("Source-chat"),
        vertex("Source-side"),
        vertex("Echo-prompt"),
        vertex("Echo-branch"),
        vertex("Source-island"),
        vertex("Echo-unasked"),
        "Source-chat.message > Echo-prompt.text",
        "Source-side.message > Echo-prompt.second",
        "Source-chat.message > Echo-branch.text",
        "Source-island.message > Echo-unasked.text",
    )
    assert schedule.run_set(made, "Source-chat", None) == {"Source-chat", "Source-side", "Echo-prompt", "Echo-branch"}


def test_a_stop_keeps_only_its_ancestors() -> None:
    made = graph(
        vertex("Source-chat"), vertex("Echo-a"), vertex("Echo-b"), "Source-chat.message > Echo-a.text", "Echo-a.message > Echo-b.text"
    )
    assert schedule.run_set(made, None, "Echo-a") == {"Source-chat", "Echo-a"}
    assert schedule.run_set(made, "Echo-a", "Echo-b") == {"Source-chat", "Echo-a", "Echo-b"}


def test_a_tool_that_serves_nobody_is_left_out_unless_it_is_named() -> None:
    made = graph(vertex("Source-text"), vertex("Echo-tool", tool_mode=True))
    assert schedule.run_set(made, None, None) == {"Source-text"}
    assert "Echo-tool" in schedule.run_set(made, None, "Echo-tool")


def test_a_vertex_may_start_as_soon_as_its_own_predecessors_are_done() -> None:
    made = graph(
        vertex("Source-a"),
        vertex("Source-b"),
        vertex("Echo-a"),
        vertex("Collect-end"),
        "Source-a.message > Echo-a.text",
        "Echo-a.message > Collect-end.texts",
        "Source-b.message > Collect-end.texts",
    )
    order = schedule.order_of(made, made.vertices.keys())
    progress = schedule.Progress(order)
    assert ids(order, progress.begin({})) == ["Source-a", "Source-b"]
    assert ids(order, progress.finish(0)[0]) == ["Echo-a"]
    assert progress.finish(2)[0] == []
    assert ids(order, progress.finish(1)[0]) == ["Collect-end"]


def test_vertices_that_become_ready_together_come_in_file_order() -> None:
    made = graph(
        vertex("Source-a"),
        vertex("Echo-c"),
        vertex("Echo-b"),
        "Source-a.message > Echo-b.text",
        "Source-a.message > Echo-c.text",
    )
    assert run_to_end(made) == ["Source-a", "Echo-c", "Echo-b"]


def test_two_edges_between_the_same_vertices_are_waited_for_once() -> None:
    made = graph(vertex("Branch-a"), vertex("Echo-b"), "Branch-a.yes > Echo-b.text", "Branch-a.no > Echo-b.second")
    assert run_to_end(made) == ["Branch-a", "Echo-b"]


def test_what_lies_behind_a_stopped_output_is_excluded_and_a_merge_still_runs_once() -> None:
    made = graph(
        vertex("Branch-a"),
        vertex("Echo-yes"),
        vertex("Echo-no"),
        vertex("Echo-merge"),
        "Branch-a.yes > Echo-yes.text",
        "Branch-a.no > Echo-no.text",
        "Echo-yes.message > Echo-merge.text",
        "Echo-no.message > Echo-merge.second",
    )
    assert run_to_end(made, {"Branch-a": "no"}) == ["Branch-a", "Echo-yes", "Echo-merge"]
    assert run_to_end(made, {"Branch-a": "yes"}) == ["Branch-a", "Echo-no", "Echo-merge"]
    assert run_to_end(made, {"Branch-a": "yes,no"}) == ["Branch-a"]


def test_a_live_input_from_elsewhere_does_not_save_what_lies_behind_the_untaken_output() -> None:
    made = graph(
        vertex("Branch-a"),
        vertex("Source-else"),
        vertex("Echo-no"),
        vertex("Echo-after"),
        "Branch-a.no > Echo-no.text",
        "Source-else.message > Echo-no.second",
        "Echo-no.message > Echo-after.text",
    )
    assert run_to_end(made, {"Branch-a": "no"}) == ["Branch-a", "Source-else"]


def test_exclusion_is_told_once_and_in_file_order() -> None:
    made = graph(vertex("Branch-a"), vertex("Echo-z"), vertex("Echo-b"), "Branch-a.no > Echo-b.text", "Branch-a.no > Echo-z.text")
    order = schedule.order_of(made, made.vertices.keys())
    progress = schedule.Progress(order)
    progress.begin({})
    ready, excluded = progress.finish(0, {"no"})
    assert (ready, ids(order, excluded)) == ([], ["Echo-z", "Echo-b"])
    assert progress.excluded_count == 2


def test_vertices_on_a_cycle_and_behind_it_never_start() -> None:
    made = graph(
        vertex("Source-a"),
        vertex("Echo-b"),
        vertex("Echo-c"),
        vertex("Echo-behind"),
        vertex("Echo-side"),
        "Source-a.message > Echo-b.text",
        "Echo-b.message > Echo-c.text",
        "Echo-c.message > Echo-b.second",
        "Echo-c.message > Echo-behind.text",
        "Source-a.message > Echo-side.text",
    )
    assert run_to_end(made) == ["Source-a", "Echo-side"]
    assert schedule.cycles(made) == ("Echo-b", "Echo-c")


def test_an_edge_that_feeds_a_loop_back_makes_no_cycle() -> None:
    made = graph(vertex("Source-a"), vertex("Echo-b"), "Source-a.message > Echo-b.text", "Echo-b.message >> Source-a.message")
    assert schedule.cycles(made) == ()
    assert run_to_end(made) == ["Source-a", "Echo-b"]


def test_when_everything_waits_for_something_the_start_is_forced_and_runs_once() -> None:
    made = graph(vertex("Echo-chat"), vertex("Echo-b"), "Echo-chat.message > Echo-b.text", "Echo-b.message > Echo-chat.text")
    order = schedule.order_of(made, made.vertices.keys(), "Echo-chat")
    progress = schedule.Progress(order)
    assert ids(order, progress.begin({})) == ["Echo-chat"]
    assert ids(order, progress.finish(0)[0]) == ["Echo-b"]
    assert progress.finish(1)[0] == []


def test_given_vertices_are_done_and_what_they_stopped_stays_excluded() -> None:
    made = graph(
        vertex("Branch-a"),
        vertex("Echo-yes"),
        vertex("Echo-no"),
        vertex("Source-else"),
        "Branch-a.yes > Echo-yes.text",
        "Branch-a.no > Echo-no.text",
    )
    order = schedule.order_of(made, made.vertices.keys())
    assert ids(order, schedule.Progress(order).begin({0: {"no"}})) == ["Echo-yes", "Source-else"]


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 12))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1), st.sampled_from(("yes", "no")))
    joined = {(low, high, output) for low, high, output in draw(st.lists(pairs, max_size=30)) if low < high}
    names = [f"Branch-{index}" for index in range(size)]
    return Graph(
        vertices={name: vertex(name) for name in draw(st.permutations(names))},
        edges=tuple(Edge(names[low], output, names[high], "text") for low, high, output in sorted(joined)),
    )


@given(acyclic_graphs(), st.data())
def test_every_vertex_of_an_acyclic_graph_runs_once_or_is_excluded_and_after_all_it_waits_for(made: Graph, data: st.DataObject) -> None:
    stopped = {id: data.draw(st.sampled_from(("", "yes", "no"))) for id in made.vertices}
    order = schedule.order_of(made, made.vertices.keys())
    progress = schedule.Progress(order)
    ran: list[str] = []
    excluded: set[str] = set()
    ready = progress.begin({})
    while ready:
        position = ready.pop(data.draw(st.integers(0, len(ready) - 1)))
        id = order.ids[position]
        assert all(edge.source in ran or edge.source in excluded for edge in made.incoming[id])
        ran.append(id)
        more, gone = progress.finish(position, {stopped[id]})
        excluded.update(ids(order, gone))
        ready += more
    assert sorted([*ran, *excluded]) == sorted(made.vertices)
