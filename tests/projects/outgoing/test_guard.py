"""Calls that leave the server: a canary on loopback gets no hit, and answers are bounded in size and time."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import httpx2
import pytest

from projects.errors import AddressRefused, LimitReached
from projects.outgoing.clients import GuardedHttp, guarded_httpx2_client, guarded_httpx_client, open_httpx2_client
from projects.outgoing.guard import Guard, refusal_behind
from tests.web_server import Answer, WebServer, redirect, web_server

MakeClient = Callable[..., Any]
LIBRARIES = pytest.mark.parametrize(("make_client", "library"), [(guarded_httpx_client, httpx), (guarded_httpx2_client, httpx2)])

LOOPBACK_SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::]",
    "0.0.0.0",
    "0",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "①②⑦.0.0.1",
    "127。0。0。1",
]


@pytest.fixture
async def canary() -> AsyncIterator[WebServer]:
    async with web_server() as server:
        server.pages["*"] = "the canary's secret"
        yield server


@LIBRARIES
@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
async def test_no_spelling_of_loopback_reaches_the_canary(canary: WebServer, host: str, make_client: MakeClient, library: Any) -> None:
    async with make_client(Guard()) as client:
        with pytest.raises((AddressRefused, library.ConnectError, library.InvalidURL)):
            await client.get(f"http://{host}:{canary.port}/")
    assert canary.connections == 0


@LIBRARIES
@pytest.mark.parametrize(
    "host", ["169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"]
)
async def test_private_addresses_are_refused_with_the_next_step(host: str, make_client: MakeClient, library: Any) -> None:
    async with make_client(Guard()) as client:
        with pytest.raises(AddressRefused) as raised:
            await client.get(f"http://{host}/latest/meta-data")
    assert host.strip("[]") in raised.value.message
    assert f"{host}:80 to the setting allowed_addresses" in raised.value.message


@LIBRARIES
async def test_a_name_is_refused_when_any_of_its_addresses_is_private(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    async with make_client(Guard(resolve=resolve)) as client:
        with pytest.raises(AddressRefused, match=r"rebinding\.example \(127\.0\.0\.1\)"):
            await client.get(f"http://rebinding.example:{canary.port}/")
    assert canary.connections == 0


@LIBRARIES
async def test_the_address_that_was_checked_is_the_one_connected_to(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    """A name that first resolves to an allowed address and then to loopback is asked for once a connection."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    async with make_client(Guard(["127.0.0.2/32"], resolve=resolve)) as client:
        with pytest.raises(library.ConnectError):  # nothing listens on 127.0.0.2; the canary does on 127.0.0.1
            await client.get(f"http://rebinding.example:{canary.port}/")
        assert asked == ["rebinding.example"]
        with pytest.raises(AddressRefused):
            await client.get(f"http://rebinding.example:{canary.port}/")
    assert canary.connections == 0


@LIBRARIES
async def test_host_and_target_stay_as_the_caller_wrote_them(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with make_client(Guard(["shop.example"], resolve=resolve)) as client:
        answer = await client.get(f"http://shop.example:{canary.port}/a%2Fb?q=1")
    assert answer.text == "the canary's secret"
    assert canary.hits[0].headers["host"] == f"shop.example:{canary.port}"
    assert canary.hits[0].target == "/a%2Fb?q=1"


@LIBRARIES
async def test_the_next_address_is_tried_when_one_does_not_answer(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with make_client(Guard(["two.example"], resolve=resolve)) as client:
        assert (await client.get(f"http://two.example:{canary.port}/")).status_code == 200


@LIBRARIES
@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/", "http://2130706433:{port}/", "//[::1]:{port}/", "file:///etc/hostname"])
async def test_a_redirect_is_checked_like_the_first_address(canary: WebServer, target: str, make_client: MakeClient, library: Any) -> None:
    async with web_server() as outside:
        outside.pages["/"] = redirect(target.format(port=canary.port))

        async def resolve(host: str, port: int) -> Sequence[str]:
            return ["127.0.0.1"] if host == "outside.example" else [host if host != "2130706433" else "127.0.0.1"]

        async with make_client(Guard(["outside.example"], resolve=resolve), follow_redirects=True) as client:
            with pytest.raises((AddressRefused, library.UnsupportedProtocol)):
                await client.get(f"http://outside.example:{outside.port}/")
        assert len(outside.hits) == 1
    assert canary.connections == 0


@LIBRARIES
@pytest.mark.parametrize("url", ["http://good.example@127.0.0.1:{port}/", "http://user:pass@127.0.0.1:{port}/"])
async def test_a_user_name_before_the_host_is_refused(canary: WebServer, url: str, make_client: MakeClient, library: Any) -> None:
    async with make_client(Guard(["127.0.0.1"])) as client:
        with pytest.raises(AddressRefused, match="user name") as raised:
            await client.get(url.format(port=canary.port))
    assert "pass" not in raised.value.message
    assert canary.connections == 0


@LIBRARIES
@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "/only/a/path", "ws://example.com"])
async def test_only_web_addresses_are_called(url: str, make_client: MakeClient, library: Any) -> None:
    async with make_client(Guard()) as client:
        with pytest.raises((AddressRefused, library.UnsupportedProtocol)):
            await client.get(url)


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.0/8", "127.0.0.1:{port}"])
async def test_what_the_operator_allows_is_called(canary: WebServer, entry: str) -> None:
    async with GuardedHttp(Guard([entry.format(port=canary.port)])).client(timeout_seconds=5, follow_redirects=True) as client:
        assert (await client.get(canary.address)).text == "the canary's secret"


