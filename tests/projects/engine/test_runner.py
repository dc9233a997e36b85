"""What a run does, tried with the sample components."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from projects.engine.component import InputKind
from projects.engine.events import LogAdded, RunEvent, RunStarted, VertexFailed, VertexFinished, VertexResult, VertexStarted
from projects.engine.graph import Field, Graph
from projects.engine.runner import MASK, RunResult, run_graph
from projects.engine.values import Data, Message
from projects.errors import ComponentFailed, FlowCannotRun, Unavailable
from tests.fakes import FakeRunContext
from tests.projects.engine.sample_components import Echo, graph, vertex

BOUND = 5.0


class Recorder:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.events: list[RunEvent] = []

    async def __call__(self, event: RunEvent) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def started(self) -> list[str]:
        return [event.vertex_id for event in self.of(VertexStarted)]


async def run(made: Graph, *, context: FakeRunContext | None = None, on_event: Recorder | None = None, **more: Any) -> RunResult:
    async with asyncio.timeout(BOUND):
        return await run_graph(made, context=context or FakeRunContext(), on_event=on_event or Recorder(), **more)


def texts(result: RunResult) -> dict[str, Any]:
    return {id: {name: value.text for name, value in built.outputs.items()} for id, built in result.results.items()}


def line() -> Graph:
    return graph(vertex("Source-chat", input_value="stored"), vertex("Echo-a", text=""), "Source-chat.message > Echo-a.text")


async def test_values_travel_along_edges_and_results_come_in_file_order() -> None:
    made = graph(vertex("Echo-a", text=""), vertex("Source-chat", input_value="stored"), "Source-chat.message > Echo-a.text")
    result = await run(made)
    assert list(result.results) == ["Echo-a", "Source-chat"]
    assert texts(result)["Echo-a"] == {"message": "Echo-a(stored|coded)"}
    assert not result.waiting


async def test_a_value_of_this_run_wins_over_what_is_stored() -> None:
    result = await run(line(), values={"Source-chat": {"input_value": "hello"}})
    assert texts(result)["Echo-a"] == {"message": "Echo-a(hello|coded)"}


async def test_a_value_for_a_field_with_an_edge_loses_to_the_edge() -> None:
    result = await run(line(), values={"Echo-a": {"text": "ignored", "second": "put"}})
    assert texts(result)["Echo-a"] == {"message": "Echo-a(stored|put)"}


async def test_a_value_of_this_run_is_read_as_the_input_wants_it() -> None:
    result = await run(line(), values={"Echo-a": {"count": "3"}})
    assert result.results["Echo-a"].inputs["count"] == 3


async def test_a_graph_can_be_run_again_and_nothing_of_one_run_reaches_the_next() -> None:
    made = graph(vertex("Keep-a", items=["one"]))
    assert texts(await run(made)) == texts(await run(made)) == {"Keep-a": {"message": "2"}}


async def test_every_session_field_holds_the_run_s_session_whatever_was_typed() -> None:
    made = graph(vertex("Source-chat", input_value="x", session_id="typed"))
    result = await run(made, context=FakeRunContext(session_id="s-1"))
    assert result.results["Source-chat"].inputs["session_id"] == "s-1"


async def test_a_hidden_field_keeps_the_component_s_own_default_unless_it_overrides() -> None:
    hidden = Field("second", "str", InputKind.TEXT, "typed", show=False)
    made = graph(vertex("Echo-a", text="t", fields=[hidden]), vertex("Echo-b", text="t", fields=[replace(hidden, override_skip=True)]))
    assert texts(await run(made)) == {"Echo-a": {"message": "Echo-a(t|coded)"}, "Echo-b": {"message": "Echo-b(t|typed)"}}


async def test_a_hidden_field_with_an_edge_takes_what_the_edge_carries() -> None:
    made = graph(
        vertex("Source-chat", input_value="edge"),
        vertex("Echo-a", fields=[Field("text", "str", InputKind.TEXT, "typed", show=False)]),
        "Source-chat.message > Echo-a.text",
    )
    assert texts(await run(made))["Echo-a"] == {"message": "Echo-a(edge|coded)"}


async def test_an_empty_number_and_a_null_that_is_not_required_mean_the_default() -> None:
    made = graph(vertex("Echo-a", text="", count="", second=None))
    assert (await run(made)).results["Echo-a"].inputs == {"text": "", "second": "coded", "count": 1}


async def test_a_stored_value_that_cannot_be_read_fails_its_vertex_by_name() -> None:
    with pytest.raises(ComponentFailed) as caught:
        await run(graph(vertex("Echo-a", text="", fields=[Field("count", "int", InputKind.INTEGER, "many", display_name="Count")])))
    assert caught.value.reason == "Count: A whole number is expected, got 'many'."


async def test_a_list_field_collects_its_edges_in_file_order_of_edges() -> None:
    made = graph(
        vertex("Source-a", input_value="a"),
        vertex("Source-b", input_value="b"),
        vertex("Collect-end"),
        "Source-b.message > Collect-end.texts",
        "Source-a.message > Collect-end.texts",
    )
    assert texts(await run(made))["Collect-end"] == {"message": "b+a"}


async def test_of_several_edges_into_one_value_the_last_live_one_counts() -> None:
    made = graph(
        vertex("Source-a", input_value="go"),
        vertex("Branch-b", stop=""),
        vertex("Echo-yes"),
        vertex("Echo-no"),
        vertex("Echo-end"),
        "Source-a.message > Branch-b.text",
        "Branch-b.yes > Echo-yes.text",
        "Branch-b.no > Echo-no.text",
        "Echo-yes.message > Echo-end.text",
        "Echo-no.message > Echo-end.text",
    )
    assert texts(await run(made))["Echo-end"] == {"message": "Echo-end(Echo-no(go|coded)|coded)"}
    result = await run(made, values={"Branch-b": {"stop": "no"}})
    assert texts(result)["Echo-end"] == {"message": "Echo-end(Echo-yes(go|coded)|coded)"}


def merge() -> Graph:
    return graph(
        vertex("Source-a", input_value="go"),
        vertex("Branch-b", stop="no"),
        vertex("Echo-yes"),
        vertex("Echo-no"),
        vertex("Echo-end", text="", second="template default"),
        vertex("Collect-end"),
        "Source-a.message > Branch-b.text",
        "Branch-b.yes > Echo-yes.text",
        "Branch-b.no > Echo-no.text",
        "Echo-yes.message > Echo-end.text",
        "Echo-no.message > Echo-end.second",
        "Echo-yes.message > Collect-end.texts",
        "Echo-no.message > Collect-end.texts",
    )


async def test_a_merge_after_a_branch_gets_the_template_default_for_what_was_excluded_and_a_list_gets_nothing() -> None:
    recorder = Recorder()
    result = await run(merge(), on_event=recorder)
    assert texts(result)["Echo-end"] == {"message": "Echo-end(Echo-yes(go|coded)|template default)"}
    assert texts(result)["Collect-end"] == {"message": "Echo-yes(go|coded)"}
    assert "Echo-no" not in result.results
    branch = next(event for event in recorder.of(VertexFinished) if event.result.vertex_id == "Branch-b")
    assert (branch.excluded, branch.next) == (("Echo-no",), ("Echo-yes",))
    assert branch.result.stopped_outputs == {"no"}


async def test_only_connected_outputs_are_computed_and_all_of_them_when_none_is() -> None:
    context = FakeRunContext()
    await run(graph(vertex("Branch-b", text="x", stop=""), vertex("Echo-a"), "Branch-b.no > Echo-a.text"), context=context)
    assert context.state["computed"] == ["no"]
    context = FakeRunContext()
    await run(graph(vertex("Branch-b", text="x", stop="")), context=context)
    assert context.state["computed"] == ["yes", "no"]


async def test_an_output_is_computed_once_however_many_edges_start_at_it() -> None:
    context = FakeRunContext()
    made = graph(
        vertex("Count-a", text=""), vertex("Echo-a"), vertex("Echo-b"), "Count-a.message > Echo-a.text", "Count-a.message > Echo-b.text"
    )
    await run(made, context=context)
    assert context.state["counts"] == {"Count-a": 1}


async def test_an_edge_at_an_output_the_component_does_not_have_fails_with_those_it_has() -> None:
    with pytest.raises(ComponentFailed, match='no output "maybe"; connect one of: yes, no'):
        await run(graph(vertex("Branch-b", text="x", stop=""), vertex("Echo-a"), "Branch-b.maybe > Echo-a.text"))


async def test_events_tell_the_run_from_its_start_to_its_last_vertex() -> None:
    recorder = Recorder()
    await run(line(), on_event=recorder)
    assert [type(event) for event in recorder.events] == [RunStarted, VertexStarted, VertexFinished, VertexStarted, VertexFinished]
    assert recorder.events[0] == RunStarted(first=("Source-chat",), to_run=("Source-chat", "Echo-a"))
    assert [(event.finished, event.total) for event in recorder.of(VertexFinished)] == [(1, 2), (2, 2)]


async def test_logs_artifact_usage_and_inputs_without_secrets_stand_in_the_result() -> None:
    recorder = Recorder()
    result = (await run(graph(vertex("Keep-a", items=["one"], key="sk-secret")), on_event=recorder)).results["Keep-a"]
    assert recorder.of(LogAdded) == [LogAdded("Keep-a", {"name": "note", "message": "kept", "type": "text"})]
    assert (result.artifact, result.token_usage, result.inputs["key"]) == ({"kept": 2}, {"total_tokens": 3}, MASK)
    assert result.duration_seconds > 0


async def test_a_returned_message_without_a_flow_gets_the_run_s() -> None:
    result = await run(line(), context=FakeRunContext(flow_id="f-1"))
    assert result.results["Echo-a"].outputs["message"].flow_id == "f-1"


# --- variables


def secret_field(name: str = "second") -> Field:
    return Field(name, "str", InputKind.TEXT, "MY_KEY", display_name="Second", load_from_db=True)


async def test_a_field_that_names_a_variable_gets_its_value() -> None:
    made = graph(vertex("Echo-a", text="t", fields=[secret_field()]))
    assert texts(await run(made, context=FakeRunContext(variables={"MY_KEY": "v"}))) == {"Echo-a": {"message": "Echo-a(t|v)"}}


async def test_a_missing_variable_fails_the_vertex_and_is_named() -> None:
    with pytest.raises(ComponentFailed) as caught:
        await run(graph(vertex("Echo-a", text="t", fields=[secret_field()])))
    assert '"MY_KEY"' in caught.value.reason
    assert '"Second"' in caught.value.reason
    assert caught.value.component_id == "Echo-a"


async def test_a_variable_is_not_asked_for_when_an_edge_or_a_value_fills_the_field() -> None:
    made = graph(
        vertex("Source-chat", input_value="edge"),
        vertex("Echo-a", text="t", fields=[secret_field("text")]),
        "Source-chat.message > Echo-a.text",
    )
    await run(made)
    await run(graph(vertex("Echo-a", fields=[secret_field("text")])), values={"Echo-a": {"text": "given"}})


# --- at the same time


async def test_independent_vertices_wait_at_the_same_time_and_start_in_file_order() -> None:
    release, reached = asyncio.Event(), asyncio.Event()
    context = FakeRunContext(state=dict.fromkeys(("Wait-c", "Wait-a", "Wait-b"), release) | {"reached": (3, reached)})
    made = graph(vertex("Wait-c", text="c"), vertex("Wait-a", text="a"), vertex("Wait-b", text="b"))
    async with asyncio.timeout(BOUND), asyncio.TaskGroup() as group:
        going = group.create_task(run_graph(made, context=context, on_event=Recorder()))
        await reached.wait()
        release.set()
        result = await going
    assert context.state["began"] == ["Wait-c", "Wait-a", "Wait-b"]
    assert list(result.results) == ["Wait-c", "Wait-a", "Wait-b"]


async def test_a_vertex_does_not_wait_for_strangers_of_its_predecessors() -> None:
    slow, quick, reached = asyncio.Event(), asyncio.Event(), asyncio.Event()
    quick.set()
    context = FakeRunContext(state={"Wait-slow": slow, "Wait-quick": quick, "Wait-next": slow, "reached": (3, reached)})
    made = graph(vertex("Wait-slow", text=""), vertex("Wait-quick", text=""), vertex("Wait-next"), "Wait-quick.message > Wait-next.text")
    async with asyncio.timeout(BOUND), asyncio.TaskGroup() as group:
        group.create_task(run_graph(made, context=context, on_event=Recorder()))
        await reached.wait()  # Wait-next began while Wait-slow still waits
        slow.set()


async def test_layers_start_breadth_first_so_that_nobody_is_starved_by_a_quick_branch() -> None:
    recorder = Recorder()
    made = graph(
        vertex("Source-chat", input_value="x"),
        vertex("Echo-a"),
        vertex("Echo-b"),
        vertex("Echo-after-a"),
        "Source-chat.message > Echo-a.text",
        "Source-chat.message > Echo-b.text",
        "Echo-a.message > Echo-after-a.text",
    )
    await run(made, on_event=recorder)
    assert recorder.started == ["Source-chat", "Echo-a", "Echo-b", "Echo-after-a"]


async def test_a_long_line_lets_other_work_have_its_turn() -> None:
    size = 200
    made = graph(
        *(vertex(f"Echo-{index}", text="") for index in range(size)),
        *(f"Echo-{index}.message > Echo-{index + 1}.text" for index in range(size - 1)),
    )
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.timeout(BOUND), asyncio.TaskGroup() as group:
        beside = group.create_task(other())
        await run_graph(made, context=FakeRunContext())
        beside.cancel()
    assert turns > 3


async def test_a_failure_cancels_what_runs_beside_it_and_leaves_no_task() -> None:
    context = FakeRunContext(state={"Wait-a": asyncio.Event(), "Wait-b": asyncio.Event()})
    recorder = Recorder()
    made = graph(
        vertex("Wait-a", text=""), vertex("Fail-x", text="", how="component"), vertex("Wait-b", text=""), vertex("Echo-after"),
        "Fail-x.message > Echo-after.text",
    )  # fmt: skip
    before = asyncio.all_tasks()
    with pytest.raises(ComponentFailed) as caught:
        await run(made, context=context, on_event=recorder)
    assert caught.value.component_id == "Fail-x"
    assert asyncio.all_tasks() == before
    assert context.state["cancelled"] == ["Wait-a"]  # Wait-b had not begun
    assert [event.result.vertex_id for event in recorder.of(VertexFailed)] == ["Fail-x"]
    assert "Echo-after" not in recorder.started


async def test_cancelling_a_run_cancels_every_component_and_leaves_no_task() -> None:
    reached = asyncio.Event()
    context = FakeRunContext(state={"Wait-a": asyncio.Event(), "Wait-b": asyncio.Event(), "reached": (2, reached)})
    before = asyncio.all_tasks()
    going = asyncio.create_task(run_graph(graph(vertex("Wait-a", text=""), vertex("Wait-b", text="")), context=context))
    async with asyncio.timeout(BOUND):
        await reached.wait()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    assert sorted(context.state["cancelled"]) == ["Wait-a", "Wait-b"]
    assert asyncio.all_tasks() == before


async def test_a_timeout_around_a_run_that_failed_side_by_side_still_works() -> None:
    """The failure of a branch must leave no cancellation behind in the task that ran it."""
    with pytest.raises(ComponentFailed):
        await run(graph(vertex("Fail-x", text=""), vertex("Echo-a", text="")))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()


# --- failures


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("component", "The bucket is empty."),
        ("type", 'Error running method "give": unsupported operand'),
        ("value", "not a date"),
        ("silent", "RuntimeError"),
        ("cancelled", "Something that the component waited for was cancelled."),
    ],
)
async def test_a_failing_component_is_told_by_id_type_name_output_and_reason(how: str, reason: str) -> None:
    recorder = Recorder()
    with pytest.raises(ComponentFailed) as caught:
        await run(graph(vertex("Fail-x", text="t", how=how)), on_event=recorder)
    error = caught.value
    assert (error.component_id, error.component_type, error.display_name, error.output) == ("Fail-x", "Fail", "Fail", "message")
    assert error.reason == reason
    assert error.message == f"Error building Component Fail: \n\n{reason}"
    (failed,) = recorder.of(VertexFailed)
    assert failed.result.error == reason
    assert failed.result.inputs["text"] == "t"


async def test_a_value_an_input_cannot_take_fails_the_vertex_before_it_is_built() -> None:
    given = {"Source-chat": VertexResult("Source-chat", "Source", "Source", outputs={"message": Data({"name": "ann"})})}
    with pytest.raises(ComponentFailed) as caught:
        await run(line(), given=given)
    assert "Text: The record has no key 'text' to take text from; its keys are: name." in caught.value.reason
    assert caught.value.output is None


async def test_an_error_of_ours_inside_a_component_keeps_its_kind() -> None:
    class Refusing(FakeRunContext):
        async def resolve_variable(self, name: str, *, is_secret: bool) -> str | None:
            raise Unavailable("The database is gone.")

    with pytest.raises(Unavailable):
        await run(graph(vertex("Echo-a", text="t", fields=[secret_field()])), context=Refusing())


async def test_a_flow_that_cannot_run_is_refused_before_anything_starts_and_every_node_is_named() -> None:
    recorder = Recorder()
    made = graph(
        vertex("Source-chat", input_value=""), vertex("Agent-x"), vertex("Mystery-y"),
        "Source-chat.message > Agent-x.input_value", "Agent-x.response > Mystery-y.text",
    )  # fmt: skip
    with pytest.raises(FlowCannotRun) as caught:
        await run(made, on_event=recorder)
    assert [(node.node_id, node.reason, node.hint) for node in caught.value.nodes] == [
        ("Agent-x", "Nobody knows this type.", "Take another."),
        ("Mystery-y", "Nobody knows this type.", "Take another."),
    ]
    assert "Agent (Agent-x): Nobody knows this type. Take another." in caught.value.message
    assert recorder.events == []


async def test_a_node_that_cannot_run_stops_nobody_when_the_run_does_not_need_it() -> None:
    made = graph(vertex("Source-chat", input_value="x"), vertex("Agent-island"))
    assert list((await run(made)).results) == ["Source-chat"]


async def test_a_cycle_without_a_loop_ends_normally_with_the_rest() -> None:
    made = graph(
        vertex("Source-chat", input_value="x"),
        vertex("Echo-b"),
        vertex("Echo-c"),
        vertex("Echo-side"),
        "Source-chat.message > Echo-b.text",
        "Echo-b.message > Echo-c.text",
        "Echo-c.message > Echo-b.second",
        "Source-chat.message > Echo-side.text",
    )
    assert list((await run(made)).results) == ["Source-chat", "Echo-side"]


async def test_when_the_start_itself_is_on_a_cycle_it_is_forced_with_its_own_values() -> None:
    made = graph(
        vertex("Source-chat", input_value="own"),
        vertex("Echo-b"),
        "Source-chat.message > Echo-b.text",
        "Echo-b.message > Source-chat.input_value",
    )
    assert texts(await run(made))["Echo-b"] == {"message": "Echo-b(own|coded)"}


async def test_an_empty_graph_ends_with_nothing() -> None:
    assert (await run(Graph())).results == {}


# --- part of a graph


async def test_a_stop_runs_only_what_it_needs() -> None:
    made = graph(
        vertex("Source-chat", input_value="x"),
        vertex("Echo-a"),
        vertex("Echo-b"),
        "Source-chat.message > Echo-a.text",
        "Echo-a.message > Echo-b.text",
    )
    assert list((await run(made, stop="Echo-a")).results) == ["Source-chat", "Echo-a"]


async def test_given_results_are_used_and_not_built_again() -> None:
    context = FakeRunContext()
    made = graph(vertex("Count-a", text=""), vertex("Echo-b"), "Count-a.message > Echo-b.text")
    given = {"Count-a": VertexResult("Count-a", "Count", "Count", outputs={"message": Message(text="kept")})}
    result = await run(made, context=context, given=given)
    assert texts(result)["Echo-b"] == {"message": "Echo-b(kept|coded)"}
    assert result.results["Count-a"] is given["Count-a"]
    assert context.state == {}


async def test_a_given_result_keeps_the_branch_it_stopped_closed() -> None:
    made = merge()
    first = await run(made)
    given = {id: first.results[id] for id in ("Source-a", "Branch-b")}
    assert texts(await run(made, given=given)) == texts(first)


async def test_a_paused_run_ends_as_waiting_with_what_finished_and_can_go_on_from_there() -> None:
    made = graph(
        vertex("Source-a", input_value="x"),
        vertex("Ask-b"),
        vertex("Echo-after"),
        vertex("Echo-beside"),
        "Source-a.message > Ask-b.text",
        "Ask-b.message > Echo-after.text",
        "Source-a.message > Echo-beside.text",
    )
    paused = await run(made)
    assert paused.waiting
    assert [(question.id, question.message) for question in paused.questions] == [("Ask-b", "Go on?")]
    assert list(paused.results) == ["Source-a", "Echo-beside"]
    answer = VertexResult("Ask-b", "Ask", "Ask", outputs={"message": Message(text="yes")})
    resumed = await run(made, given={**paused.results, "Ask-b": answer})
    assert not resumed.waiting
    assert texts(resumed)["Echo-after"] == {"message": "Echo-after(yes|coded)"}


async def test_a_frozen_vertex_is_built_once_for_the_same_inputs() -> None:
    built = []

    class Counting(Echo):
        async def give(self) -> Message:
            built.append(self.inputs["text"])
            return await super().give()

    frozen = replace(vertex("Echo-b", frozen=True), component=Counting)
    made = graph(vertex("Source-a", input_value="one"), frozen, "Source-a.message > Echo-b.text")
    first = await run(made)
    again = await run(made)
    assert texts(again) == texts(first)
    assert again.results["Echo-b"].used_frozen_result and not first.results["Echo-b"].used_frozen_result
    other = await run(made, values={"Source-a": {"input_value": "two"}})
    assert texts(other)["Echo-b"] == {"message": "Echo-b(two|coded)"}
    assert built == ["one", "two"]


async def test_a_component_knows_who_feeds_it_whom_it_feeds_and_what_its_fields_hold() -> None:
    seen = []

    class Looking(Echo):
        async def give(self) -> Message:
            seen.append(self.vertex)
            return await super().give()

    looking = replace(vertex("Echo-b", text="", second="held"), component=Looking)
    await run(
        graph(
            vertex("Source-a", input_value="x"),
            looking,
            vertex("Collect-c"),
            "Source-a.message > Echo-b.text",
            "Echo-b.message > Collect-c.texts",
        )
    )
    (info,) = seen
    assert [source.id for source in info.fed_by["text"]] == ["Source-a"]
    assert info.feeds == ("Collect",)
    assert info.template_defaults["second"] == "held"
