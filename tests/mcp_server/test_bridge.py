"""`headwater connect`: the same server through a program's standard input and output, over restarts, and gone with its client."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult
from pydantic import SecretStr

from mcp_server.app import create_app
from mcp_server.bounded_http import BoundedHttp
from mcp_server.settings import Settings
from mcp_server.wiring import open_services
from projects.flows.flow import FlowDraft
from projects.services import ProjectServices
from tests.flow_documents import echo
from tests.loopback import serving
from tests.mcp_server.conftest import Served, failing, waiting
from tests.mcp_server.long_runs import asking
from tests.running_server import free_port

NOWHERE = "http://127.0.0.1:9/api/v1/mcp/project/x/streamable"
SECONDS = 60
ERAS = ("auto", "legacy")
every_era = pytest.mark.parametrize("era", ERAS)


def arguments(url: str, *options: str) -> list[str]:
    return ["-m", "mcp_server", "connect", *options, url]


def environment(key: str | None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "LANGFLOW_"))}
    return clean | ({"HEADWATER_API_KEY": key} if key is not None else {})


@asynccontextmanager
async def bridged(url: str, key: str | None, era: str = "auto", *options: str, **given: Any) -> AsyncIterator[Client]:
    """The official client with the bridge as its server."""
    server = StdioServerParameters(command=sys.executable, args=arguments(url, *options), env=environment(key))
    async with asyncio.timeout(60), Client(stdio_client(server), mode=era, **given) as client:
        yield client


def said(*messages: Mapping[str, Any] | str, url: str, key: str | None = None, answers: int = 1) -> "subprocess.CompletedProcess[str]":
    """What the bridge says to these lines, sent at once; its client closes its side after so many answers."""
    command = [sys.executable, *arguments(url, "--wait", "0")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment(key)) as bridge:
        assert bridge.stdin is not None and bridge.stdout is not None and bridge.stderr is not None
        bridge.stdin.writelines(f"{message if isinstance(message, str) else json.dumps(message)}\n" for message in messages)
        bridge.stdin.flush()
        lines = [bridge.stdout.readline() for _ in range(answers)]
        bridge.stdin.close()
        lines += bridge.stdout.readlines()
        told = bridge.stderr.read()
    return subprocess.CompletedProcess(command, bridge.returncode, "".join(lines), told)


def initialize(request_id: int = 1) -> dict[str, Any]:
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    return {"jsonrpc": "2.0", "id": request_id, "method": "initialize", "params": params}


def text_of(result: Any) -> str:
    assert isinstance(result, CallToolResult)
    return str(result.content[0].text)  # type: ignore[union-attr]


class RestartableServer:
    """Our server on one port and one data folder, whose processes' memory is lost between two starts."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        self.settings = Settings(data_dir=data_dir, superuser="ada", superuser_password=SecretStr("a-long-password"), port=self.port)
        self.url = self.key = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ProjectServices]:
        async with open_services(self.settings) as services:
            app = create_app(services, self.settings)
            if not self.url:
                await self._fill(services)
            stop = app.state.close_streams
            async with serving(app, on_stopping=stop, port=self.port, timeout_graceful_shutdown=0, http=BoundedHttp):
                yield services

    async def _fill(self, services: ProjectServices) -> None:
        caller = await services.accounts.local_caller(None)
        project = await services.projects.default_project(caller)
        _, self.key = await services.api_keys.create(caller, name="bridge")
        self.url = f"http://127.0.0.1:{self.port}/api/v1/mcp/project/{project.id}/streamable"
        for name, flow in (("say", echo()), ("wait", waiting(60))):
            draft = FlowDraft(name=name, document=json.dumps(flow), project_id=project.id, is_tool=True, tool_name=name)
            await services.flows.create(caller, draft)


@every_era
async def test_the_same_calls_give_the_same_answers_through_the_bridge_as_directly(served: Served, era: str) -> None:
    await served.add_tool("say")
    await served.add_tool("break", failing())
    await served.add_tool("form", asking("name,city"))

    async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"name": "Ada", "city": "Paris"})

    async def seen(client: Client) -> list[Any]:
        told: list[Any] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total))

        calls: list[tuple[str, dict[str, Any]]] = [
            ("say", {"input_value": "über ✓ \u2028 and\nlines"}),
            ("say", {"colour": 1}),
            ("break", {}),
            ("form", {"input_value": "hi"}),
        ]
        results = [await client.call_tool(name, given, progress_callback=note) for name, given in calls]
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("nobody", {})
        tools = (await client.list_tools()).tools
        assert client.server_info is not None
        return [client.server_info.title, tools, [(text_of(each), bool(each.is_error)) for each in results], told, str(unknown.value)]

    async with served.client(era, elicitation_callback=answer) as direct:
        expected = await seen(direct)
    async with bridged(served.project_address(), served.application.key, era, elicitation_callback=answer) as client:
        assert await seen(client) == expected
    assert expected[2][0] == ("über ✓ \u2028 and\nlines", False) and expected[2][3] == ("hi (name: Ada, city: Paris)", False)


