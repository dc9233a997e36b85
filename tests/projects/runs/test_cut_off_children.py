"""A step that runs another flow and is cut off runs it again: what the first one said is not said twice."""

import asyncio
from pathlib import Path

from projects.access.caller import Caller
from projects.flows.library import FlowChanges, FlowDraft
from projects.invocation import Invocation
from projects.services import ProjectServices
from tests import flow_documents as flows
from tests.projects.runs.test_lost_leases import saying
from tests.services import open_test_services, to_text


async def begun(services: ProjectServices, caller: Caller) -> tuple[str, str]:
    """Ids of the inner flow and of a run of the outer one in the background, whose step runs the inner one, which has run a step."""
    inner = (await services.flows.create(caller, FlowDraft(name="Inner", document=to_text(saying())))).id
    outer = (await services.flows.create(caller, FlowDraft(name="Outer", document=to_text(flows.running("Inner"))))).id
    run_id = await services.invocations.start(caller, outer, Invocation(input_value="hi"))
    while not await finished_steps(services, caller, inner):  # noqa: ASYNC110 - rows, no event
        await asyncio.sleep(0)
    return inner, run_id


async def finished_steps(services: ProjectServices, caller: Caller, flow_id: str) -> list[str]:
    runs = await services.runs.list_runs(caller, flow_id=flow_id)
    return [each.vertex_id for run in runs for each in (await services.runs.get_with_vertices(caller, run.id))[1]]


async def said(services: ProjectServices, caller: Caller, flow_id: str) -> list[str]:
    return sorted(stored.message.sender_name for stored in await services.messages.list_messages(caller, flow_id=flow_id))


async def states(services: ProjectServices, caller: Caller, flow_id: str) -> list[str]:
    return [run.state for run in await services.runs.list_runs(caller, flow_id=flow_id)]


async def test_what_a_flow_said_that_was_cut_off_with_its_step_is_stored_once(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        inner, run_id = await begun(services, caller)
        # A kill -9 now leaves this behind.
        assert await states(services, caller, inner) == ["running"] and await said(services, caller, inner) == []
        await services.invocations.drain(0)
    async with open_test_services(tmp_path, background_runs=0) as (services, caller):
        assert (await services.runs.get(caller, run_id)).state == "queued"
        assert await states(services, caller, inner) == ["interrupted"]
        assert await said(services, caller, inner) == []
        await services.flows.update(caller, inner, FlowChanges(document=to_text(saying(0))))
    async with open_test_services(tmp_path) as (services, caller):
        await services.invocations.wait_until_idle()
        run = await services.runs.get(caller, run_id)
        assert run.state == "completed" and any("RunFlow-r" in warning for warning in run.warnings)
        assert await states(services, caller, inner) == ["completed", "interrupted"]
        assert await said(services, caller, inner) == ["AI", "Say", "User"]


async def test_what_a_flow_said_that_was_stopped_with_its_run_is_kept(tmp_path: Path) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        inner, run_id = await begun(services, caller)
        await services.invocations.cancel(caller, run_id)
        await services.invocations.wait_until_idle()
        assert await states(services, caller, inner) == ["cancelled"]
        assert await said(services, caller, inner) == ["Say", "User"]
