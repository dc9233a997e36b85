"""Starts the three servers, measures them in turn, prints the table."""

import asyncio
import re
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from tests.bench.echo_flow import echo_flow
from tests.bench.load import Latency, Target, is_healthy, measure_latency, measure_rate, post_json, send

ROUNDS = 3  # the targets take turns, so that a busy moment of the machine meets all of them
CALLS_ALONE = 800
CALLERS = 16
SECONDS_AT_ONCE = 2.0
COLD_STARTS = 3
CALLS_FOR_MEMORY = 5_000

TEXT = "A sentence to send back, as long as a short question is."
PROTOCOL = "2026-07-28"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Headwater:
    process: Process
    port: int
    output: str


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def headwater(data_dir: Path, *, until: str) -> AsyncIterator[Headwater]:
    """Our server once it has printed `until` and answers /health_check."""
    async with running("-m", "mcp_server", "serve", "--port", "0", "--data-dir", str(data_dir)) as process:
        assert process.stdout is not None
        output = ""
        while until not in output:
            line = await process.stdout.readline()
            if not line:
                raise SystemExit(f"headwater serve ended early. It said:\n{output}")
            output += line.decode()
        port = int(_found(r"runs at http://127\.0\.0\.1:(\d+)", output))
        if not await is_healthy(port):
            raise SystemExit("/health_check does not answer 200")
        yield Headwater(process, port, output)


async def bare_port(stack: AsyncExitStack, kind: str) -> int:
    process = await stack.enter_async_context(running("-m", "tests.bench.bare_servers", kind))
    assert process.stdout is not None
    return int(await process.stdout.readline())


def tool_call(name: str, port: int, path: str, headers: dict[str, str]) -> Target:
    parameters = {"name": "bench_echo", "arguments": {"input_value": TEXT}}
    return _message(name, port, path, {**headers, "mcp-name": "bench_echo"}, "tools/call", parameters, TEXT.encode())


def discover(port: int, path: str, headers: dict[str, str]) -> Target:
    """Asks for nothing that a flow has a part in, and is answered only once the protocol is loaded."""
    return _message("server/discover", port, path, headers, "server/discover", {}, b"capabilities")


def _message(name: str, port: int, path: str, headers: dict[str, str], method: str, parameters: dict[str, Any], expected: bytes) -> Target:
    meta = {"io.modelcontextprotocol/protocolVersion": PROTOCOL, "io.modelcontextprotocol/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**parameters, "_meta": meta}}
    wanted = {"accept": "application/json, text/event-stream", "mcp-protocol-version": PROTOCOL, "mcp-method": method}
    return Target(name, port, path, body, {**headers, **wanted}, expected)


def memory_megabytes(process: Process) -> float:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:  # only Linux has it
        return float("nan")
    return int(_found(r"VmRSS:\s+(\d+) kB", status)) / 1024


async def cold_start_seconds(data_dir: Path, first: Headwater) -> tuple[float, float]:
    """To the first healthy answer, and to the first one over MCP."""
    key, mcp_path = _key_and_path(first)
    started = time.perf_counter()
    async with headwater(data_dir, until="runs at") as server:
        healthy = time.perf_counter() - started
        await send(discover(server.port, mcp_path, key), calls=1, callers=1)
        return healthy, time.perf_counter() - started


async def in_turn(targets: list[Target], measure: Callable[[Target], Awaitable[T]]) -> dict[str, list[T]]:
    measured: dict[str, list[T]] = {target.name: [] for target in targets}
    for _ in range(ROUNDS):
        for target in targets:
            measured[target.name].append(await measure(target))
    return measured


async def compare(stack: AsyncExitStack, server: Headwater) -> None:
    key, mcp_path = _key_and_path(server)
    flow = await post_json(server.port, "/api/v1/flows/", echo_flow(mcp_path.split("/")[5]), key)
    ours_call = tool_call("tools/call", server.port, mcp_path, key)
    ours_run = Target("/run", server.port, f"/api/v1/run/{flow['id']}", {"input_value": TEXT}, key, TEXT.encode())
    sdk = tool_call("bare SDK server", await bare_port(stack, "sdk"), "/mcp", {})
    route = Target("bare Starlette route", await bare_port(stack, "starlette"), "/run", {"input_value": TEXT}, {}, TEXT.encode())
    targets = [ours_call, sdk, ours_run, route]

    for target in targets:  # the first calls import and compile
        await measure_latency(target, calls=100)
    alone = await in_turn(targets, lambda target: measure_latency(target, calls=CALLS_ALONE))
    at_once = await in_turn(targets, lambda target: measure_rate(target, callers=CALLERS, seconds=SECONDS_AT_ONCE))

    print(f"\n{'':<22}{'p50 ms':>9}{'p99 ms':>9}{f'calls/s at {CALLERS}':>17}")
    for target in targets:
        p50, p99 = _middle(alone[target.name])
        print(f"{target.name:<22}{p50:>9.2f}{p99:>9.2f}{statistics.median(at_once[target.name]):>17,.0f}")
    print()
    for ours, bare, limits in ((ours_call, sdk, "at most 4, aim 2.5; at least 0.25"), (ours_run, route, "no limit set")):
        latency = _middle(alone[ours.name])[0] / _middle(alone[bare.name])[0]
        rate = statistics.median(at_once[ours.name]) / statistics.median(at_once[bare.name])
        print(f"{ours.name} to {bare.name}: p50 x {latency:.2f}, rate x {rate:.2f}  ({limits})")


async def memory_after_calls(data_dir: Path, first: Headwater) -> tuple[float, float]:
    """In a process of its own, so that idle means idle."""
    key, mcp_path = _key_and_path(first)
    async with headwater(data_dir, until="runs at") as server:
        await send(discover(server.port, mcp_path, key), calls=1, callers=1)
        idle = memory_megabytes(server.process)
        await send(tool_call("tools/call", server.port, mcp_path, key), calls=CALLS_FOR_MEMORY, callers=4)
        return idle, memory_megabytes(server.process)


async def main() -> None:
    from tests.bench import lists, runs  # which start servers as this module does

    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
        data_dir = Path(folder)
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(headwater(data_dir, until="Stop with Ctrl+C"))
            await compare(stack, first)
        healthy, mcp = zip(*[await cold_start_seconds(data_dir, first) for _ in range(COLD_STARTS)], strict=True)
        idle, used = await memory_after_calls(data_dir, first)
    print(
        f"cold start to the first healthy answer: {statistics.median(healthy):.2f} s  (limit 1); over MCP: {statistics.median(mcp):.2f} s"
    )
    print(f"memory when idle: {idle:.0f} MB  (limit 120); after {CALLS_FOR_MEMORY:,} calls: {used:.0f} MB")
    await lists.compare_lists()
    await runs.compare_runs()


def _middle(rounds: list[Latency]) -> tuple[float, float]:
    return statistics.median(each.p50_milliseconds for each in rounds), statistics.median(each.p99_milliseconds for each in rounds)


def _key_and_path(server: Headwater) -> tuple[dict[str, str], str]:
    """What the first start printed: the header with the key, and the first project's address."""
    return {"x-api-key": _found(r"API key\s+(sk-\S+)", server.output)}, _found(r"(/api/v1/mcp/project/\S+/streamable)", server.output)


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"nothing like {pattern} in:\n{text}")
    return found[1]


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
