"""Two servers on one PostgreSQL database: what lives in one is reached by way of the other, and nobody else is taken for a server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from mcp_server import peers as peers_module
from mcp_server import relay as relay_module
from mcp_server.app import create_app
from mcp_server.bounded_http import BoundedHttp
from mcp_server.middleware import HostCheck
from mcp_server.passing import ORIGIN_HEADER, as_it_came
from mcp_server.peers import GOOD_SECONDS, Peers, Proofs, SeenNonces
from mcp_server.relay import ASK_PATH, Neighbours, Relay
from mcp_server.serving import relay_of
from mcp_server.settings import Settings
from mcp_server.wiring import open_services
from projects.flows.flow import FlowDraft
from storage.database import DatabaseSettings
from tests import flow_documents as flows
from tests.application import Application, browser
from tests.loopback import serving
from tests.mcp_server.conftest import TLS, Served, waiting
from tests.prepared_folders import FIRST_USER, add_people, cheap_passwords
from tests.running_server import free_port

KEY, OTHER_KEY = "the-installations-secret-key", "another-installations-key"
HELLO = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@asynccontextmanager
async def host(folder: Path, database: DatabaseSettings, port: int, peer: int, first: Application | None = None) -> AsyncIterator[Served]:
    """As `headwater serve` makes it, listening on this port; its people are the first host's."""
    settings = Settings(
        **FIRST_USER,
        data_dir=folder,
        database_url=database.url,
        port=port,
        secret_key=KEY,
        peers=[f"http://127.0.0.1:{each}" for each in (port, peer)],
    )
    async with open_services(settings, passwords=cheap_passwords()) as services:
        app = create_app(services, settings)
        relay = relay_of(app, services, settings, Neighbours())
        if first is None:
            people = await add_people(services)
            project = await services.projects.default_project(people.ada)
            http, stranger = (browser(app, headers={"x-api-key": key}) for key in (people.ada_key, people.bob_key))
            application = Application(app, services, people.ada, people.ada_key, project.id, http, stranger, browser(app))
        else:
            application = Application(app, services, first.caller, first.key, first.project_id, first.http, first.stranger, first.nobody)
        app.state.relay = relay
        async with (
            serving(relay, port=port, on_stopping=app.state.close_streams, lifespan="on", http=BoundedHttp),
            httpx2.AsyncClient(timeout=30, verify=TLS, headers={"x-api-key": application.key}) as client,
        ):
            try:
                yield Served(application, f"http://127.0.0.1:{port}", client)
            finally:
                await relay.close()


