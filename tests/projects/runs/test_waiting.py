"""Runs that wait, go on, are left to themselves and are looked after, through the use cases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from projects.access.caller import Caller
from projects.engine.events import InnerEvent, MessageAdded, RunEvent, VertexFinished, VertexStarted
from projects.engine.questions import Answer
from projects.errors import ComponentFailed, RunCancelled
from projects.flows.library import FlowDraft
from projects.invocation import Invocation, InvocationResult
from projects.services import ProjectServices
from tests import flow_documents as flows
from tests.databases import PostgresqlServer
from tests.rest_adapter.test_background_runs import asking, human_input
from tests.services import open_test_services, to_text

APPROVE = {"HumanInput-h": Answer("accept", {"decision": "approve"})}


async def has(services: ProjectServices, caller: Caller, name: str, document: dict[str, Any]) -> str:
    return (await services.flows.create(caller, FlowDraft(name=name, document=to_text(document)))).id


async def begin(services: ProjectServices, caller: Caller, document: dict[str, Any], **further: Any) -> InvocationResult:
    flow_id = await has(services, caller, "made for a test", document)
    return await services.invocations.invoke(caller, flow_id, Invocation(input_value="a letter", output_type="any", **further))


def waiting_for_ever() -> dict[str, Any]:
    return flows.document(
        [flows.chat_input(), flows.node("HeadwaterTestWait", "HeadwaterTestWait-w", {"text": "", "seconds": 600.0}), flows.chat_output()],
        [flows.edge("ChatInput-in", "HeadwaterTestWait-w", "text"), flows.edge("HeadwaterTestWait-w", "ChatOutput-out", "input_value")],
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_waiting_run_outlives_the_process_that_began_it(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    further: dict[str, Any] = {}
    if kind == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        stack = server.empty_database()
        further["database_url"] = stack.__enter__().url
        request.addfinalizer(lambda: stack.__exit__(None, None, None))
    async with open_test_services(tmp_path, **further) as (services, caller):
        waiting = await begin(services, caller, asking(), request_variables={"TOKEN": "a-secret-of-the-request"}, session_id="s")
        assert waiting.state == "waiting"
    if kind == "sqlite":
        kept = await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in tmp_path.glob("headwater.db*")))
        assert b"a-secret-of-the-request" not in kept
    async with open_test_services(tmp_path, **further) as (services, caller):
        run = await services.runs.get(caller, waiting.run_id)
        assert (run.state, [question.id for question in run.questions]) == ("waiting", ["HumanInput-h"])
        (soonest,) = await services.runs.outputs(caller, waiting.run_id)
        assert (soonest.vertex_id, soonest.outputs["text"].text) == ("TextOutput-out", "1")
        handle = await services.invocations.answer(caller, waiting.run_id, APPROVE)
        result = await handle.wait()
        assert result is not None
        assert (result.state, result.session_id, result.input_value) == ("completed", "s", "a letter")
        assert [output.vertex_id for output in result.outputs] == ["ChatOutput-yes", "TextOutput-out"]
        assert result.outputs[1].outputs["text"].text == "1"


async def test_a_run_that_was_left_to_itself_goes_on_when_who_waited_is_cancelled(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        prepared = await services.prepared_flows.resolve(caller.user_id, await has(services, caller, "echo", flows.echo()))
        handle = await services.invocations.open(caller, prepared, Invocation(input_value="hi"))
        handle.detach()
        waiter = asyncio.create_task(handle.wait())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait({waiter})
        await services.invocations.wait_until_idle()
        assert (await services.runs.get(caller, handle.run_id)).state == "completed"
        (output,) = await services.runs.outputs(caller, handle.run_id)
        assert output.outputs["message"].text == "hi"


async def test_a_run_ends_with_who_waits_for_it_until_it_is_left_to_itself(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        prepared = await services.prepared_flows.resolve(caller.user_id, await has(services, caller, "slow", waiting_for_ever()))
        handle = await services.invocations.open(caller, prepared, Invocation(input_value="hi"))
        assert await handle.wait(0) is None
        waiter = asyncio.create_task(handle.wait())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait({waiter})
        await services.invocations.wait_until_idle()
        await services.invocations._writer.flush()
        assert (await services.runs.get(caller, handle.run_id)).state == "cancelled"


async def test_a_run_in_a_task_of_its_own_raises_what_it_ended_with(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        broken = flows.document([flows.node("HeadwaterTestFail", "HeadwaterTestFail-1", {"reason": "no luck"})], [])
        prepared = await services.prepared_flows.resolve(caller.user_id, await has(services, caller, "broken", broken))
        handle = await services.invocations.open(caller, prepared, Invocation())
        for _ in range(2):
            with pytest.raises(ComponentFailed, match="no luck"):
                await handle.wait()
        prepared = await services.prepared_flows.resolve(caller.user_id, await has(services, caller, "slow", waiting_for_ever()))
        handle = await services.invocations.open(caller, prepared, Invocation())
        await asyncio.sleep(0)
        await services.invocations.cancel(caller, handle.run_id)
        with pytest.raises(RunCancelled):
            await handle.wait()


async def test_a_question_that_nobody_answers_in_time_takes_the_fallback(tmp_path: Path) -> None:
    document = asking(enable_fallback=True, timeout={"value": {"value": 2, "unit": "Hours"}, "type": "duration"})
    document["nodes"].append(flows.chat_output("ChatOutput-else"))
    document["edges"].append(flows.edge("HumanInput-h", "ChatOutput-else", "input_value", output="branch_fallback"))
    async with open_test_services(tmp_path) as (services, caller):
        waiting = await begin(services, caller, document)
        (question,) = waiting.questions
        assert question.expires_at is not None
        assert timedelta(hours=1) < question.expires_at - datetime.now(UTC) <= timedelta(hours=2)
        await services.run_housekeeping.settle()
        assert (await services.runs.get(caller, waiting.run_id)).state == "waiting"
        await services.run_housekeeping.settle(question.expires_at)
        await services.invocations.wait_until_idle()
        run = await services.runs.get(caller, waiting.run_id)
        assert run.state == "completed" and run.result is not None
        assert list(run.result["outputs"]) == ["TextOutput-out", "ChatOutput-else"]


async def test_a_question_that_nobody_answers_in_time_fails_the_run_without_a_fallback(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        waiting = await begin(services, caller, asking())
        await services.run_housekeeping.settle(datetime.now(UTC) + timedelta(days=4))
        await services.invocations.wait_until_idle()
        run = await services.runs.get(caller, waiting.run_id)
        assert run.state == "failed" and run.error is not None and "in time" in run.error["message"]


async def test_a_question_whose_time_is_over_is_settled_when_its_run_is_looked_at(tmp_path: Path) -> None:
    document = asking(timeout={"value": "0.000001 seconds", "type": "str"})
    async with open_test_services(tmp_path) as (services, caller):
        waiting = await begin(services, caller, document)
        assert (await services.runs.get(caller, waiting.run_id)).state != "waiting"
        await services.invocations.wait_until_idle()
        assert (await services.runs.get(caller, waiting.run_id)).state == "failed"


async def test_nothing_in_a_flow_that_another_flow_runs_can_wait(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        inner = flows.document(
            [flows.chat_input(), human_input(), flows.chat_output()],
            [
                flows.edge("ChatInput-in", "HumanInput-h", "prompt"),
                flows.edge("HumanInput-h", "ChatOutput-out", "input_value", output="branch_approve"),
            ],
        )
        await has(services, caller, "Inner", inner)
        with pytest.raises(ComponentFailed, match="cannot wait for a person"):
            await begin(services, caller, flows.running("Inner"))


async def test_what_an_inner_flow_tells_reaches_who_listens_as_something_inside(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        await has(services, caller, "Inner", flows.echo())
        outer = await has(services, caller, "Outer", flows.running("Inner"))
        told: list[RunEvent] = []

        async def listen(event: RunEvent) -> None:
            told.append(event)

        result = await services.invocations.invoke(caller, outer, Invocation(input_value="hi"), on_event=listen)
        inside = [event for event in told if isinstance(event, InnerEvent)]
        assert {event.flow_name for event in inside} == {"Inner"}
        assert {event.run_id for event in inside}.isdisjoint({result.run_id})
        assert sum(isinstance(event.event, MessageAdded) for event in inside) == 2
        assert [event.finished for event in told if isinstance(event, VertexFinished)] == [1, 2, 3]


async def test_what_runs_leave_behind_stays_within_its_bounds(tmp_path: Path) -> None:
    bounds = {"max_vertex_builds_to_keep": 5, "max_vertex_builds_per_vertex": 2, "max_transactions_to_keep": 3, "run_results_hours": 1}
    async with open_test_services(tmp_path, **bounds) as (services, caller):
        flow_id = await has(services, caller, "echo", flows.echo())
        for _ in range(4):
            run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hi"))
            await services.invocations.wait_until_idle()
        assert (await services.monitoring.list_transactions(caller, flow_id))[1] == 8
        assert len(await services.runs.outputs(caller, run_id)) == 1
        await services.run_housekeeping.trim()
        assert (await services.monitoring.list_transactions(caller, flow_id))[1] == 3
        assert len((await services.runs.get_with_vertices(caller, run_id))[1]) == 2
        assert await services.monitoring.delete_builds(caller, flow_id) == 4
        assert len(await services.runs.outputs(caller, run_id)) == 1
        await services.run_housekeeping.trim(datetime.now(UTC) + timedelta(hours=2))
        assert await services.runs.outputs(caller, run_id) == ()


async def test_two_hundred_runs_at_once_hold_no_connection_while_their_components_wait(tmp_path: Path) -> None:
    document = waiting_for_ever()
    document["nodes"][1]["data"]["node"]["template"]["seconds"]["value"] = 0.2
    async with open_test_services(tmp_path, database_pool_size=5, max_running_calls_per_key=200, background_runs=0) as (services, caller):
        flow_id = await has(services, caller, "slow", document)
        engine = services.runs._database._engine
        assert engine is not None
        out = 0

        def count(change: int) -> Any:
            def change_count(*_: Any) -> None:
                nonlocal out
                out += change

            return change_count

        event.listen(engine.sync_engine, "checkout", count(1))
        event.listen(engine.sync_engine, "checkin", count(-1))
        seen: list[int] = []
        arrived = 0
        all_are_there = asyncio.Event()

        async def watch(happened: RunEvent) -> None:
            nonlocal arrived
            if isinstance(happened, VertexStarted) and happened.vertex_id == "HeadwaterTestWait-w":
                arrived += 1
                if arrived == 200:
                    all_are_there.set()
                await all_are_there.wait()
                seen.append(out)

        runs = [services.invocations.invoke(caller, flow_id, Invocation(input_value=str(n)), on_event=watch) for n in range(200)]
        results = await asyncio.gather(*runs)
        assert all(result.state == "completed" for result in results)
        assert seen == [0] * 200


async def test_a_resumed_run_counts_its_steps_on(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, max_steps_per_run=5) as (services, caller):
        waiting = await begin(services, caller, asking())
        handle = await services.invocations.answer(caller, waiting.run_id, APPROVE)
        with pytest.raises(Exception, match="stopped after 5 steps"):
            await handle.wait()
        assert replace(await services.runs.get(caller, waiting.run_id)).state == "failed"
