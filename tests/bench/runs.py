"""`python -m tests.bench.runs`: runs in the background and streams, beside the same steps on a bare loop.

The bare loop does per run what no server can leave out: a task in this process that gives way once for each component.
"""

import asyncio
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.__main__ import TEXT, _found, headwater
from tests.bench.echo_flow import echo_flow
from tests.bench.load import Connection, Target, get_json, post_json

RUNS_ALONE = 100
RUNS_AT_ONCE = 300
CALLERS = 8
STREAMS = 100


async def bare_run(started: list[float]) -> None:
    started.append(time.perf_counter())
    for _ in range(2):
        await asyncio.sleep(0)


async def bare_figures() -> tuple[float, float]:
    """Milliseconds from making a task to its start (p50), and tasks a second."""
    waits: list[float] = []
    started: list[float] = []
    for _ in range(RUNS_ALONE):
        asked = time.perf_counter()
        await asyncio.create_task(bare_run(started))
        waits.append((started[-1] - asked) * 1_000)
    begun = time.perf_counter()
    await asyncio.gather(*(asyncio.create_task(bare_run(started)) for _ in range(RUNS_AT_ONCE)))
    return statistics.median(waits), RUNS_AT_ONCE / (time.perf_counter() - begun)


async def start(port: int, body: Any, headers: dict[str, str]) -> dict[str, Any]:
    return dict(await post_json(port, "/api/v1/runs", body, headers))


async def until_over(port: int, run: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    while run["state"] in ("queued", "running"):
        run = await get_json(port, f"/api/v1/runs/{run['id']}", headers)
    if run["state"] != "completed":
        raise SystemExit(f"a run ended as {run}")
    return run


async def request_to_start(port: int, body: Any, headers: dict[str, str]) -> float:
    """p50 in milliseconds from the request to the moment that the run's own record has for its start."""
    taken = []
    for _ in range(RUNS_ALONE):
        asked = time.time()
        run = await until_over(port, await start(port, body, headers), headers)
        taken.append((datetime.fromisoformat(run["started_at"]).timestamp() - asked) * 1_000)
    return statistics.median(taken)


async def runs_a_second(port: int, body: Any, headers: dict[str, str]) -> float:
    """From the first request to the end of the last run, by their own records: asking how they stand would cost more than they do."""

    async def some() -> list[dict[str, Any]]:
        return [await start(port, body, headers) for _ in range(RUNS_AT_ONCE // CALLERS)]

    begun = time.time()
    started = [run for runs in await asyncio.gather(*(some() for _ in range(CALLERS))) for run in runs]
    ended = [datetime.fromisoformat((await until_over(port, run, headers))["finished_at"]).timestamp() for run in started]
    return len(ended) / (max(ended) - begun)


async def first_event(port: int, flow_id: str, headers: dict[str, str]) -> float:
    """p50 in milliseconds from the request to the first event of `/run?stream=true`."""
    wire = Target("", port, f"/api/v1/run/{flow_id}?stream=true", {"input_value": TEXT}, headers, b"").wire
    taken = []
    for _ in range(STREAMS):
        connection = await Connection.open(port)
        asked = time.perf_counter()
        answer = asyncio.ensure_future(connection.ask(wire))
        await connection.until(b'"add_message"')
        taken.append((time.perf_counter() - asked) * 1_000)
        await answer
        connection.close()
    return statistics.median(taken)


async def compare_runs() -> None:
    with tempfile.TemporaryDirectory(prefix="headwater-runs-") as folder:
        async with headwater(Path(folder), until="Stop with Ctrl+C") as server:
            headers = {"x-api-key": _found(r"API key\s+(sk-\S+)", server.output)}
            project_id = _found(r"/api/v1/mcp/project/([0-9a-f-]{36})/streamable", server.output)
            flow = await post_json(server.port, "/api/v1/flows/", echo_flow(project_id), headers)
            body = {"flow": flow["id"], "input_value": TEXT}
            await until_over(server.port, await start(server.port, body, headers), headers)  # imports and compiles
            started = await request_to_start(server.port, body, headers)
            rate = await runs_a_second(server.port, body, headers)
            event = await first_event(server.port, flow["id"], headers)
    bare_start, bare_rate = await bare_figures()
    print(f"\n{'runs':<34}{'ours':>10}{'bare loop':>12}")
    print(f"{'request to start, p50 ms':<34}{started:>10.2f}{bare_start:>12.3f}")
    print(f"{f'runs in the background/s at {CALLERS}':<34}{rate:>10,.0f}{bare_rate:>12,.0f}")
    print(f"{'first event of a stream, p50 ms':<34}{event:>10.2f}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare_runs())
