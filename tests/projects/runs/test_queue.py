"""The queue of runs in the background, through the use cases: places, bounds, deadlines, retries, and going on after a cut."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from projects.access.caller import Caller
from projects.errors import LimitReached, Unavailable
from projects.flows.library import FlowChanges, FlowDraft
from projects.invocation import Invocation
from projects.runs import queue
from projects.runs.one_run import retries_of
from projects.runs.waiting import WaitingRun, WaitingRuns
from projects.services import ProjectServices
from storage.database import DatabaseUnavailable
from storage.run_writer import RunBatch, RunWriter
from storage.tables import RunRow
from tests import flow_documents as flows
from tests.services import open_test_services, to_text


def steps(seconds: float) -> dict[str, Any]:
    """Chat input → a count → a wait → chat output; the count tells how often it ran in the run."""
    return flows.document(
        [
            flows.chat_input(),
            flows.node("HeadwaterTestCount", "HeadwaterTestCount-c", {"text": ""}),
            flows.node("HeadwaterTestWait", "HeadwaterTestWait-w", {"text": "", "seconds": seconds}),
            flows.chat_output(),
        ],
        [
            flows.edge("ChatInput-in", "HeadwaterTestCount-c", "text"),
            flows.edge("HeadwaterTestCount-c", "HeadwaterTestWait-w", "text"),
            flows.edge("HeadwaterTestWait-w", "ChatOutput-out", "input_value"),
        ],
    )


async def has(services: ProjectServices, caller: Caller, document: dict[str, Any], *, name: str = "steps", **values: Any) -> str:
    return (await services.flows.create(caller, FlowDraft(name=name, document=to_text(document), **values))).id


async def until_in(services: ProjectServices, caller: Caller, run_id: str, vertex: str) -> None:
    """Until the vertex is known to have finished."""
    while vertex not in [each.vertex_id for each in (await services.runs.get_with_vertices(caller, run_id))[1]]:  # noqa: ASYNC110 - rows, no event
        await asyncio.sleep(0)


async def test_runs_beyond_the_places_wait_for_their_turn(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, background_runs=1) as (services, caller):
        long_one = await services.invocations.start(caller, await has(services, caller, steps(600)), Invocation())
        quick = await has(services, caller, steps(0), name="quick")
        ids = [await services.invocations.start(caller, quick, Invocation(input_value=str(n))) for n in range(3)]
        assert [(await services.runs.get(caller, id)).state for id in (long_one, *ids)] == ["running", "queued", "queued", "queued"]
        await services.invocations.cancel(caller, long_one)
        await services.invocations.wait_until_idle()
        runs = [await services.runs.get(caller, id) for id in ids]
        assert [run.state for run in runs] == ["completed"] * 3
        assert [run.started_at for run in runs] == sorted(run.started_at for run in runs if run.started_at is not None)


async def test_a_full_queue_refuses_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, background_runs=0, max_queued_runs=2) as (services, caller):
        flow_id = await has(services, caller, steps(0))
        for _ in range(2):
            await services.invocations.start(caller, flow_id, Invocation())
        with pytest.raises(Unavailable, match="wait for their turn") as refused:
            await services.invocations.start(caller, flow_id, Invocation())
        assert refused.value.retry_after_seconds > 0


async def test_a_process_without_places_leaves_its_runs_to_the_next(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, background_runs=0) as (services, caller):
        run_id = await services.invocations.start(caller, await has(services, caller, steps(0)), Invocation(input_value="hi"))
        assert (await services.runs.get(caller, run_id)).state == "queued"
    async with open_test_services(tmp_path) as (services, caller):
        await services.invocations.wait_until_idle()
        run = await services.runs.get(caller, run_id)
        assert (run.state, run.attempt, run.warnings) == ("completed", 1, ())


async def test_a_run_that_cannot_begin_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_test_services(tmp_path, background_runs=0) as (services, caller):
        flow_id = await has(services, caller, steps(0))
        broken, *others = [await services.invocations.start(caller, flow_id, Invocation(input_value="hi")) for _ in range(3)]
    load_taken = WaitingRuns.load_taken

    async def load(waiting: WaitingRuns, row: RunRow) -> WaitingRun:
        if row.id == broken:
            raise RuntimeError("a defect")
        return await load_taken(waiting, row)

    monkeypatch.setattr(WaitingRuns, "load_taken", load)
    async with open_test_services(tmp_path, background_runs=3) as (services, caller):
        await services.invocations.wait_until_idle()
        assert [(await services.runs.get(caller, id)).state for id in others] == ["completed"] * 2
        assert f"Run {broken} could not begin" in caplog.text


async def test_a_queued_run_can_be_cancelled(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, background_runs=0) as (services, caller):
        run_id = await services.invocations.start(caller, await has(services, caller, steps(0)), Invocation())
        await services.invocations.cancel(caller, run_id)
        assert (await services.runs.get(caller, run_id)).state == "cancelled"


async def test_a_run_that_is_stopping_can_be_stopped_again(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        run_id = await services.invocations.start(caller, await has(services, caller, steps(600)), Invocation())
        await until_in(services, caller, run_id, "HeadwaterTestCount-c")
        await services.invocations.cancel(caller, run_id)
        services.invocations.stop(run_id)  # asked for by way of another process too
        await services.invocations.wait_until_idle()
        assert (await services.runs.get(caller, run_id)).state == "cancelled"


async def test_a_run_that_an_orderly_end_cut_off_goes_on_without_what_had_finished(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, steps(600))
        run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hi"))
        await until_in(services, caller, run_id, "HeadwaterTestCount-c")
        await services.invocations.drain(0)
    async with open_test_services(tmp_path, background_runs=0) as (services, caller):
        assert (await services.runs.get(caller, run_id)).state == "queued"
    async with open_test_services(tmp_path) as (services, caller):
        await services.invocations.cancel(caller, run_id)
        await services.invocations.wait_until_idle()
        run = await services.runs.get(caller, run_id)
        assert (run.state, run.attempt) == ("cancelled", 1)
        assert "HeadwaterTestWait-w" in run.warnings[0]
        ran = [vertex.vertex_id for vertex in (await services.runs.get_with_vertices(caller, run_id))[1]]
        assert ran.count("HeadwaterTestCount-c") == 1


async def left_behind(services: ProjectServices, caller: Caller, run_id: str) -> None:
    """Have the run be of a process that is no more, as kill -9 would leave it."""
    await until_in(services, caller, run_id, "HeadwaterTestCount-c")
    queue = services.invocations._queue
    foreign = type(queue)(queue._database, process_id="another", limits=queue._limits)
    while not await foreign.recover(datetime.now(UTC) + timedelta(hours=1)):  # noqa: ASYNC110 - its lease was renewed in between
        await asyncio.sleep(0)


def says(seconds: float) -> dict[str, Any]:
    """Chat input → a message that is stored before a wait; beside it a count, which is quick."""
    return flows.document(
        [
            flows.chat_input(),
            flows.node("HeadwaterTestSay", "HeadwaterTestSay-s", {"text": "", "seconds": seconds}),
            flows.node("HeadwaterTestCount", "HeadwaterTestCount-c", {"text": ""}),
        ],
        [
            flows.edge("ChatInput-in", "HeadwaterTestSay-s", "text"),
            flows.edge("ChatInput-in", "HeadwaterTestCount-c", "text"),
        ],
    )


async def test_what_a_step_stored_before_it_was_cut_off_is_not_stored_twice(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, says(600))
        run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hello"))
        await until_in(services, caller, run_id, "HeadwaterTestCount-c")
        # A kill -9 now leaves this behind: the step beside it was committed, the message of the one in the middle was not.
        assert [stored.message.sender_name for stored in await services.messages.list_messages(caller)] == ["User"]
        await services.invocations.drain(0)
    async with open_test_services(tmp_path, background_runs=0) as (services, caller):
        assert (await services.runs.get(caller, run_id)).state == "queued"
        assert [stored.message.sender_name for stored in await services.messages.list_messages(caller)] == ["User"]


async def test_a_run_of_a_dead_process_goes_back_into_the_queue_until_its_attempts_are_spent(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, max_run_attempts=2) as (services, caller):
        flow_id = await has(services, caller, steps(600))
        run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hi"))
        await left_behind(services, caller, run_id)
        run = await services.runs.get(caller, run_id)
        assert (run.state, run.attempt) == ("queued", 2)
        services.invocations._live.find(run_id).stop()  # type: ignore[union-attr]  # the process that had it
        await services.invocations._background.wait_until_idle()
        assert (await services.runs.get(caller, run_id)).state == "queued"  # what it says at its end counts no more
        assert await services.invocations._queue.take_now() == 1
        await left_behind(services, caller, run_id)
        run = await services.runs.get(caller, run_id)
        assert run.state == "interrupted" and run.error is not None and "2 times" in run.error["message"]


async def test_a_run_that_takes_too_long_fails(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, max_run_seconds=0.05) as (services, caller):
        flow_id = await has(services, caller, steps(600))
        with pytest.raises(LimitReached, match="HEADWATER_MAX_RUN_SECONDS"):
            await services.invocations.invoke(caller, flow_id, Invocation(input_value="hi"))
        run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hi"))
        await services.invocations.wait_until_idle()
        assert (await services.runs.get(caller, run_id)).state == "failed"


async def test_a_failing_run_is_tried_again_only_where_the_author_asked_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LOOK_SECONDS", 3_600)  # or the second attempt may be over before it is looked at
    broken = flows.document([flows.node("HeadwaterTestFail", "HeadwaterTestFail-1", {"reason": "no luck"})], [])
    async with open_test_services(tmp_path) as (services, caller):
        once = await has(services, caller, broken, name="once")
        twice = await has(services, caller, broken, name="twice", tags=["retry:1"])
        ids = [await services.invocations.start(caller, flow_id, Invocation()) for flow_id in (once, twice)]
        await services.invocations.wait_until_idle()
        first, second = [await services.runs.get(caller, id) for id in ids]
        assert (first.state, second.state, second.attempt) == ("failed", "queued", 2)
        assert "no luck" in second.warnings[0]


@pytest.mark.parametrize(("tags", "count"), [((), 0), (("retry:3",), 3), (("retry:x", "retry: 2", "chat"), 2), (("retry:999",), 20)])
def test_the_author_says_by_a_tag_how_often_to_try_again(tags: tuple[str, ...], count: int) -> None:
    assert retries_of(tags) == count


async def test_a_stopping_process_accepts_nothing_more(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, steps(0))
        await services.invocations.drain(0)
        with pytest.raises(Unavailable, match="stopping"):
            await services.invocations.start(caller, flow_id, Invocation())
        with pytest.raises(Unavailable, match="stopping"):
            await services.invocations.invoke(caller, flow_id, Invocation())


async def test_a_run_whose_flow_changed_after_it_was_cut_off_says_so(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, steps(600))
        run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hi"))
        await until_in(services, caller, run_id, "HeadwaterTestCount-c")
        await services.invocations.drain(0)
    async with open_test_services(tmp_path, background_runs=0) as (services, caller):
        await services.flows.update(caller, flow_id, FlowChanges(document=to_text(steps(0))))
    async with open_test_services(tmp_path) as (services, caller):
        await services.invocations.wait_until_idle()
        run = await services.runs.get(caller, run_id)
        assert run.state == "failed" and run.error is not None and "changed" in run.error["message"]


async def test_a_step_that_was_kept_although_the_connection_broke_is_not_the_run_s_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit arrived and its answer did not: what is written again is there already."""
    monkeypatch.setattr(queue, "RECOVER_SECONDS", 0.05)
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.05)
    submit, broken = RunWriter.submit, False

    async def breaking(writer: RunWriter, batch: RunBatch) -> list[int]:
        nonlocal broken
        counts = await submit(writer, batch)
        if not broken and any("checkpoint" in change.values for change in batch.updates):
            broken = True
            raise DatabaseUnavailable("the connection was lost")
        return counts

    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, steps(0))
        monkeypatch.setattr(RunWriter, "write", breaking)
        run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hi"))
        async with asyncio.timeout(20):
            while (run := await services.runs.get(caller, run_id)).state in ("queued", "running"):  # noqa: ASYNC110 - rows, no event
                await asyncio.sleep(0.01)
        assert broken
        assert (run.state, run.attempt) == ("completed", 2)
