"""What hangs on a loop's item runs once for each item; what listens runs once for each notification; steps are bounded."""

import asyncio
from dataclasses import replace

import pytest

from projects.engine.events import RunStarted, VertexFinished
from projects.engine.graph import Graph
from projects.engine.runner import run_graph
from projects.engine.steps import Steps
from projects.engine.values import Message
from projects.errors import ComponentFailed, FlowCannotRun, LimitReached
from tests.fakes import FakeRunContext
from tests.projects.engine.sample_components import Echo, graph, vertex
from tests.projects.engine.test_runner import Recorder, run, texts


def loop(*more: object, words: str = "a b") -> Graph:
    return graph(
        vertex("Source-chat", input_value=words),
        vertex("Repeat-l", text=""),
        vertex("Echo-body", text=""),
        vertex("Collect-done"),
        "Source-chat.message > Repeat-l.text",
        "Repeat-l.item > Echo-body.text",
        "Echo-body.message >> Repeat-l.item",
        "Repeat-l.done > Collect-done.texts",
        *more,  # type: ignore[arg-type]
    )


async def test_the_body_runs_once_for_each_item_and_done_has_every_result_in_order() -> None:
    heard = Recorder()
    result = await run(loop(), on_event=heard)
    assert texts(result)["Collect-done"] == {"message": "Echo-body(a|coded)/Echo-body(b|coded)"}
    assert heard.started == ["Source-chat", "Repeat-l", "Echo-body", "Echo-body", "Collect-done"]


async def test_the_body_is_no_part_of_the_run_around_it() -> None:
    heard = Recorder()
    result = await run(loop(), on_event=heard)
    assert list(result.results) == ["Source-chat", "Repeat-l", "Collect-done"]
    (started,) = heard.of(RunStarted)
    assert started.to_run == ("Source-chat", "Repeat-l", "Collect-done")
    told = [(event.result.vertex_id, event.finished, event.total) for event in heard.of(VertexFinished)]
    assert told == [("Source-chat", 1, 3), ("Echo-body", 1, 3), ("Echo-body", 1, 3), ("Repeat-l", 2, 3), ("Collect-done", 3, 3)]


async def test_without_items_the_body_does_not_run() -> None:
    heard = Recorder()
    result = await run(loop(words=""), on_event=heard)
    assert texts(result)["Collect-done"] == {"message": ""}
    assert "Echo-body" not in heard.started


async def test_a_loop_of_which_only_the_item_is_connected_runs_still() -> None:
    made = graph(
        vertex("Source-chat", input_value="a b"),
        vertex("Repeat-l", text=""),
        vertex("Count-body", text=""),
        "Source-chat.message > Repeat-l.text",
        "Repeat-l.item > Count-body.text",
    )
    context = FakeRunContext()
    result = await run(made, context=context)
    assert context.state["counts"] == {"Count-body": 2}
    assert list(result.results) == ["Source-chat", "Repeat-l"]


async def test_without_a_way_back_each_item_comes_back_as_nothing() -> None:
    made = loop()
    made = Graph(made.vertices, tuple(edge for edge in made.edges if not edge.is_loop))
    assert texts(await run(made))["Collect-done"] == {"message": "-/-"}


async def test_what_only_the_body_needs_runs_with_it_and_not_around_it() -> None:
    context = FakeRunContext()
    heard = Recorder()
    made = loop(vertex("Count-aside", text=""), "Count-aside.message > Echo-body.second")
    result = await run(made, context=context, on_event=heard)
    assert texts(result)["Collect-done"] == {"message": "Echo-body(a|1)/Echo-body(b|2)"}
    assert heard.started.count("Count-aside") == 2
    assert "Count-aside" not in result.results


