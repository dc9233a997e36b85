"""Two workers answer on one port, and it never matters which one does. R10."""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from tests import flow_documents as flows
from tests.chaos.hardship import NO_TLS, Place, three_steps, wait_for
from tests.running_server import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

OLD, NEW = "2025-06-18", "2026-07-28"
ACCEPT = {"accept": "application/json, text/event-stream"}


class Calls:
    """The kinds of calls that are mixed; each is made on a connection of its own, so that servers and workers take turns."""

    def __init__(self, place: Place, addresses: Sequence[str], project_id: str, flow_id: str, slow_id: str) -> None:
        self._place = place
        self._addresses = itertools.cycle(addresses)
        self._flow_id = flow_id
        self._slow_id = slow_id
        self._mcp = f"/api/v1/mcp/project/{project_id}/streamable"
        self._sse = f"/api/v1/mcp/project/{project_id}/sse"

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"x-api-key": self._place.key, **options.pop("headers", {})}
        async with httpx.AsyncClient(base_url=next(self._addresses), timeout=60, verify=NO_TLS) as http:
            return await http.request(method, path, headers=headers, **options)

    async def run(self, marker: str) -> None:
        answer = await self._send("POST", f"/api/v1/run/{self._flow_id}", json={"input_value": marker})
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == marker

    async def background(self, marker: str) -> None:
        started = await self._send("POST", "/api/v1/runs", json={"flow": self._flow_id, "input_value": marker})
        assert started.status_code == 202, started.text
        for _ in range(400):
            read = await self._send("GET", f"/api/v1/runs/{started.json()['id']}")
            assert read.status_code == 200, read.text
            if read.json()["state"] == "completed":
                return
            assert read.json()["state"] in ("queued", "running"), read.text
            await asyncio.sleep(0.05)
        raise AssertionError(f"not completed: {read.text}")

    async def stream(self, marker: str) -> None:
        answer = await self._send("POST", f"/api/v1/run/{self._flow_id}?stream=true", json={"input_value": marker})
        assert answer.status_code == 200, answer.text
        events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.strip()]
        assert events[-1]["event"] == "end", answer.text
        assert marker in json.dumps(events[-1])

    async def cancel(self, marker: str) -> None:
        """Asked of whichever worker: a run that the other one has, or that waits for its turn."""
        started = await self._send("POST", "/api/v1/runs", json={"flow": self._slow_id, "input_value": marker})
        assert started.status_code == 202, started.text
        path = f"/api/v1/runs/{started.json()['id']}"
        asked = await self._send("POST", f"{path}/cancel")
        assert asked.status_code == 202, asked.text
        for _ in range(400):
            read = await self._send("GET", path)
            assert read.status_code == 200, read.text
            if read.json()["state"] == "cancelled":
                return
            assert read.json()["state"] in ("queued", "running"), read.text
            await asyncio.sleep(0.05)
        raise AssertionError(f"not cancelled: {read.text}")

    async def modern(self, marker: str) -> None:
        meta = {"io.modelcontextprotocol/protocolVersion": NEW, "io.modelcontextprotocol/clientCapabilities": {}}
        parameters = {"name": "echo", "arguments": {"input_value": marker}, "_meta": meta}
        headers = ACCEPT | {"mcp-protocol-version": NEW, "mcp-method": "tools/call", "mcp-name": "echo"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}
        answer = await self._send("POST", self._mcp, json=body, headers=headers)
        assert marker in _message(answer)["result"]["content"][0]["text"]

    async def session(self, marker: str) -> None:
        """A session of an older revision: four requests, each on whichever worker."""
        hello = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        opened = await self._send("POST", self._mcp, json=_request("initialize", hello), headers=ACCEPT)
        assert opened.status_code == 200, opened.text
        headers = ACCEPT | {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": OLD}
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await self._send("POST", self._mcp, json=ready, headers=headers)).status_code == 202
        for _ in range(2):
            called = await self._send(
                "POST", self._mcp, json=_request("tools/call", {"name": "echo", "arguments": {"input_value": marker}}), headers=headers
            )
            assert marker in _message(called)["result"]["content"][0]["text"]
        assert (await self._send("DELETE", self._mcp, headers=headers)).status_code in (200, 204)

    async def sse(self, marker: str) -> None:
        """The transport before sessions: what is asked on connections of their own is answered on the one that stays open."""
        async with (
            httpx.AsyncClient(base_url=next(self._addresses), timeout=60, verify=NO_TLS, headers={"x-api-key": self._place.key}) as http,
            http.stream("GET", self._sse) as answers,
        ):
            assert answers.status_code == 200
            lines = answers.aiter_lines()
            path = await _data(lines)
            hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            assert (await self._send("POST", path, json=_request("initialize", hello))).status_code == 202
            assert "result" in json.loads(await _data(lines))
            ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            assert (await self._send("POST", path, json=ready)).status_code == 202
            called = _request("tools/call", {"name": "echo", "arguments": {"input_value": marker}})
            assert (await self._send("POST", path, json=called)).status_code == 202
            assert marker in json.loads(await _data(lines))["result"]["content"][0]["text"]

    async def polled_build(self, marker: str) -> None:
        body = {"inputs": {"input_value": marker}}
        started = await self._send("POST", f"/api/v1/build/{self._flow_id}/flow", json=body)
        assert started.status_code == 200, started.text
        path, told = f"/api/v1/build/{started.json()['job_id']}/events", ""
        for _ in range(400):
            events = await self._send("GET", path, params={"event_delivery": "polling"})
            assert events.status_code == 200, events.text
            told += events.text
            if '"event": "end"' in told or '"event":"end"' in told:
                assert marker in told
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"no end: {told}")

    async def cancelled_build(self, marker: str) -> None:
        """Begun, read and cancelled on connections of their own, so by way of either worker."""
        started = await self._send("POST", f"/api/v1/build/{self._slow_id}/flow", json={"inputs": {"input_value": marker}})
        assert started.status_code == 200, started.text
        job = f"/api/v1/build/{started.json()['job_id']}"
        first = await self._send("GET", f"{job}/events", params={"event_delivery": "polling"})
        assert first.status_code == 200 and "vertices_sorted" in first.text, first.text
        asked = await self._send("POST", f"{job}/cancel")
        assert asked.status_code == 200 and asked.json()["success"] is True, asked.text
        told = await self._send("GET", f"{job}/events", params={"event_delivery": "streaming"})  # ends: the slow step would take a minute
        assert told.status_code == 200 and "HeadwaterTestEffect-c" not in told.text.partition("vertices_sorted")[2].partition("}")[2]

    async def build(self, marker: str) -> None:
        body = {"inputs": {"input_value": marker}}
        started = await self._send("POST", f"/api/v1/build/{self._flow_id}/flow", json=body)
        assert started.status_code == 200, started.text
        events = await self._send("GET", f"/api/v1/build/{started.json()['job_id']}/events", params={"event_delivery": "streaming"})
        assert events.status_code == 200, events.text
        assert "end" in events.text


