"""Who gets in where: credentials, projects, sessions, origins, bounds and malformed messages on every MCP address."""

import asyncio
import json
import logging
import random
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sse_starlette import EventSourceResponse
from starlette.types import Message, Receive, Scope, Send

from mcp_server.doors import McpLimits, PatientSend
from mcp_server.places import Places
from projects.access.caller import Caller, Credential
from projects.errors import TooManyRequests, Unavailable
from tests.application import Application, open_application
from tests.mcp_server.conftest import BOTH_TYPES, META, TLS, Served, serve

MISSING = "0190a1b2-0000-7000-8000-0000000000ff"


def addresses(served: Served) -> list[tuple[str, str]]:
    project, everything = f"/api/v1/mcp/project/{served.application.project_id}", "/api/v1/mcp"
    return [
        (method, f"{served.address}{path}")
        for prefix in (project, everything)
        for method, path in (
            ("POST", f"{prefix}/streamable"),
            ("POST", f"{prefix}/streamable/"),
            ("GET", f"{prefix}/streamable"),
            ("DELETE", f"{prefix}/streamable"),
            ("GET", f"{prefix}/sse"),
            ("POST", f"{prefix}/?session_id={MISSING}"),
        )
    ]


async def test_without_a_credential_every_address_answers_401_with_a_plain_challenge(served: Served) -> None:
    for method, address in addresses(served):
        answer = await served.http.request(method, address, headers=BOTH_TYPES)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), address
        assert "API key" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "sk-wrong"},
        {"authorization": "Bearer sk-wrong"},
        {"authorization": "Bearer not.a.token"},
        {"cookie": "access_token_lf=x"},
    ],
)
async def test_a_bad_credential_is_401_wherever_it_stands(served: Served, headers: dict[str, str]) -> None:
    for method, address in addresses(served):
        answer = await served.http.request(method, address, headers={**BOTH_TYPES, **headers})
        assert answer.status_code == 401, address
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_every_way_to_present_a_credential_is_good(served: Served) -> None:
    key = served.application.key
    tokens = await served.application.services.accounts.log_in("ada", "a-long-password")
    for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}, {"authorization": f"bearer {tokens.access_token}"}):
        assert (await served.post("tools/list", headers=headers)).status_code == 200
    cookie = {"cookie": f"a=b; access_token_lf={tokens.access_token}"}
    assert (await served.post("tools/list", headers=cookie)).status_code == 200
    assert (await served.post("tools/list", address=f"{served.project_address()}?x-api-key={key}", headers={"a": "b"})).status_code == 200


async def test_a_cookie_is_good_for_our_own_pages_only(served: Served) -> None:
    tokens = await served.application.services.accounts.log_in("ada", "a-long-password")
    cookie = {"cookie": f"access_token_lf={tokens.access_token}"}
    assert (await served.post("tools/list", headers={**cookie, "origin": served.address})).status_code == 200
    assert (await served.post("tools/list", headers={**cookie, "origin": "http://localhost:1"})).status_code == 403
    assert (await served.post("tools/list", headers={**cookie, "sec-fetch-site": "cross-site"})).status_code == 403


async def test_another_owners_project_answers_exactly_as_a_missing_one(served: Served) -> None:
    stranger = served.application.stranger.headers["x-api-key"]
    foreign = await served.post("tools/list", headers={"x-api-key": stranger})
    missing = await served.post("tools/list", headers={"x-api-key": stranger}, address=served.project_address(project_id=MISSING))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.text.replace(served.application.project_id, "ID") == missing.text.replace(MISSING, "ID")
    sse = await served.http.get(served.project_address("sse"), headers={"x-api-key": stranger})
    assert sse.status_code == 404


async def test_a_project_id_that_is_no_uuid_is_422_and_every_spelling_of_one_is_the_same_project(served: Served) -> None:
    answer = await served.post("tools/list", address=served.project_address(project_id="first"))
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["path", "project_id"])
    for spelling in (served.application.project_id.upper(), served.application.project_id.replace("-", "")):
        assert (await served.post("tools/list", address=served.project_address(project_id=spelling))).status_code == 200


async def test_head_says_that_the_address_exists_without_asking_who_calls(served: Served) -> None:
    for path in (
        f"/api/v1/mcp/project/{MISSING}/streamable",
        f"/api/v1/mcp/project/{MISSING}/sse",
        "/api/v1/mcp/streamable",
        "/api/v1/mcp/sse",
    ):
        answer = await served.http.head(f"{served.address}{path}")
        assert (answer.status_code, answer.content) == (200, b""), path


