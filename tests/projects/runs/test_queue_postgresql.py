"""The queue on PostgreSQL, through the use cases of two processes on one database."""

import asyncio
from pathlib import Path

import pytest

from projects.access.caller import Caller
from projects.errors import Unavailable
from projects.invocation import Invocation
from projects.services import ProjectServices
from storage.database import DatabaseSettings
from tests.projects.runs.test_queue import has, steps, until_in
from tests.services import open_test_services


async def until_is(services: ProjectServices, caller: Caller, run_id: str, state: str) -> None:
    async with asyncio.timeout(20):
        while (await services.runs.get(caller, run_id)).state != state:  # noqa: ASYNC110 - rows, no event
            await asyncio.sleep(0.01)


async def test_a_server_without_places_has_its_runs_done_by_a_worker(tmp_path: Path, postgresql_settings: DatabaseSettings) -> None:
    url = postgresql_settings.url
    async with open_test_services(tmp_path, database_url=url, background_runs=0, max_queued_runs=4) as (server, caller):
        quick = await has(server, caller, steps(0), name="quick")
        long_one = await has(server, caller, steps(600), name="long")
        ids = [await server.invocations.start(caller, quick, Invocation(input_value=str(number))) for number in range(3)]
        cut_off = await server.invocations.start(caller, long_one, Invocation())
        with pytest.raises(Unavailable, match="wait for their turn"):
            await server.invocations.start(caller, quick, Invocation())
        given_up = ids.pop()
        await server.invocations.cancel(caller, given_up)
        async with open_test_services(tmp_path, database_url=url, background_runs=2) as (worker, _):
            await until_in(server, caller, cut_off, "HeadwaterTestCount-c")
            await worker.invocations.drain(0)
        # The worker ended in the middle of it, in order: it waits for the next one, which does not run again what had finished.
        assert (await server.runs.get(caller, cut_off)).state == "queued"
        async with open_test_services(tmp_path, database_url=url, background_runs=2):
            await until_is(server, caller, cut_off, "running")
            await server.invocations.cancel(caller, cut_off)
            await until_is(server, caller, cut_off, "cancelled")
        states = [(await server.runs.get(caller, id)).state for id in (*ids, given_up)]
        assert states == ["completed", "completed", "cancelled"]
        ran = [vertex.vertex_id for vertex in (await server.runs.get_with_vertices(caller, cut_off))[1]]
        assert ran.count("HeadwaterTestCount-c") == 1


async def test_a_process_takes_no_more_than_its_places_and_accepts_what_it_has_places_for(
    tmp_path: Path, postgresql_settings: DatabaseSettings
) -> None:
    async with open_test_services(tmp_path, database_url=postgresql_settings.url, background_runs=2, max_queued_runs=0) as (only, caller):
        flow_id = await has(only, caller, steps(600))
        ids = [await only.invocations.start(caller, flow_id, Invocation()) for _ in range(2)]
        for run_id in ids:
            await until_in(only, caller, run_id, "HeadwaterTestCount-c")
        with pytest.raises(Unavailable, match="wait for their turn"):
            await only.invocations.start(caller, flow_id, Invocation())
        for run_id in ids:
            await only.invocations.cancel(caller, run_id)
            await until_is(only, caller, run_id, "cancelled")