@every_era
async def test_a_client_that_cancels_a_call_stops_the_run(served: Served, era: str) -> None:
    await served.add_tool("wait", waiting(60))
    services, caller = served.application.services, served.application.caller
    begun = asyncio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        begun.set()

    async with bridged(served.project_address(), served.application.key, era) as client:
        call = asyncio.create_task(client.call_tool("wait", {"input_value": "x"}, progress_callback=note))
        await begun.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        while not (runs := await services.runs.list_runs(caller)) or runs[0].state.value == "running":  # noqa: ASYNC110 - bounded above
            await asyncio.sleep(0.01)
        assert runs[0].state.value == "cancelled"
        assert (await client.list_tools()).tools


@every_era
async def test_a_changed_list_is_told_through_the_bridge(served: Served, era: str) -> None:
    changed = asyncio.Event()

    async def note(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            changed.set()

    async with bridged(served.project_address(), served.application.key, era, message_handler=note) as client:
        before = len((await client.list_tools()).tools)
        added = 0
        if era == "auto":
            async with client.listen(tools_list_changed=True) as changes:
                await served.add_tool("one_more")
                await anext(aiter(changes))
            added = 1
        else:
            while not changed.is_set():  # the session's own stream opens some time after the handshake
                added += 1
                await served.add_tool(f"one_more_{added}")
                await asyncio.wait([asyncio.create_task(changed.wait())], timeout=0.1)
        assert len((await client.list_tools()).tools) == before + added


@every_era
async def test_a_restart_in_the_middle_is_not_noticed_by_calls_before_during_and_after(tmp_path: Path, era: str) -> None:
    server = RestartableServer(tmp_path)
    changed = asyncio.Event()

    async def note(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            changed.set()

    async with server.running():
        url, key = server.url, server.key
        client_context = bridged(url, key, era, message_handler=note)
        client = await client_context.__aenter__()
        assert text_of(await client.call_tool("say", {"input_value": "one"})) == "one"
    try:
        listing = asyncio.create_task(client.list_tools())
        calling = asyncio.create_task(client.call_tool("say", {"input_value": "two"}))
        done, _ = await asyncio.wait([listing, calling], timeout=0.3)
        assert not done
        async with server.running():
            assert len((await listing).tools) == 6
            assert text_of(await calling) == "two"
            assert text_of(await client.call_tool("say", {"input_value": "three"})) == "three"
            if era == "legacy":
                await changed.wait()
    finally:
        await client_context.__aexit__(None, None, None)


@every_era
async def test_a_call_that_a_restart_cut_off_is_an_error_that_says_so_and_is_not_made_again(tmp_path: Path, era: str) -> None:
    server = RestartableServer(tmp_path)
    begun = asyncio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        begun.set()

    async with server.running():
        client_context = bridged(server.url, server.key, era)
        client = await client_context.__aenter__()
        call = asyncio.create_task(client.call_tool("wait", {"input_value": "x"}, progress_callback=note))
        await begun.wait()
    try:
        async with server.running() as services:
            ended = (await asyncio.gather(call, return_exceptions=True))[0]
            assert "not known" in str(ended) if isinstance(ended, MCPError) else getattr(ended, "is_error", False), ended
            assert text_of(await client.call_tool("say", {"input_value": "after"})) == "after"
            runs = await services.runs.list_runs(await services.accounts.local_caller(None))
            assert [run.flow_name for run in runs].count("wait") == 1
    finally:
        await client_context.__aexit__(None, None, None)


async def test_a_subscription_outlives_the_server_and_the_client_hears_that_its_list_may_be_another(tmp_path: Path) -> None:
    server = RestartableServer(tmp_path)
    async with server.running():
        client_context = bridged(server.url, server.key)
        client = await client_context.__aenter__()
        subscription = client.listen(tools_list_changed=True)
        changes = await subscription.__aenter__()
    try:
        async with server.running():
            await anext(aiter(changes))
            await subscription.__aexit__(None, None, None)
    finally:
        await client_context.__aexit__(None, None, None)


# What people are told.


def test_a_server_that_is_not_there_is_named_in_the_answer_and_in_the_log() -> None:
    done = said(initialize(), url=NOWHERE)
    answer = json.loads(done.stdout)
    assert (answer["id"], answer["error"]["code"]) == (1, -32000)
    for text in (answer["error"]["message"], done.stderr):
        assert NOWHERE in text and "cannot be reached" in text and "headwater serve" in text
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("key", "path", "words"),
    [
        (None, None, "HEADWATER_API_KEY"),
        ("sk-unknown", None, "refuses the key"),
        ("good", "/api/v1/mcp/project/0190a1b2-0000-7000-8000-000000000000/streamable", "no project"),
        ("good", "/docs", "/streamable"),
        ("good", "/api/v1/nothing", "no project"),
    ],
)
async def test_what_is_wrong_with_key_or_address_is_said_in_words(served: Served, key: str | None, path: str | None, words: str) -> None:
    url = served.address + path if path is not None else served.project_address()
    given = served.application.key if key == "good" else key
    done = await asyncio.to_thread(said, initialize(), url=url, key=given)
    assert words in json.loads(done.stdout)["error"]["message"]
    assert words in done.stderr
    if given is not None:
        assert given not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "key", "words"),
    [
        ("http://127.0.0.1:9/x?x-api-key=sk-secret", None, "HEADWATER_API_KEY"),
        ("http://ada:secret@127.0.0.1:9/x", None, "HEADWATER_API_KEY"),
        ("ftp://127.0.0.1/x", None, "http"),
        (NOWHERE, "${HEADWATER_API_KEY}", "did not fill in"),
        (NOWHERE, "sk two words", "not a key"),
    ],
)
def test_a_bad_address_or_key_is_refused_in_one_line_that_does_not_repeat_it(url: str, key: str | None, words: str) -> None:
    done = said(url=url, key=key, answers=0)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr and "two words" not in done.stderr