def _request(method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}


async def _data(lines: AsyncIterator[str]) -> str:
    """Of the next event."""
    async for line in lines:
        if line.startswith("data:") and (data := line.removeprefix("data:").strip()):
            return data
    raise AssertionError("the stream ended")


def _message(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    text = answer.text
    if text.lstrip().startswith(("event:", "data:", ":", "id:")):
        text = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:") and line[5:].strip()][-1]
    found: dict[str, Any] = json.loads(text)
    assert "result" in found, found
    return found


def _echo(place: Place) -> tuple[str, str]:
    flow_id = place.make_flow("echo", flows.echo(), mcp_enabled=True, action_name="echo")
    with place.http() as http:
        return flow_id, str(http.get(f"/api/v1/flows/{flow_id}").json()["folder_id"])


def test_on_sqlite_several_workers_are_refused_with_the_reason(place: Place) -> None:
    if place.is_postgresql:
        pytest.skip("there it works")
    refused = place.run("serve", "--port", "0", "--workers", "2")
    assert refused.running.wait(timeout=60) == 1
    assert "PostgreSQL" in refused.printed


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_thousand_mixed_calls_to_two_workers_never_fail(place: Place, many: int, hosts: int) -> None:
    """R10; with two hosts, which are servers of two workers each that know each other as peers."""
    if not place.is_postgresql:
        pytest.skip("several workers need PostgreSQL")
    place.environment["HEADWATER_CALLS_PER_MINUTE_PER_KEY"] = "0"
    ports = [place.port, free_port()][:hosts]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    if hosts > 1:
        place.environment["HEADWATER_PEERS"] = ",".join(addresses)
    servers = [place.serve("--workers", "2")]
    for port in ports[1:]:
        servers.append(place.run("serve", "--port", str(port), "--workers", "2"))
        wait_for(lambda: is_healthy(addresses[-1]), what="the other server")
    flow_id, project_id = _echo(place)
    calls = Calls(place, addresses, project_id, flow_id, place.make_flow("slow", three_steps(60.0), mcp_enabled=False))
    kinds = [
        *(calls.run, calls.stream, calls.background, calls.cancel, calls.build),
        *(calls.polled_build, calls.cancelled_build, calls.modern, calls.session, calls.sse),
    ]
    made: Counter[str] = Counter()
    chance = random.Random(2)

    async def all_of_them() -> None:
        room = asyncio.Semaphore(16)

        async def one(number: int) -> None:
            async with room:
                kind = chance.choice(kinds)
                await kind(f"marker-{number}")
                made[kind.__name__] += 1

        await asyncio.gather(*(one(number) for number in range(10 * many)))

    began = time.monotonic()
    asyncio.run(all_of_them())
    print(f"{made.total()} calls in {time.monotonic() - began:.0f} s: {dict(made)}")
    for server in servers:
        assert server.terminate() == 0
        assert "Traceback" not in server.printed


def is_healthy(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health_check", timeout=5, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


def test_a_run_is_cancelled_by_way_of_another_process_at_once(place: Place) -> None:
    place.serve(HEADWATER_BACKGROUND_RUNS="0")
    place.run("worker")
    flow_id = place.make_flow("slow", three_steps(60.0))
    with place.http() as http:
        run_id = http.post("/api/v1/runs", json={"flow": flow_id}).json()["id"]
        wait_for(lambda: len(place.effects) == 2, what="the worker to be in the second step")
        assert http.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202
    assert place.wait_until_over([run_id], seconds=10) == {run_id: "cancelled"}


def test_a_worker_that_dies_is_replaced_and_its_runs_go_on(place: Place, many: int) -> None:
    place.environment |= {"HEADWATER_MAX_RUN_ATTEMPTS": "10"}
    place.serve(HEADWATER_BACKGROUND_RUNS="0")
    first = place.run("worker")
    flow_id = place.make_flow("steps", three_steps(1.0))
    with place.http() as http:
        runs = [http.post("/api/v1/runs", json={"flow": flow_id}).json()["id"] for _ in range(max(3, many // 10))]
        wait_for(lambda: len(place.effects) >= 2 * len(runs), what="the worker to be in the second steps")
    first.kill()
    place.run("worker")
    assert set(place.wait_until_over(runs, seconds=60).values()) == {"completed"}
    assert place.effects.count((runs[0], "HeadwaterTestEffect-a")) == 1