async def test_what_the_loop_waited_for_and_inputs_are_taken_as_they_are() -> None:
    context = FakeRunContext()
    heard = Recorder()
    made = loop(
        vertex("Source-aside", input_value="once"),
        vertex("Collect-both"),
        "Source-aside.message > Echo-body.second",
        "Source-chat.message > Collect-both.texts",
        "Echo-body.message > Collect-both.texts",
    )
    result = await run(made, context=context, on_event=heard)
    assert texts(result)["Collect-done"] == {"message": "Echo-body(a|once)/Echo-body(b|once)"}
    assert heard.started.count("Source-aside") == heard.started.count("Source-chat") == 1
    seen = [event.result.outputs["message"].text for event in heard.of(VertexFinished) if event.result.vertex_id == "Collect-both"]
    assert seen == ["a b+Echo-body(a|once)", "a b+Echo-body(b|once)"]


async def test_loops_may_stand_in_loops() -> None:
    made = graph(
        vertex("Source-chat", input_value="a b"),
        vertex("Repeat-outer", text=""),
        vertex("Echo-first", text="", second="x y"),
        vertex("Repeat-inner", text=""),
        vertex("Collect-body"),
        vertex("Collect-done"),
        "Source-chat.message > Repeat-outer.text",
        "Repeat-outer.item > Echo-first.text",
        "Echo-first.message > Repeat-inner.text",
        "Repeat-inner.item > Collect-body.texts",
        "Repeat-outer.item > Collect-body.texts",
        "Collect-body.message >> Repeat-inner.item",
        "Repeat-inner.done >> Repeat-outer.item",
        "Repeat-outer.done > Collect-done.texts",
    )
    heard = Recorder()
    result = await run(made, on_event=heard)
    assert texts(result)["Collect-done"] == {"message": "Echo-first(a|x+a/y)+a/Echo-first(b|x+b/y)+b"}
    assert list(result.results) == ["Source-chat", "Repeat-outer", "Collect-done"]
    assert heard.started.count("Repeat-inner") == 2 and heard.started.count("Collect-body") == 4


async def test_a_branch_not_taken_in_the_body_gives_nothing_for_that_item() -> None:
    made = graph(
        vertex("Source-chat", input_value="yes no"),
        vertex("Repeat-l", text=""),
        vertex("Branch-b", text="", stop="yes"),
        vertex("Echo-yes", text=""),
        vertex("Collect-done"),
        "Source-chat.message > Repeat-l.text",
        "Repeat-l.item > Branch-b.text",
        "Repeat-l.item > Branch-b.stop",
        "Branch-b.yes > Echo-yes.text",
        "Echo-yes.message >> Repeat-l.item",
        "Repeat-l.done > Collect-done.texts",
    )
    assert texts(await run(made))["Collect-done"] == {"message": "-/Echo-yes(no|coded)"}


async def test_what_a_vertex_of_the_body_keeps_in_the_run_begins_anew_with_each_item() -> None:
    class Counting(Echo):
        async def give(self) -> Message:
            key = f"{self.vertex.id}_iteration"
            self.context.state[key] = self.context.state.get(key, 0) + 1
            return Message(text=str(self.context.state[key]))

    made = loop()
    made = made.with_vertices({"Echo-body": replace(made.vertices["Echo-body"], component=Counting)})
    assert texts(await run(made))["Collect-done"] == {"message": "1/1"}


async def test_a_failure_in_the_body_names_the_vertex_in_it() -> None:
    made = loop(vertex("Fail-x", text=""), "Repeat-l.item > Fail-x.text", "Fail-x.message > Echo-body.second")
    with pytest.raises(ComponentFailed) as caught:
        await run(made)
    assert caught.value.component_id == "Fail-x"


async def test_a_body_that_cannot_run_is_refused_before_anything_starts() -> None:
    heard = Recorder()
    with pytest.raises(FlowCannotRun) as caught:
        await run(loop(vertex("Strange-x", text=""), "Repeat-l.item > Strange-x.text"), on_event=heard)
    assert [node.node_id for node in caught.value.nodes] == ["Strange-x"]
    assert not heard.events


async def test_a_frozen_loop_runs_anyway() -> None:
    made = loop()
    made = made.with_vertices({"Repeat-l": replace(made.vertices["Repeat-l"], frozen=True)})
    heard = Recorder()
    await run(made)
    result = await run(made, on_event=heard)
    assert heard.started.count("Echo-body") == 2
    assert not result.results["Repeat-l"].used_frozen_result