async def test_both_spellings_are_served_without_a_redirect(served: Served) -> None:
    for address in (served.project_address(), f"{served.address}/api/v1/mcp/streamable"):
        for slash in ("", "/"):
            assert (await served.post("tools/list", address=address + slash)).status_code == 200


async def test_a_wrong_method_is_405_with_what_is_allowed(served: Served) -> None:
    answer = await served.http.put(served.project_address(), headers={"x-api-key": served.application.key})
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, POST")


async def test_a_session_is_unknown_to_another_credential_and_to_another_project(served: Served) -> None:
    services, caller = served.application.services, served.application.caller
    _, second_key = await services.api_keys.create(caller, name="second")
    other = await services.projects.create(caller, name="Other")
    headers = await served.open_session()
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert (await served.http.post(served.project_address(), json=ping, headers=headers)).status_code == 200

    unknown = await served.http.post(served.project_address(), json=ping, headers={**headers, "mcp-session-id": "0" * 32})
    stolen = {**headers, "x-api-key": second_key}
    for method in ("POST", "GET", "DELETE"):
        answer = await served.http.request(method, served.project_address(), json=ping, headers=stolen)
        assert (answer.status_code, answer.text) == (404, unknown.text), method
    for address in (served.project_address(project_id=other.id), f"{served.address}/api/v1/mcp/streamable"):
        assert (await served.http.post(address, json=ping, headers=headers)).status_code == 404
    assert (await served.http.post(served.project_address(), json=ping, headers=headers)).status_code == 200
    assert (await served.http.delete(served.project_address(), headers=headers)).status_code == 200
    assert (await served.http.post(served.project_address(), json=ping, headers=headers)).status_code == 404


async def test_an_sse_stream_takes_messages_only_from_the_credential_that_opened_it(served: Served) -> None:
    _, second_key = await served.application.services.api_keys.create(served.application.caller, name="second")
    async with served.http.stream("GET", served.project_address("sse"), headers={"x-api-key": served.application.key}) as stream:
        assert stream.headers["cache-control"] == "no-store"
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: endpoint"
        path = (await anext(lines)).removeprefix("data: ")
        assert path.startswith(f"/api/v1/mcp/project/{served.application.project_id}/?session_id=")
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        ours = await served.http.post(served.address + path, json=ping, headers={"x-api-key": served.application.key})
        theirs = await served.http.post(served.address + path, json=ping, headers={"x-api-key": second_key})
        elsewhere = await served.http.post(
            f"{served.address}/api/v1/mcp/?{path.partition('?')[2]}", json=ping, headers={"x-api-key": served.application.key}
        )
    assert (ours.status_code, theirs.status_code, elsewhere.status_code) == (202, 404, 404)


async def test_a_message_without_a_session_is_400_and_with_an_unknown_one_404(served: Served) -> None:
    headers, ping = {"x-api-key": served.application.key}, {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    address = served.project_address("")
    assert (await served.http.post(address, json=ping, headers=headers)).status_code == 400
    assert (await served.http.post(f"{address}?session_id={'0' * 32}", json=ping, headers=headers)).status_code == 404


async def test_only_known_hosts_and_origins_speak_to_us(served: Served) -> None:
    port = served.address.rpartition(":")[2]
    key = {"x-api-key": served.application.key}
    for host in ("evil.example", f"127.0.0.1:{port}.evil.example", "localhost.", f"evil.example:{port}"):
        assert (await served.post("tools/list", headers={**key, "host": host})).status_code == 421, host
    for origin in (
        "http://evil.example",
        "null",
        f"http://127.0.0.1:{port}.evil.example",
        f"http://127.0.0.1.evil.example:{port}",
        "http://localhost.",
    ):
        assert (await served.post("tools/list", headers={**key, "origin": origin})).status_code == 403, origin
    for origin in (served.address, f"https://127.0.0.1:{port}", "http://localhost:6274"):
        assert (await served.post("tools/list", headers={**key, "origin": origin})).status_code == 200, origin


async def test_white_space_around_header_values_is_no_part_of_them(served: Served) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}).encode()
    path = served.project_address().removeprefix(served.address)
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {served.address.removeprefix('http://')}",
        f"x-api-key:   {served.application.key} \t ",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        "MCP-Protocol-Version: \t2026-07-28  ",
        "Mcp-Method:   tools/list ",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(served.address.rpartition(":")[2]))
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200"), answer