def test_the_command_takes_no_key_as_an_argument() -> None:
    listed = subprocess.run([sys.executable, "-m", "mcp_server", "connect", "--help"], capture_output=True, text=True, timeout=SECONDS)
    assert "HEADWATER_API_KEY" in listed.stdout and "--key" not in listed.stdout and "--header" not in listed.stdout


async def test_lines_that_are_no_messages_get_the_protocols_own_errors(served: Served) -> None:
    lines = ["{", "[]", '{"jsonrpc":"2.0","id":7}', '{"jsonrpc":"2.0","id":null,"method":"ping"}', ""]
    done = await asyncio.to_thread(said, *lines, url=served.project_address(), key=served.application.key, answers=4)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["id"], each["error"]["code"]) for each in answers] == [(None, -32700), (None, -32600), (7, -32600), (None, -32600)]


async def test_a_script_that_sends_all_its_lines_at_once_gets_all_answers(served: Served) -> None:
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    listing = {"jsonrpc": "2.0", "id": "two", "method": "tools/list"}
    done = await asyncio.to_thread(said, initialize(), ready, listing, url=served.project_address(), key=served.application.key, answers=2)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["id"] for each in answers] == [1, "two"]
    assert answers[1]["result"]["tools"]


async def test_the_session_is_given_back_at_the_end(served: Served) -> None:
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    for _ in range(3):
        await asyncio.to_thread(said, initialize(), ready, url=served.project_address(), key=served.application.key)
    async with asyncio.timeout(SECONDS):
        while served.application.app.state.open_streams.count:  # noqa: ASYNC110 - a stream tells nobody that it ended
            await asyncio.sleep(0.01)


# What is left behind: nothing.

CLIENT = textwrap.dedent(
    """
    import json, subprocess, sys
    bridge = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print(bridge.pid, flush=True)
    for message in json.loads(sys.stdin.readline()):
        bridge.stdin.write(json.dumps(message).encode() + b"\\n")
    bridge.stdin.flush()
    print(bridge.stdout.readline().decode(), end="", flush=True)
    sys.stdin.read()
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_client_that_is_killed_leaves_no_bridge_behind_not_even_during_a_call(served: Served, number: signal.Signals) -> None:
    await served.add_tool("wait", waiting(60))
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "wait", "arguments": {"input_value": "x"}}}
    lines = [initialize(), {"jsonrpc": "2.0", "method": "notifications/initialized"}, call]
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLIENT, sys.executable, *arguments(served.project_address())),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment(served.application.key),
    )
    assert client.stdin is not None and client.stdout is not None
    bridge = int(await client.stdout.readline())
    client.stdin.write(json.dumps(lines).encode() + b"\n")
    assert b"serverInfo" in await client.stdout.readline()
    client.send_signal(number)
    await client.wait()
    async with asyncio.timeout(SECONDS):
        while is_alive(bridge):  # noqa: ASYNC110 - nobody tells of the end of another's child
            await asyncio.sleep(0.02)


def is_alive(process_id: int) -> bool:
    """Whether it runs; one that ended and was not collected yet does not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_ends_it_in_good_order() -> None:
    process = subprocess.Popen(
        [sys.executable, *arguments(NOWHERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(None)
    )
    assert process.stdin is not None and process.stderr is not None and process.stdout is not None
    process.stdin.write(json.dumps(initialize()).encode() + b"\n")
    process.stdin.flush()
    process.stderr.readline()  # it has begun to look for the server
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=SECONDS) == 0
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
