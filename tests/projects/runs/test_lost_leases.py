"""A run that another process has taken, because this one seemed dead: what it still does here leaves nothing behind."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from projects.access.caller import Caller
from projects.errors import NotFound, Unavailable
from projects.flows.library import FlowDraft
from projects.invocation import Invocation
from projects.services import ProjectServices
from tests import flow_documents as flows
from tests.services import open_test_services, to_text

LATER = timedelta(hours=1)  # far beyond every lease


def saying(seconds: float = 600) -> dict[str, Any]:
    """Chat input → a message that is stored and a wait → chat output."""
    return flows.document(
        [flows.chat_input(), flows.node("HeadwaterTestSay", "HeadwaterTestSay-s", {"text": "", "seconds": seconds}), flows.chat_output()],
        [
            flows.edge("ChatInput-in", "HeadwaterTestSay-s", "text"),
            flows.edge("HeadwaterTestSay-s", "ChatOutput-out", "input_value", output="message"),
        ],
    )


async def has(services: ProjectServices, caller: Caller, document: dict[str, Any]) -> str:
    return (await services.flows.create(caller, FlowDraft(name="says", document=to_text(document)))).id


async def until_stored(services: ProjectServices, caller: Caller, run_id: str) -> None:
    """Until its first step is committed and the next one has begun."""
    stored: Sequence[object] = ()
    while not stored:
        await asyncio.sleep(0)
        with suppress(NotFound):  # a run in the foreground is known once it has begun
            _, stored = await services.runs.get_with_vertices(caller, run_id)


async def be_taken_by_another(services: ProjectServices) -> None:
    """What a process does that takes this one for dead."""
    queue = services.invocations._queue
    another = type(queue)(queue._database, process_id="another", limits=queue._limits)
    while not await another.recover(datetime.now(UTC) + LATER):  # noqa: ASYNC110 - its lease may be renewed in between
        await asyncio.sleep(0)


async def senders(services: ProjectServices, caller: Caller) -> list[str]:
    return [stored.message.sender_name for stored in await services.messages.list_messages(caller)]


async def test_a_step_that_ends_after_its_run_was_taken_stores_nothing(tmp_path: Path, goes_on: asyncio.Event) -> None:
    async with open_test_services(tmp_path, background_runs=1) as (services, caller):
        run_id = await services.invocations.start(caller, await has(services, caller, saying()), Invocation(input_value="hi"))
        await until_stored(services, caller, run_id)
        services.invocations._queue._is_taking = False  # or it would be taken here at once
        await be_taken_by_another(services)
        goes_on.set()
        await services.invocations._background.wait_until_idle()
        assert await senders(services, caller) == ["User"]
        run = await services.runs.get(caller, run_id)
        assert (run.state, run.attempt) == ("queued", 2)


async def test_who_waits_for_a_run_that_was_ended_elsewhere_is_told(tmp_path: Path, goes_on: asyncio.Event) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, saying())
        waiting = asyncio.create_task(services.invocations.invoke(caller, flow_id, Invocation(input_value="hi")))
        await be_taken_by_another(services)
        goes_on.set()
        with pytest.raises(Unavailable, match="another process"):
            await waiting
        (run,) = await services.runs.list_runs(caller)
        assert run.state == "interrupted"
        assert "Say" not in await senders(services, caller)


async def test_a_computer_that_slept_goes_on_with_its_own_runs(tmp_path: Path, goes_on: asyncio.Event) -> None:
    """The clock is beyond every lease, and the runs are still going on here."""
    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, saying())
        run_id = await services.invocations.start(caller, flow_id, Invocation(input_value="hi"))
        await until_stored(services, caller, run_id)
        assert await services.invocations._queue.recover(datetime.now(UTC) + LATER) == 0
        goes_on.set()
        await services.invocations.wait_until_idle()
        run = await services.runs.get(caller, run_id)
        assert (run.state, run.attempt) == ("completed", 1)
        assert sorted(await senders(services, caller)) == ["AI", "Say", "User"]


async def test_a_run_that_comes_back_to_the_process_that_still_runs_it_is_ended_by_its_newest_attempt(tmp_path: Path) -> None:
    async with open_test_services(tmp_path, background_runs=2) as (services, caller):
        invocations = services.invocations
        run_id = await invocations.start(caller, await has(services, caller, saying()), Invocation(input_value="hi"))
        await until_stored(services, caller, run_id)
        first = invocations._live.find(run_id)
        assert first is not None
        await be_taken_by_another(services)
        invocations._queue.wake()
        while (second := invocations._live.find(run_id)) is first:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        first.stop()
        while len(invocations._background) > 1:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        run = await services.runs.get(caller, run_id)
        assert (run.state, run.attempt) == ("running", 2)
        assert second is not None
        second.stop()
        await invocations._background.wait_until_idle()
        assert (await services.runs.get(caller, run_id)).state == "cancelled"