async def test_a_loop_that_is_cancelled_leaves_nothing_behind() -> None:
    made = loop(vertex("Wait-a", text=""), vertex("Wait-b", text=""), "Repeat-l.item > Wait-a.text", "Repeat-l.item > Wait-b.text")
    reached = asyncio.Event()
    context = FakeRunContext(state={"Wait-a": asyncio.Event(), "Wait-b": asyncio.Event(), "reached": (2, reached)})
    task = asyncio.create_task(run(made, context=context))
    async with asyncio.timeout(5):
        await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(context.state["cancelled"]) == ["Wait-a", "Wait-b"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_every_vertex_of_every_round_is_a_step_and_steps_are_bounded() -> None:
    steps = Steps(5)
    await run_graph(loop(), context=FakeRunContext(), steps=steps)
    assert steps.taken == 5
    with pytest.raises(LimitReached, match="5 steps"):
        await run_graph(loop(words="a b c"), context=FakeRunContext(), steps=Steps(5))


# --- telling and listening


def telling(*more: object, key: str = "news") -> Graph:
    return graph(
        vertex("Source-chat", input_value="it rains"),
        vertex("Tell-t", text="", name="news"),
        vertex("Hear-h", key=key),
        vertex("Collect-heard"),
        "Source-chat.message > Tell-t.text",
        "Hear-h.message > Collect-heard.texts",
        *more,  # type: ignore[arg-type]
    )


async def test_what_listens_runs_once_for_a_notification_though_nothing_leads_to_it() -> None:
    heard = Recorder()
    result = await run(telling(), start="Source-chat", on_event=heard)
    assert texts(result)["Collect-heard"] == {"message": "heard it rains"}
    assert heard.started == ["Source-chat", "Tell-t", "Hear-h", "Collect-heard"]
    assert list(result.results) == ["Source-chat", "Tell-t", "Hear-h", "Collect-heard"]


async def test_each_notification_is_heard_with_its_own_value() -> None:
    heard = Recorder()
    made = telling(
        vertex("Echo-x", text=""),
        vertex("Tell-again", text="", name="news"),
        "Tell-t.message > Echo-x.text",
        "Echo-x.message > Tell-again.text",
    )
    await run(made, start="Source-chat", on_event=heard)
    seen = [event.result.outputs["message"].text for event in heard.of(VertexFinished) if event.result.vertex_id == "Hear-h"]
    assert seen == ["heard it rains", "heard Echo-x(it rains|coded)"]


async def test_another_name_is_not_heard() -> None:
    heard = Recorder()
    await run(telling(key="weather"), start="Source-chat", on_event=heard)
    assert heard.started == ["Source-chat", "Tell-t"]


async def test_what_is_behind_a_listener_takes_the_rest_from_the_run() -> None:
    heard = Recorder()
    made = telling("Source-chat.message > Collect-heard.texts")
    result = await run(made, start="Source-chat", on_event=heard)
    assert texts(result)["Collect-heard"] == {"message": "heard it rains+it rains"}
    assert heard.started.count("Source-chat") == 1


async def test_a_notification_that_leads_to_itself_ends_at_the_bound() -> None:
    made = telling(vertex("Tell-echo", text="", name="news"), "Hear-h.message > Tell-echo.text")
    with pytest.raises(LimitReached):
        await run_graph(made, context=FakeRunContext(), start="Source-chat", steps=Steps(50))


async def test_a_notification_in_a_loop_is_heard_once_for_each_item() -> None:
    heard = Recorder()
    made = loop(
        vertex("Tell-t", text="", name="news"),
        vertex("Hear-h", key="news"),
        vertex("Collect-heard"),
        "Repeat-l.item > Tell-t.text",
        "Hear-h.message > Collect-heard.texts",
    )
    await run(made, start="Source-chat", on_event=heard)
    seen = [event.result.outputs["message"].text for event in heard.of(VertexFinished) if event.result.vertex_id == "Collect-heard"]
    assert seen == ["heard a", "heard b"]
