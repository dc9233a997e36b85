"""Sandboxes are shared: each owner has a part of them, and whoever comes when there is none waits in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from projects.custom_code.host import CodeFailed
from projects.custom_code.sandbox import pool as pools
from projects.custom_code.sandbox.command import Bounds
from projects.custom_code.sandbox.pool import SandboxPool
from tests.projects.custom_code.sandbox.conftest import Sandboxes

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUNDS = Bounds(seconds=20.0, memory_bytes=512 * 1024 * 1024, folder_bytes=8 * 1024 * 1024)


@pytest_asyncio.fixture(loop_scope="module")
async def shared(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandboxes]:
    """Three places, two of them for one owner at most, and the third for runs inside these."""
    monkeypatch.setattr(pools, "MAX_WORKERS", 3)
    monkeypatch.setattr(pools, "MAX_WORKERS_OF_ONE", 2)
    monkeypatch.setattr(pools, "MAX_WORKERS_OF_ONE_INSIDE", 3)
    async with SandboxPool(BOUNDS) as pool:
        if pool.unavailable:
            pytest.skip(f"no sandbox here: {pool.unavailable}")
        yield Sandboxes(pool)


async def one_turn() -> None:
    """Everything that can go on without an answer of a worker has done so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_owner_who_fills_their_share_waits_and_keeps_nobody_else_out(shared: Sandboxes) -> None:
    for number in range(2):
        await shared.say("return 'mine'", run=f"ada {number}")
    waiting = asyncio.create_task(shared.say("return 'third'", run="ada 2"))
    await one_turn()
    assert await shared.say("return 'bob is served'", run="bob 0", owner="bob") == "bob is served"
    assert not waiting.done() and shared.pool.running_count == 3
    shared.end("ada 0")
    assert await waiting == "third"


async def test_of_those_who_wait_the_owner_with_least_is_next_and_then_who_came_first(shared: Sandboxes) -> None:
    for run, owner in (("ada 0", "ada"), ("ada 1", "ada"), ("bob 0", "bob")):
        await shared.say("return ''", run=run, owner=owner)
    served: list[str] = []

    async def wait(run: str, owner: str) -> None:
        await shared.say("return ''", run=run, owner=owner)
        served.append(run)

    async with asyncio.TaskGroup() as group:
        for run, owner in (("ada 2", "ada"), ("bob 1", "bob"), ("bob 2", "bob"), ("eve 0", "eve")):
            group.create_task(wait(run, owner))
            await one_turn()
        for ending, owner, next_one in (
            ("ada 0", "ada", "eve 0"),
            ("ada 1", "ada", "ada 2"),
            ("eve 0", "eve", "bob 1"),
            ("bob 0", "bob", "bob 2"),
        ):
            shared.end(ending, owner)
            async with asyncio.timeout(30):
                while next_one not in served:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.01)
            assert served[-1] == next_one
    assert shared.pool.running_count == 3


async def test_runs_that_have_a_share_do_not_wait_for_each_other_with_what_they_run(shared: Sandboxes) -> None:
    for number in range(2):
        await shared.say("return ''", run=f"ada {number}")
    waiting = asyncio.create_task(shared.say("return 'mine'", run="ada 2"))
    await one_turn()
    for number in range(2):  # one after the other: each gives its place back
        assert await shared.say("return 'inside'", run=f"inside {number}", is_inside=True) == "inside"
        shared.end(f"inside {number}")
    assert not waiting.done()
    shared.end("ada 0")
    assert await waiting == "mine"


async def test_a_wait_that_is_too_long_is_told_with_what_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MAX_WORKERS", 2)
    monkeypatch.setattr(pools, "MAX_WORKERS_OF_ONE", 1)
    async with SandboxPool(BOUNDS, wait_seconds=0.1) as pool:
        if pool.unavailable:
            pytest.skip(f"no sandbox here: {pool.unavailable}")
        shared = Sandboxes(pool)
        await shared.say("return ''", run="ada 0")
        with pytest.raises(CodeFailed) as own:
            await shared.say("return ''", run="ada 1")
        assert own.value.reason == (
            "1 runs of this owner's flows use a sandbox now, and no more can; none ended within 0.1 s. Try again shortly."
        )
        await shared.say("return ''", run="bob 0", owner="bob")
        with pytest.raises(CodeFailed, match=r"^2 runs use a sandbox now, and no more can; none ended within"):
            await shared.say("return ''", run="eve 0", owner="eve")
        shared.end("ada 1")  # the run that was refused is over, and waits no more
        shared.end("ada 0")
        assert pool.running_count == 2  # eve's run still waits for its worker and has it now


async def test_a_run_that_ends_while_it_waits_takes_nobodys_place(shared: Sandboxes) -> None:
    for number in range(2):
        await shared.say("return ''", run=f"ada {number}")
    waiting = asyncio.create_task(shared.say("return ''", run="ada 2"))
    await one_turn()
    waiting.cancel()
    await asyncio.wait({waiting})
    shared.end("ada 2")
    shared.end("ada 0")
    assert shared.pool.running_count == 1
    assert await shared.say("return 'next'", run="ada 3") == "next"