async def test_a_port_that_was_not_allowed_stays_closed(canary: WebServer) -> None:
    async with GuardedHttp(Guard([f"127.0.0.1:{canary.port + 1}"])).client(timeout_seconds=5, follow_redirects=True) as client:
        with pytest.raises(AddressRefused):
            await client.get(canary.address)
    assert canary.connections == 0


async def test_a_base_address_of_the_operator_is_trusted_and_no_other(canary: WebServer) -> None:
    guard = Guard().trusting(f"{canary.address}/v1")
    async with guarded_httpx2_client(guard) as client:
        assert (await client.get(f"{canary.address}/v1/models")).status_code == 200
        with pytest.raises(AddressRefused):
            await client.get("http://127.0.0.1:1/")
    async with guarded_httpx2_client(Guard()) as client:
        with pytest.raises(AddressRefused):
            await client.get(f"{canary.address}/v1/models")


async def test_an_address_can_be_checked_before_it_is_called(canary: WebServer) -> None:
    guard = Guard()
    for url in (
        f"{canary.address}/hook",
        f"http://a@127.0.0.1:{canary.port}",
        "ftp://x",
        "http://",
        "http://[::1",
        "http://a:b",
        "nothing",
    ):
        with pytest.raises(AddressRefused):
            await guard.check(url)
    await guard.check("https://1.1.1.1/hook")
    assert canary.connections == 0


async def test_a_client_for_mcp_servers_is_guarded_too(canary: WebServer) -> None:
    async with open_httpx2_client(Guard(), headers={"x-a": "1"}) as client:
        with pytest.raises(AddressRefused):
            await client.post(f"{canary.address}/mcp")
    async with open_httpx2_client(Guard(["127.0.0.1"]), headers={"x-a": "1"}) as client:
        await client.post(f"{canary.address}/mcp")
    assert [hit.headers["x-a"] for hit in canary.hits] == ["1"]


@LIBRARIES
async def test_the_proxies_of_the_environment_are_no_way_around(
    canary: WebServer, make_client: MakeClient, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, canary.address)
    async with make_client(Guard()) as client:
        with pytest.raises(AddressRefused):
            await client.get("http://10.0.0.1/")
    assert canary.connections == 0


@LIBRARIES
async def test_a_body_without_an_end_is_cut_by_size(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    async def for_ever() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    canary.pages["/"] = Answer(pieces=for_ever)
    async with make_client(Guard(["127.0.0.1"]), max_bytes=1_000_000) as client:
        with pytest.raises(LimitReached, match="1,000,000 bytes"):
            await client.get(canary.address)


@LIBRARIES
async def test_a_length_over_the_limit_is_refused_before_the_body_is_read(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    canary.pages["/"] = Answer(headers={"content-length": "1000000000"}, pieces=_nothing)
    async with make_client(Guard(["127.0.0.1"]), max_bytes=1_000_000) as client:
        with pytest.raises(LimitReached, match="1,000,000 bytes"):
            await client.get(canary.address)


async def _nothing() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


@LIBRARIES
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_small_body_that_unpacks_into_a_large_one_is_cut(
    canary: WebServer, encoding: str, make_client: MakeClient, library: Any
) -> None:
    large = b"\0" * 20_000_000
    bomb = gzip.compress(large) if encoding == "gzip" else zlib.compress(large)
    assert len(bomb) < 100_000
    canary.pages["/"] = Answer(bomb, headers={"content-encoding": encoding})
    async with make_client(Guard(["127.0.0.1"]), max_bytes=1_000_000) as client:
        with pytest.raises(LimitReached):
            await client.get(canary.address)


@LIBRARIES
@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "compress"])
async def test_an_encoding_that_was_not_asked_for_is_no_answer(
    canary: WebServer, encoding: str, make_client: MakeClient, library: Any
) -> None:
    canary.pages["/"] = Answer(b"whatever", headers={"content-encoding": encoding})
    async with make_client(Guard(["127.0.0.1"])) as client:
        with pytest.raises(library.DecodingError, match="not asked for"):
            await client.get(canary.address, headers={"accept-encoding": "br, zstd"})
    assert canary.hits[0].headers["accept-encoding"] == "gzip, deflate"


