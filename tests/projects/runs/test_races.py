"""Things that happen to a run at the very moment of something else."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from projects.errors import HeadwaterError
from projects.invocation import Invocation
from projects.runs import queue
from projects.runs.live import LiveRun
from projects.runs.record import RunIdentity
from storage.run_writer import RunBatch, RunWriter
from tests import flow_documents as flows
from tests.projects.runs.test_lost_leases import has, saying, until_stored
from tests.services import open_test_services


def at_the_last_write(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Do it once, when a run has given what it leaves at its end to the writer and waits for the commit."""
    submit, is_done = RunWriter.submit, False

    async def write(writer: RunWriter, batch: RunBatch) -> list[int]:
        nonlocal is_done
        written = submit(writer, batch)
        if not is_done and any(values.get("state") == "completed" for _, values in batch.inserts):
            is_done = True
            do()
        return await written

    monkeypatch.setattr(RunWriter, "write", write)


async def test_a_run_that_is_stopped_while_its_end_is_committed_answers_as_its_record_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        invocations = services.invocations

        def stop_all() -> None:
            for run_id in list(invocations._live._runs):
                invocations.stop(run_id)

        at_the_last_write(monkeypatch, stop_all)
        result = await invocations.invoke(caller, await has(services, caller, flows.echo()), Invocation(input_value="hi"))
        assert (result.state, (await services.runs.get(caller, result.run_id)).state) == ("completed", "completed")


async def test_a_run_that_is_stopped_in_the_moment_before_its_end_ends_as_stopped() -> None:
    identity = RunIdentity("run", "owner", "principal", "run", None, "flow", 1, "session", "process", datetime.now(UTC))
    ended = False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as scope:
            live = LiveRun(identity, "flow", 1, True, scope)
            live.stop()
            await live.end()
            ended = True
    assert live.is_stopped and not ended


async def test_a_run_whose_starter_leaves_while_it_is_accepted_begins_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the database as running, and nothing here runs it."""
    monkeypatch.setattr(queue, "RECOVER_SECONDS", 0.05)
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.05)
    submit = RunWriter.submit
    leaving: list[asyncio.Task[str]] = []

    async def write(writer: RunWriter, batch: RunBatch) -> list[int]:
        written = submit(writer, batch)
        if leaving:
            leaving.pop().cancel()
        return await written

    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, flows.echo())
        monkeypatch.setattr(RunWriter, "write", write)
        starting = asyncio.create_task(services.invocations.start(caller, flow_id, Invocation(input_value="hi")))
        leaving.append(starting)
        await asyncio.wait({starting})
        assert starting.cancelled()
        async with asyncio.timeout(20):
            while not [run for run in await services.runs.list_runs(caller) if run.state == "completed"]:  # noqa: ASYNC110 - rows
                await asyncio.sleep(0.01)


async def test_deleting_a_flow_ends_its_runs_with_an_answer_that_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, goes_on: asyncio.Event
) -> None:
    async with open_test_services(tmp_path) as (services, caller):
        flow_id = await has(services, caller, saying())
        handle = await services.invocations.open(
            caller, await services.invocations._flows.resolve(caller.user_id, flow_id), Invocation(input_value="hi")
        )
        handle.detach()
        await until_stored(services, caller, handle.run_id)
        await services.flows.delete(caller, flow_id)
        goes_on.set()
        with pytest.raises(HeadwaterError):
            await handle.outcome()
        goes_on.clear()
        background = await has(services, caller, saying())
        run_id = await services.invocations.start(caller, background, Invocation(input_value="hi"))
        await until_stored(services, caller, run_id)
        await services.flows.delete(caller, background)
        goes_on.set()
        await services.invocations.wait_until_idle()
    assert not [record for record in caplog.records if record.levelname == "ERROR"], caplog.text