async def test_a_body_over_four_mebibytes_is_413_however_it_is_sent(served: Served) -> None:
    headers = {**BOTH_TYPES, "x-api-key": served.application.key}

    async def pieces() -> Any:
        for _ in range(5):
            yield b"x" * 1024 * 1024

    declared = await served.http.post(served.project_address(), content=b"x" * 5 * 1024 * 1024, headers=headers)
    streamed = await served.http.post(served.project_address(), content=pieces(), headers=headers)
    assert declared.status_code == streamed.status_code == 413
    assert "4,194,304 bytes" in declared.json()["detail"]


BROKEN = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"[{}]",
    b'"x"',
    b"1e999",
    b"NaN",
    b"\x00",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b',"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}',
]


@pytest.mark.parametrize("version", [b"2026-07-28", b"2025-06-18"])
async def test_a_client_that_leaves_in_the_middle_of_its_message_is_no_error_in_the_log(
    application: Application, caplog: pytest.LogCaptureFixture, version: bytes
) -> None:
    arriving = [{"type": "http.request", "body": b'{"jsonrpc":', "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return arriving.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    path = f"/api/v1/mcp/project/{application.project_id}/streamable"
    headers = {"host": b"127.0.0.1", "x-api-key": application.key.encode(), "mcp-protocol-version": version, "mcp-method": b"tools/call"}
    headers |= {name: value.encode() for name, value in BOTH_TYPES.items()}
    raw = [(name.encode(), value) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "root_path": "", "headers": raw}
    await application.app(scope, receive, send)
    assert sent == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_malformed_messages_are_refused_and_never_a_server_error(served: Served) -> None:
    await served.add_tool("target")
    key = {"x-api-key": served.application.key}
    headers = [
        {**BOTH_TYPES, **key, "mcp-protocol-version": "2026-07-28"},
        {**BOTH_TYPES, **key},
        await served.open_session(),
    ]
    for body in BROKEN:
        for sent in headers:
            answer = await served.http.post(served.project_address(), content=body, headers=sent)
            assert answer.status_code < 500, (body[:80], answer.text)
    chance = random.Random(20_260_728)
    odd: list[Any] = [None, [], {}, "", 0, -1, 1.5, True, "x", "\ud800", "\x00", 10**30, [[[]]], {"a": None}]
    for _ in range(400):
        arguments = chance.choice(
            [{"input_value": chance.choice(odd)}, {chance.choice(["\ud800", "\x00", "input_value", "é"]): "x"}, chance.choice(odd)]
        )
        params: dict[str, Any] = {"name": "target", "arguments": arguments, "_meta": {**META, "progressToken": chance.choice(odd)}}
        if chance.random() < 0.2:
            params[chance.choice(["inputResponses", "requestState", "task", "more"])] = chance.choice(odd)
        body = json.dumps({"jsonrpc": "2.0", "id": chance.choice([1, "a", *odd]), "method": "tools/call", "params": params}).encode()
        routing = {"mcp-method": "tools/call", "mcp-name": "target"}
        for sent in headers:
            answer = await served.http.post(served.project_address(), content=body, headers={**sent, **routing})
            assert answer.status_code < 500, (body, answer.text)
    assert (await served.post("tools/call", {"name": "target", "arguments": {"input_value": "alive"}})).json()["result"]["isError"] is False


async def test_sessions_are_capped_for_each_credential_and_refused_openings_leave_nothing(served: Served) -> None:
    for _ in range(30):
        bad = await served.http.post(
            served.project_address(),
            json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
            headers={**BOTH_TYPES, "x-api-key": served.application.key},
        )
        assert bad.status_code == 400
    for _ in range(McpLimits().max_sessions_per_caller):
        await served.open_session()
    headers = {**BOTH_TYPES, "x-api-key": served.application.key}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    refused = await served.http.post(
        served.project_address(), json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}, headers=headers
    )
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert (await served.post("tools/list")).status_code == 200


async def test_sse_streams_are_capped_for_each_credential_and_leave_their_place_when_they_end(served: Served) -> None:
    headers = {"x-api-key": served.application.key}
    limit = McpLimits().max_streams_per_caller
    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None), timeout=30, verify=TLS) as http:
        opened = [
            await http.send(http.build_request("GET", served.project_address("sse"), headers=headers), stream=True) for _ in range(limit)
        ]
        assert {stream.status_code for stream in opened} == {200}
        refused = await http.get(served.project_address("sse"), headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        for stream in opened:
            await stream.aclose()
    async with asyncio.timeout(10):
        while (
            stream := await served.http.send(served.http.build_request("GET", served.project_address("sse"), headers=headers), stream=True)
        ).status_code != 200:
            await stream.aclose()
        await stream.aclose()


def test_places_are_counted_for_each_caller_and_in_all() -> None:
    places = Places(3, 2)
    ada, bob = (Caller(name, name, False, Credential.API_KEY, name) for name in ("ada", "bob"))
    with places.taken_by(ada), places.taken_by(ada):
        with pytest.raises(TooManyRequests):
            places.require_one(ada)
        with places.taken_by(bob), pytest.raises(Unavailable):
            places.require_one(bob)
        places.require_one(bob)
    places.require_one(ada)


async def first_event(served: Served, path: str, **headers: str) -> str:
    """Where a legacy SSE connection is told to send its messages, used once."""
    sent = {"x-api-key": served.application.key, **headers}
    async with served.http.stream("GET", served.address + path, headers=sent) as stream:
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: endpoint"
        address = (await anext(lines)).removeprefix("data: ")
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert (await served.http.post(served.address + address, json=ping, headers=sent)).status_code == 202
    return address


async def test_the_message_address_is_right_behind_a_proxy_with_a_path(tmp_path: Path) -> None:
    async with (
        open_application(tmp_path / "data", public_url="https://tools.example.org/flows/") as application,
        serve(application) as served,
    ):
        path = f"/api/v1/mcp/project/{application.project_id}"
        # Some proxies take their path off before they pass a request on, some leave it.
        for asked in (f"{path}/sse", f"/flows{path}/sse"):
            assert (await first_event(served, asked)).startswith(f"/flows{path}/?session_id=")
        answer = await served.post("tools/list", address=f"{served.address}/flows{path}/streamable")
        assert answer.status_code == 200
        assert (await served.http.get(f"{served.address}/flows/health")).status_code == 200
        assert (await served.http.get(f"{served.address}/flowsy/health")).status_code == 404
        too_large = {**BOTH_TYPES, "x-api-key": application.key}
        address = f"{served.address}/flows{path}/streamable"
        assert (await served.http.post(address, content=b"x" * 5 * 1024 * 1024, headers=too_large)).status_code == 413


async def test_what_a_client_says_of_a_proxy_changes_no_address(served: Served) -> None:
    path = f"/api/v1/mcp/project/{served.application.project_id}"
    said = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "x-forwarded-prefix": "/evil",
        "forwarded": "host=evil.example",
    }
    assert (await first_event(served, f"{path}/sse", **said)).startswith(f"{path}/?session_id=")