@LIBRARIES
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello " * 50_000)),
        ("deflate", zlib.compress(b"hello " * 50_000)),
        ("deflate", zlib.compress(b"hello " * 50_000, wbits=-15)),
        ("identity", b"hello " * 50_000),
    ],
)
async def test_a_compressed_answer_is_read_as_it_was(
    canary: WebServer, encoding: str, packed: bytes, make_client: MakeClient, library: Any
) -> None:
    canary.pages["/"] = Answer(packed, headers={"content-encoding": encoding}, content_type="text/plain")
    async with make_client(Guard(["127.0.0.1"])) as client:
        answer = await client.get(canary.address)
        assert (await client.head(canary.address)).status_code == 200
    assert answer.text == "hello " * 50_000


@LIBRARIES
async def test_a_compressed_answer_that_breaks_off_is_an_error(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    canary.pages["/half"] = Answer(gzip.compress(b"hello " * 5_000)[:50], headers={"content-encoding": "gzip"})
    canary.pages["/none"] = Answer(b"no gzip at all", headers={"content-encoding": "gzip"})
    async with make_client(Guard(["127.0.0.1"])) as client:
        with pytest.raises(library.DecodingError, match="ended early"):
            await client.get(f"{canary.address}/half")
        with pytest.raises(library.DecodingError, match="cannot be read"):
            await client.get(f"{canary.address}/none")


@LIBRARIES
async def test_a_body_that_trickles_is_cut_by_time(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            yield b"."
            await asyncio.sleep(0.01)  # the server's pace, not the test's

    canary.pages["/"] = Answer(pieces=trickle)
    async with make_client(Guard(["127.0.0.1"]), timeout_seconds=10, deadline_seconds=0.2) as client:
        with pytest.raises(library.ReadTimeout):
            await client.get(canary.address)


@LIBRARIES
async def test_redirects_share_one_deadline(canary: WebServer, make_client: MakeClient, library: Any) -> None:
    canary.pages["/"] = redirect("/silent")
    canary.pages["/silent"] = Answer(pieces=_nothing)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with make_client(Guard(["127.0.0.1"]), deadline_seconds=0.2, follow_redirects=True) as client:
        with pytest.raises(library.ReadTimeout):
            await client.get(canary.address)
    assert loop.time() - started < 30  # a step alone may take 60


async def test_redirects_in_a_circle_end(canary: WebServer) -> None:
    canary.pages["*"] = redirect("/again")
    async with GuardedHttp(Guard(["127.0.0.1"])).client(timeout_seconds=10, follow_redirects=True) as client:
        with pytest.raises(httpx.TooManyRedirects):
            await client.get(canary.address)
    assert len(canary.hits) == 11


@LIBRARIES
async def test_a_name_that_resolves_to_nothing_is_a_connection_error(make_client: MakeClient, library: Any) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return []

    async with make_client(Guard(resolve=resolve)) as client:
        with pytest.raises(library.ConnectError, match=r"nowhere\.example cannot be resolved"):
            await client.get("http://nowhere.example/")


@LIBRARIES
async def test_a_resolver_that_hangs_is_cut_by_time(make_client: MakeClient, library: Any) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with make_client(Guard(resolve=resolve), timeout_seconds=0.1) as client:
        with pytest.raises(library.ConnectTimeout):
            await client.get("http://slow.example/")


def test_a_refusal_is_found_behind_the_errors_of_an_sdk() -> None:
    refusal = AddressRefused("no")
    wrapped = RuntimeError("Connection error.")
    wrapped.__cause__ = ValueError()
    wrapped.__cause__.__context__ = refusal
    assert refusal_behind(wrapped) is refusal
    assert refusal_behind(RuntimeError()) is None
