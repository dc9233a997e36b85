"""What strange, hostile and very many clients do to the server: nothing. HEADWATER_LONG_TESTS=1 makes the numbers many times as large."""

import asyncio
import gc
import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.mcp_server.conftest import BOTH_TYPES, META, TLS, Served

IS_LONG = os.environ.get("HEADWATER_LONG_TESTS") == "1"
MALFORMED = 10_000 if IS_LONG else 300
CONNECTS = 2_000 if IS_LONG else 60
CALLS = 10_000 if IS_LONG else 500
CLIENTS = 50


def resident_megabytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_sockets() -> int:
    """Sockets alone: how many files the database's pool has open depends on how many requests met. Only Linux tells; elsewhere 0."""
    try:
        links = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if os.path.lexists(entry)]
    except OSError:
        return 0
    return sum(link.startswith("socket:") for link in links)


async def settled_tasks() -> int:
    """How many tasks are left once those that only have to end have ended."""
    last = -1
    for _ in range(1_000):
        await asyncio.sleep(0)
        if (now := len(asyncio.all_tasks())) == last:
            continue
        last = now
    return last


async def test_each_of_fifty_clients_with_equal_ids_gets_its_own_answers(served: Served) -> None:
    await served.add_tool("echo")

    async def client(number: int) -> None:
        era_headers = await served.open_session() if number % 2 else None
        async with httpx2.AsyncClient(timeout=60, verify=TLS) as http:
            for call in range(CALLS // CLIENTS):
                marker = f"client {number} call {call}"
                params: dict[str, Any] = {"name": "echo", "arguments": {"input_value": marker}}
                headers = era_headers
                if headers is None:
                    params["_meta"] = META
                    headers = {
                        **BOTH_TYPES,
                        "x-api-key": served.application.key,
                        "mcp-protocol-version": "2026-07-28",
                        "mcp-method": "tools/call",
                        "mcp-name": "echo",
                    }
                body = {"jsonrpc": "2.0", "id": call, "method": "tools/call", "params": params}
                answer = await http.post(served.project_address(), json=body, headers=headers)
                told = message_in(answer)
                assert told["id"] == call
                assert [block["text"] for block in told["result"]["content"]] == [marker]

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


def message_in(answer: httpx2.Response) -> dict[str, Any]:
    """The one JSON-RPC message of an answer, plain or in an event stream."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("application/json"):
        return dict(answer.json())
    return dict(next(json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")))


METHODS = (
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "x" * 5_000,
    "",
    "\x00",
    "\ud800",
)


def malformed(chance: random.Random) -> bytes:
    """One message that is wrong in some way, or not even a message."""

    def value(depth: int = 0) -> Any:
        plain: list[Any] = [None, True, 0, -1, 1.5, 10**30, "", "x", "é\u202e", "\x00", "\ud800", "echo", "headwater://x", "9" * 300]
        if depth > 2 or chance.random() < 0.6:
            return chance.choice(plain)
        if chance.random() < 0.5:
            return [value(depth + 1) for _ in range(chance.randrange(4))]
        return {chance.choice(["name", "uri", "cursor", "arguments", "_meta", "ref", "a", "\x00"]): value(depth + 1) for _ in range(3)}

    kind = chance.random()
    if kind < 0.1:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(60)))
    if kind < 0.15:
        return chance.choice([b"[", b'{"a":', b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":[']) * 2_000
    if kind < 0.2:
        number = chance.choice([b"1e999", b"-1e999", b"9" * 5_000, b"NaN", b"Infinity", b"0x10", b"01"])
        return b'{"jsonrpc":"2.0","id":' + number + b',"method":"ping"}'
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": chance.choice(METHODS), "params": {}}
    if chance.random() < 0.7:
        message["params"] = {
            "name": chance.choice(["echo", "translator", value()]),
            "uri": value(),
            "cursor": value(),
            "arguments": value(),
            "ref": {"type": chance.choice(["ref/prompt", "ref/resource", value()]), "name": value(), "uri": value()},
            "argument": {"name": value(), "value": value()},
            "_meta": chance.choice([META, {**META, "progressToken": value()}, value()]),
        }
        for name in list(message["params"]):
            if chance.random() < 0.4:
                del message["params"][name]
    for name in ("jsonrpc", "id", "method", "params", "result", "error"):
        if chance.random() < 0.15:
            message[name] = value()
        elif chance.random() < 0.05:
            message.pop(name, None)
    whole: Any = [message] * chance.randrange(4) if chance.random() < 0.1 else message
    return json.dumps(whole).encode()


async def test_malformed_messages_are_no_server_error_and_leave_nothing_behind(served: Served) -> None:
    await served.add_tool("echo")
    chance = random.Random(4_951_206)
    session = await served.open_session()
    common = {**BOTH_TYPES, "x-api-key": served.application.key}
    before_tasks, before_memory = await settled_tasks(), 0.0
    for number in range(MALFORMED):
        body = malformed(chance)
        headers = chance.choice([common, session, {**common, "mcp-protocol-version": "2026-07-28"}])
        if headers is not session and "mcp-protocol-version" in headers:
            headers = {**headers, "mcp-method": chance.choice(METHODS[:16]), "mcp-name": chance.choice(["echo", "", "x"])}
        answer = await served.http.post(served.project_address(), content=body, headers=headers)
        assert answer.status_code < 500, (number, body[:300], answer.text)
        if opened := answer.headers.get("mcp-session-id") if headers is not session else None:
            await served.http.delete(served.project_address(), headers={**common, "mcp-session-id": opened})
        if number == MALFORMED // 5:
            gc.collect()
            before_memory = resident_megabytes()
    gc.collect()
    grown = resident_megabytes() - before_memory
    if IS_LONG:
        print(f"\n{MALFORMED} malformed messages: memory grew by {grown:.1f} MB over the last four fifths")
    assert grown < 40
    assert await settled_tasks() <= before_tasks + 5
    alive = await served.post("tools/call", {"name": "echo", "arguments": {"input_value": "alive"}})
    assert alive.json()["result"]["content"][0]["text"] == "alive"


async def test_a_mix_of_openings_leaves_tasks_sockets_and_memory_where_they_were(served: Served) -> None:
    common = {**BOTH_TYPES, "x-api-key": served.application.key}
    chance = random.Random(77)

    async def one(kind: int) -> None:
        async with httpx2.AsyncClient(timeout=30, verify=TLS) as http:
            if kind == 0:
                session = await served.open_session()
                assert (await http.delete(served.project_address(), headers=session)).status_code == 200
            elif kind == 1:
                assert (await http.get(served.project_address(), headers=common)).status_code in (400, 404, 405)
            elif kind == 2:
                assert (await http.delete(served.project_address(), headers=common)).status_code in (400, 404, 405)
            else:
                async with http.stream("GET", served.project_address("sse"), headers=common) as stream:
                    assert stream.status_code == 200
                    async for _ in stream.aiter_lines():
                        break

    for kind in range(4):
        await asyncio.gather(*(one(kind) for _ in range(10)))  # the client's own pool is full from here on
    await closed_streams(served)
    gc.collect()
    before = (await settled_tasks(), open_sockets(), resident_megabytes())
    kinds = [chance.randrange(4) for _ in range(CONNECTS)]
    for start in range(0, CONNECTS, 10):
        await asyncio.gather(*(one(kind) for kind in kinds[start : start + 10]))
    await closed_streams(served)
    gc.collect()
    after = (await settled_tasks(), open_sockets(), resident_megabytes())
    if IS_LONG:
        print(f"\n{CONNECTS} openings: tasks, descriptors, MB {before} → {after}")
    assert after[0] <= before[0] + 3
    assert after[1] <= before[1] + 3
    assert after[2] - before[2] < 40


async def closed_streams(served: Served) -> None:
    """Until the server has noticed that nobody reads its streams any more."""
    streams = served.application.app.state.open_streams
    async with asyncio.timeout(30):
        while streams.count:  # noqa: ASYNC110 - a stream tells nobody that it ended
            await asyncio.sleep(0)


@pytest.fixture
async def paths(served: Served) -> AsyncIterator[list[str]]:
    project = f"/api/v1/mcp/project/{served.application.project_id}"
    yield [
        f"/{project}/streamable",
        f"{project};x=1/streamable",
        f"{project}/streamable;x",
        f"{project}%2Fstreamable",
        f"{project}/./streamable/x",
        f"{project}/..%2f..%2fstreamable",
        f"/api/v1/mcp/project/{served.application.project_id}%00/streamable",
        f"/api//v1/mcp/project/{served.application.project_id}/streamable",
        f"/API/v1/mcp/project/{served.application.project_id}/streamable",
    ]


async def test_no_spelling_of_an_address_gets_round_the_credential(served: Served, paths: list[str]) -> None:
    port = int(served.address.rpartition(":")[2])
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}).encode()
    for path in paths:
        for verb, extra in (("POST", ""), ("GET", "X-HTTP-Method-Override: POST\r\n"), ("PUT", "X-HTTP-Method: POST\r\n")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = (
                f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{extra}Accept: application/json, text/event-stream\r\n"
                "Content-Type: application/json\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            status = int((await reader.read()).split(b" ")[1])
            writer.close()
            assert status in (400, 401, 403, 404, 405, 422), (verb, path, status)


async def test_a_method_in_a_header_is_no_method(served: Served) -> None:
    key = {"x-api-key": served.application.key}
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        answer = await served.http.get(served.project_address(), headers={**key, **BOTH_TYPES, name: "DELETE"})
        assert answer.status_code == 400  # a GET without a session
        project = await served.application.http.get(f"/api/v1/projects/{served.application.project_id}", headers={name: "DELETE"})
        assert project.status_code == 200
    assert (await served.application.http.get(f"/api/v1/projects/{served.application.project_id}")).status_code == 200


async def test_two_content_lengths_or_a_length_beside_chunks_are_refused(served: Served) -> None:
    port = int(served.address.rpartition(":")[2])
    for lines in ("Content-Length: 2\r\nContent-Length: 5", "Content-Length: 2\r\nTransfer-Encoding: chunked", "Content-Length: -1"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        path = served.project_address().removeprefix(served.address)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\nConnection: close\r\n\r\n{{}}".encode())
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 4"), (lines, answer)


async def test_cancelling_another_clients_request_has_no_effect(served: Served) -> None:
    await served.add_tool("echo")
    _, second_key = await served.application.services.api_keys.create(served.application.caller, name="second")
    mine, theirs = await served.open_session(), await served.open_session(key=second_key)
    modern = {**BOTH_TYPES, "x-api-key": second_key, "mcp-protocol-version": "2026-07-28", "mcp-method": "notifications/cancelled"}

    async def call() -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {"input_value": "mine"}}}
        return message_in(await served.http.post(served.project_address(), json=body, headers=mine))

    async def cancel(headers: dict[str, str], meta: dict[str, Any]) -> int:
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7, "reason": "not yours", **meta}}
        return (await served.http.post(served.project_address(), json=note, headers=headers)).status_code

    for _ in range(20):
        told, *statuses = await asyncio.gather(call(), cancel(theirs, {}), cancel(modern, {"_meta": META}), cancel(theirs, {}))
        assert told["result"]["content"][0]["text"] == "mine"
        assert set(statuses) <= {202, 400}


async def test_a_forged_progress_token_reaches_only_the_call_that_gave_it(served: Served) -> None:
    await served.add_tool("echo")

    async def call(marker: str) -> str:
        params = {"name": "echo", "arguments": {"input_value": marker}, "_meta": {**META, "progressToken": "shared"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = {
            **BOTH_TYPES,
            "x-api-key": served.application.key,
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": "echo",
        }
        return (await served.http.post(served.project_address(), json=body, headers=headers)).text

    for marker, text in zip("abcdefgh", await asyncio.gather(*(call(marker) for marker in "abcdefgh")), strict=True):
        progress = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {") and "notifications/progress" in line]
        assert progress, text
        counts = [each["params"]["progress"] for each in progress]
        assert counts == sorted(set(counts)), marker