async def test_a_stream_that_is_to_go_on_after_an_event_begins_anew_for_events_have_no_ids_here(served: Served) -> None:
    headers = {**await served.open_session(), "last-event-id": "5"}
    async with served.http.stream("GET", served.project_address(), headers=headers) as stream:
        assert (stream.status_code, stream.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


async def test_a_legacy_stream_is_kept_alive_by_comments(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EventSourceResponse.DEFAULT_PING_INTERVAL == 15
    monkeypatch.setattr(EventSourceResponse, "DEFAULT_PING_INTERVAL", 0.01)
    async with asyncio.timeout(20):
        async with served.http.stream("GET", served.project_address("sse"), headers={"x-api-key": served.application.key}) as stream:
            lines = stream.aiter_lines()
            while not (await anext(lines)).startswith(": ping"):
                pass


async def test_a_reader_that_takes_nothing_for_too_long_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sent: list[str] = []
    never = asyncio.Event()

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message.get("more_body"):
            await never.wait()  # as a socket whose buffers are full

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise AssertionError("nobody reads on")

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("ours")

    async def receive() -> Message:
        return {"type": "http.request"}

    async with asyncio.timeout(10):
        await PatientSend(send, 0.01).run(streaming, {"type": "http", "path": "/stream"}, receive)
    assert sent == ["http.response.start", "http.response.body"]
    assert "A client of /stream stopped reading its stream and was let go" in caplog.text
    with pytest.raises(RuntimeError, match="ours"):
        await PatientSend(send, 0.01).run(broken, {"type": "http", "path": "/stream"}, receive)
