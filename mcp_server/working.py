"""`headwater worker`: a process that serves nobody and runs what waits for its turn."""

import asyncio
import gc

import click

from mcp_server.serving import YOUNG_OBJECTS, loop_factory, on_signals
from mcp_server.settings import Settings, SettingsProblem
from mcp_server.wiring import open_services


def work(settings: Settings) -> None:
    """Until SIGTERM or Ctrl+C. Raises SettingsProblem when it would run nothing."""
    if not settings.background_runs:
        raise SettingsProblem("HEADWATER_BACKGROUND_RUNS is 0, so a worker would run nothing: leave it out, or set it for servers only.")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(settings))


async def _work(settings: Settings) -> None:
    stopping = asyncio.Event()
    on_signals(lambda number: stopping.set())
    async with open_services(settings) as services:
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 20, 50)
        gc.enable()
        click.echo(f"Headwater takes runs from the queue, {settings.background_runs} at once.")
        await stopping.wait()
        await services.invocations.drain(settings.drain_seconds)