@pytest.fixture(autouse=True)
def much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of a test share a process, which a busy machine may stop for seconds: no peer is slow, and nothing is forgotten."""
    monkeypatch.setattr(relay_module, "ASK_PEER_SECONDS", 60.0)
    monkeypatch.setattr(relay_module, "UNKNOWN_SECONDS", 3_600.0)
    monkeypatch.setattr(peers_module, "REST_SECONDS", 3_600.0)


@pytest.fixture
async def two_hosts(tmp_path: Path, postgresql_settings: DatabaseSettings) -> AsyncIterator[tuple[Served, Served]]:
    """Each has both addresses in its list, its own too, as when one configuration is for all."""
    ports = free_port(), free_port()
    async with (
        host(tmp_path / "a", postgresql_settings, ports[0], ports[1]) as one,
        host(tmp_path / "b", postgresql_settings, ports[1], ports[0], one.application) as other,
    ):
        yield one, other


async def test_builds_and_older_sessions_of_one_host_are_reached_at_the_other(two_hosts: tuple[Served, Served]) -> None:
    one, other = two_hosts
    await one.add_tool("echo")
    slow = await one.add_tool("slow", waiting(60))
    echo = await one.application.services.flows.create(
        one.application.caller, FlowDraft(name="built", document=json.dumps(flows.echo()), project_id=one.application.project_id)
    )

    # A build that ends, and one that is cancelled.
    begun = await one.http.post(f"{one.address}/api/v1/build/{echo.id}/flow", json={"inputs": {"input_value": "by way of b"}})
    events = await other.http.get(f"{other.address}/api/v1/build/{begun.json()['job_id']}/events", params={"event_delivery": "streaming"})
    assert events.status_code == 200 and "by way of b" in events.text and '"event":"end"' in events.text, events.text
    job = (await one.http.post(f"{one.address}/api/v1/build/{slow.id}/flow", json={})).json()["job_id"]
    strangers = await other.http.get(f"{other.address}/api/v1/build/{job}/events", headers={"x-api-key": "sk-nobody"})
    assert strangers.status_code in (401, 403)  # the one that has it asks for the credential
    cancelled = await other.http.post(f"{other.address}/api/v1/build/{job}/cancel")
    assert cancelled.status_code == 200 and cancelled.json()["success"] is True, cancelled.text
    rest = await other.http.get(f"{other.address}/api/v1/build/{job}/events", params={"event_delivery": "streaming"})
    assert rest.status_code == 200

    # A session of 2025-06-18: messages, its listening stream, its end.
    session = await one.open_session()
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "echo", "arguments": {"input_value": "to the other"}}}
    called = await other.http.post(other.project_address(), json=call, headers=session)
    assert called.status_code == 200 and "to the other" in called.text, called.text
    async with other.http.stream("GET", other.project_address(), headers=session) as listening:
        assert listening.status_code == 200
        await one.add_tool("news")
        assert "notifications/tools/list_changed" in await data(listening.aiter_lines())
    ended = await other.http.delete(other.project_address(), headers=session)
    assert ended.status_code in (200, 204)
    assert (await one.http.post(one.project_address(), json=call, headers=session)).status_code == 404
    assert (await other.http.post(other.project_address(), json=call, headers=session)).status_code == 404

    # HTTP+SSE: the stream at one, a message by way of the other.
    async with one.http.stream("GET", one.project_address("sse")) as stream:
        lines = stream.aiter_lines()
        address = await data(lines)
        sent = await other.http.post(other.address + address, json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO})
        assert sent.status_code == 202, sent.text
        assert "serverInfo" in await data(lines)


async def data(lines: AsyncIterator[str]) -> str:
    async with asyncio.timeout(10):
        async for line in lines:
            if line.startswith("data:") and (found := line.removeprefix("data:").strip()):
                return found
    raise AssertionError("the stream ended")


@dataclass
class Host:
    """A server that has what is in `things` and tells how each request came to it."""

    relay: Relay
    things: set[str]
    proofs: Proofs
    port: int = 0
    came: list[dict[str, Any]] = field(default_factory=list)


@asynccontextmanager
async def plain_host(
    peer_ports: list[int], *, key: str = KEY, own_hosts: list[str] | None = None, port: int = 0, neighbours: Neighbours | None = None
) -> AsyncIterator[Host]:
    things: set[str] = set()
    came: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        came.append(
            {"headers": dict(request.headers), "client": list(scope["client"]), "path": scope["path"], "body": await request.body()}
        )
        await JSONResponse({"port": found.port}, 200 if request.headers.get("mcp-session-id") in things else 404)(scope, receive, send)

    neighbours = neighbours or Neighbours()
    proofs = Proofs([key], neighbours.nonces)
    peers = Peers([f"http://127.0.0.1:{each}" for each in peer_ports], proofs, own_hosts)
    relay = Relay(HostCheck(app, own_hosts), neighbours, {"session": things.__contains__}, peers)
    found = Host(relay, things, proofs, came=came)
    try:
        async with serving(relay, lifespan="off", port=port) as found.port:
            yield found
    finally:
        await relay.close()


@asynccontextmanager
async def worker_of_many() -> AsyncIterator[tuple[Host, str]]:
    """A worker, and the secret that its siblings know."""
    secret = "the-workers-secret"
    async with plain_host([], own_hosts=["b.test"], neighbours=Neighbours([], secret)) as worker:
        yield worker, secret


async def ask(port: int, session: str, *, headers: Mapping[str, str] | None = None, path: str = "/api/v1/mcp/streamable") -> httpx.Response:
    async with httpx.AsyncClient(verify=TLS, timeout=30) as http:
        return await http.post(f"http://127.0.0.1:{port}{path}", content=b"{}", headers={"mcp-session-id": session, **(headers or {})})


async def test_the_client_and_the_name_it_used_arrive_and_what_the_relay_said_does_not() -> None:
    async with plain_host([], own_hosts=["b.test"]) as b, plain_host([b.port], own_hosts=["a.test"]) as a:
        b.things.add("s1")
        answer = await ask(a.port, "s1", headers={"host": "a.test", "x-headwater-relay-origin": '{"client": ["6.6.6.6", 1]}'})
        assert answer.json() == {"port": b.port}
        (came,) = b.came
        assert came["headers"]["host"] == "a.test" and came["client"][0] == "127.0.0.1" and came["body"] == b"{}"
        assert not any(name.startswith("x-headwater-relay") for name in came["headers"])


async def test_a_request_under_a_foreign_name_is_not_passed_on() -> None:
    async with plain_host([], own_hosts=["b.test"]) as b, plain_host([b.port], own_hosts=["a.test"]) as a:
        b.things.add("s1")
        answer = await ask(a.port, "s1", headers={"host": "evil.test"})
        assert answer.status_code == 421 and not b.came


Forge = Callable[[bytes], tuple[Proofs, str, bytes, bytes]]
"""Of what is said about the client: who makes the proof, and for what."""


@pytest.mark.parametrize(
    ("what", "forge"),
    [
        ("another key", lambda origin: (Proofs([OTHER_KEY], SeenNonces()), "POST", b"/api/v1/mcp/streamable", origin)),
        ("another method", lambda origin: (Proofs([KEY], SeenNonces()), "GET", b"/api/v1/mcp/streamable", origin)),
        ("another address", lambda origin: (Proofs([KEY], SeenNonces()), "POST", b"/api/v1/mcp/streamable?x=1", origin)),
        ("another client", lambda origin: (Proofs([KEY], SeenNonces()), "POST", b"/api/v1/mcp/streamable", b"{}")),
        ("too old", lambda origin: (at(-GOOD_SECONDS - 2), "POST", b"/api/v1/mcp/streamable", origin)),
        ("too early", lambda origin: (at(GOOD_SECONDS + 2), "POST", b"/api/v1/mcp/streamable", origin)),
    ],
)
async def test_a_request_with_a_proof_that_is_not_good_is_a_strangers(what: str, forge: Forge) -> None:
    origin = b'{"client": ["6.6.6.6", 1], "hosts": ["b.test"]}'
    async with plain_host([], own_hosts=None) as b:
        proofs, method, target, sealed = forge(origin)
        proof = proofs.make(method, target, sealed)
        headers = {"x-headwater-relay-proof": proof.decode(), "x-headwater-relay-origin": origin.decode()}
        assert (await ask(b.port, "s1", headers=headers)).status_code == 404
        asked = await ask(b.port, "s1", headers=headers, path=ASK_PATH)
        assert asked.status_code == 404  # the application's answer
        assert [came["client"][0] for came in b.came] == ["127.0.0.1", "127.0.0.1"], what
        assert all(not any(name.startswith("x-headwater-relay") for name in came["headers"]) for came in b.came)


def at(seconds: float) -> Proofs:
    return Proofs([KEY], SeenNonces(), lambda: time.time() + seconds)


@pytest.mark.parametrize("proof", ["", ".", "a.b.c", "1.", "ä", "1" * 5_000])
async def test_a_proof_of_no_shape_is_a_strangers_too(proof: str) -> None:
    async with plain_host([]) as b:
        headers = {"x-headwater-relay-proof": proof.encode("latin-1").decode("latin-1"), "x-headwater-relay-origin": "no json"}
        async with httpx.AsyncClient(verify=TLS, timeout=30) as http:
            raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            assert (await http.post(f"http://127.0.0.1:{b.port}/api/v1/x", headers=raw)).status_code == 404


async def test_a_proof_is_good_once() -> None:
    origin = b'{"client": ["6.6.6.6", 1], "hosts": ["b.test"]}'
    async with plain_host([]) as b:
        proof = Proofs([KEY], SeenNonces()).make("POST", b"/api/v1/mcp/streamable", origin)
        headers = {"x-headwater-relay-proof": proof.decode(), "x-headwater-relay-origin": origin.decode()}
        for _ in range(2):
            await ask(b.port, "s1", headers=headers)
        assert [came["client"][0] for came in b.came] == ["6.6.6.6", "127.0.0.1"]


async def test_a_proof_of_a_former_secret_key_is_believed_while_keys_change() -> None:
    old = Proofs([OTHER_KEY], SeenNonces())
    assert Proofs([KEY, OTHER_KEY], SeenNonces()).accept(old.make("GET", b"/", b"{}"), "GET", b"/", b"{}")
    assert not Proofs([KEY], SeenNonces()).accept(old.make("GET", b"/", b"{}"), "GET", b"/", b"{}")


def test_what_was_used_is_known_until_it_is_too_old_and_a_full_memory_believes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_module, "NONCE_SLOTS", 4)
    monkeypatch.setattr(peers_module, "PROBED_SLOTS", 4)
    seen = SeenNonces(is_shared=True)
    nonces = [bytes([number]) * 16 for number in range(5)]
    assert [seen.use(each, until=100, now=50) for each in nonces] == [True, True, True, True, False]
    assert not seen.use(nonces[0], until=100, now=100)
    assert seen.use(nonces[4], until=200, now=101)
    assert not seen.use(nonces[4], until=200, now=101)


async def test_what_a_peer_passed_on_is_never_passed_on_to_a_third_server() -> None:
    async with plain_host([]) as c, plain_host([c.port]) as b, plain_host([b.port]) as a:
        c.things.add("s1")
        assert (await ask(b.port, "s1")).json() == {"port": c.port}
        assert (await ask(a.port, "s1")).json() == {"port": a.port}  # b does not speak for c
        b.things.add("s2")
        assert (await ask(a.port, "s2")).json() == {"port": b.port}
        b.things.discard("s2")
        c.things.add("s2")
        origin = b"{}"
        proof = a.proofs.make("POST", b"/api/v1/mcp/streamable", origin).decode()
        moved = await ask(b.port, "s2", headers={"x-headwater-relay-proof": proof, "x-headwater-relay-origin": origin.decode()})
        assert moved.json() == {"port": b.port} and moved.status_code == 404


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, list[int]]]:
    """A machine that takes connections and closes them; the port, and one entry for each."""
    taken: list[int] = []

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(1)
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], taken


async def test_a_peer_that_is_down_rests_and_the_others_are_asked() -> None:
    async with silent() as (down, taken), plain_host([]) as b, plain_host([down, b.port]) as a:
        b.things |= {"s1", "s2"}
        for session in ("s1", "s2", "s1"):
            assert (await ask(a.port, session)).json() == {"port": b.port}
        assert (await ask(a.port, "nobodys")).json() == {"port": a.port}
        assert len(taken) == 1


async def test_no_credential_reaches_an_address_that_is_no_longer_a_server_of_ours() -> None:
    heads: list[bytes] = []

    async def says_yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = b'{"has": true, "server": "x"}'
        proof = heads[0].partition(b"x-headwater-relay-proof: ")[2].partition(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nx-headwater-relay-proof: %s\r\ncontent-length: %d\r\n\r\n%s" % (proof, len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(says_yes, "127.0.0.1", 0) as server, plain_host([server.sockets[0].getsockname()[1]]) as a:
        answer = await ask(a.port, "s1", headers={"x-api-key": "sk-secret"})
        assert answer.json() == {"port": a.port}
    assert len(heads) == 1 and b"sk-secret" not in heads[0]


def test_whoever_is_at_a_peers_machine_is_not_taken_to_be_at_this_one() -> None:
    came: dict[str, Any] = {"type": "http", "client": ("10.0.0.2", 40_000), "headers": []}
    for client, seen in (("127.0.0.1", "10.0.0.2"), ("::1", "10.0.0.2"), ("192.0.2.7", "192.0.2.7")):
        headers = {ORIGIN_HEADER: json.dumps({"client": [client, 1]}).encode()}
        assert as_it_came(came, headers, is_from_peer=True)["client"][0] == seen
        assert as_it_came(came, headers, is_from_peer=False)["client"][0] == client


async def test_a_worker_of_a_peer_is_reached_through_any_of_its_workers() -> None:
    async with (
        worker_of_many() as (sibling, secret),
        plain_host([], own_hosts=["b.test"], neighbours=Neighbours([sibling.port], secret)) as b,
    ):
        sibling.things.add("s1")
        async with plain_host([b.port], own_hosts=["a.test"]) as a:
            answer = await ask(a.port, "s1", headers={"host": "a.test"})
            assert answer.json() == {"port": sibling.port}
            (came,) = sibling.came
            assert came["headers"]["host"] == "a.test" and came["client"][0] == "127.0.0.1"
            assert not b.came


async def test_streams_by_way_of_a_server_end_when_it_stops(two_hosts: tuple[Served, Served]) -> None:
    one, other = two_hosts
    session = await one.open_session()
    async with other.http.stream("GET", other.project_address(), headers=session) as listening:
        relay = other.application.app.state.relay
        relay.close_streams()
        async with asyncio.timeout(10):
            assert [line async for line in listening.aiter_lines() if line.startswith("data:")] == []


async def test_what_a_peer_took_with_it_is_503_once_and_then_unknown() -> None:
    port = free_port()
    async with plain_host([port]) as a:
        async with plain_host([], port=port) as b:
            b.things.add("s1")
            assert (await ask(a.port, "s1")).json() == {"port": port}
        gone = await ask(a.port, "s1")
        assert gone.status_code == 503 and gone.headers["retry-after"] == "1"
        assert (await ask(a.port, "s1")).json() == {"port": a.port}


async def test_a_peer_with_another_secret_key_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with plain_host([], key=OTHER_KEY) as b, plain_host([b.port]) as a:
        b.things.add("s1")
        assert (await ask(a.port, "s1")).json() == {"port": a.port}
        assert f"http://127.0.0.1:{b.port} does not answer, or has another secret key" in caplog.text


async def test_an_id_that_nobody_has_is_asked_for_once_in_a_while() -> None:
    async with plain_host([]) as b, plain_host([b.port]) as a:
        asked: list[bytes] = []
        accept = b.proofs.accept

        def count(proof: bytes, method: str, target: bytes, origin: bytes) -> bool:
            asked.append(target)
            return accept(proof, method, target, origin)

        b.proofs.accept = count  # type: ignore[method-assign]
        answers = [await ask(a.port, "nobodys") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert len(asked) == 1


async def test_a_server_in_its_own_list_asks_itself_once() -> None:
    port = free_port()
    async with plain_host([port], port=port) as a:
        for session in ("s1", "s2", "s3"):
            assert (await ask(port, session)).status_code == 404
        assert len(a.came) == 3
